"""Fetch models: `fetch_models.py URI FOLDER [URI FOLDER ...]`, as KServe's webhook calls it.

Exits with 1 and one line that says why, which the kubelet makes the container's message.
"""

import sys

from kserve_storage import Storage  # type: ignore[import-not-found]
from kserve_storage.logging import configure_logging  # type: ignore[import-not-found]


def main(arguments: list[str]) -> int:
    configure_logging()
    if not arguments or len(arguments) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    uris, folders = arguments[::2], arguments[1::2]
    try:
        Storage.download_files(uris, folders)
    except Exception as error:  # whatever a client of one of a dozen stores raises
        reason = " ".join(str(error).split())
        print(f"cannot fetch {', '.join(uris)}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
