"""`dfastllm-operator`: says plainly that this release carries no operator yet."""

import sys


def main() -> int:
    """Exit with status 69 (service unavailable), so that no pod mistakes this for a running one."""
    print(
        "dfastllm-operator: this release has no operator yet; "
        "deploy the model server with your own InferenceService (see README.md).",
        file=sys.stderr,
    )
    return 69


if __name__ == "__main__":
    sys.exit(main())
