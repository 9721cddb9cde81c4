"""A real server process over a scripted generator: everything of the server but the engine.

    python -m support.scripted_server --port 0 --plain true --load-s 0.5

Flags are settings; besides, `--load-s` delays the load and `--load-error` makes it fail. A prompt
says what is answered: `chunks=20 every=0.1 size=5` streams 20 pieces of 5 letters, one each 0.1 s.
"""

import re
import sys
import time
from collections.abc import Sequence

from dfastllm import log
from dfastllm.core import FinishReason, Request
from dfastllm.errors import CheckpointError, DFastError
from dfastllm.server.lifecycle import Loaded, leave
from dfastllm.server.loading import limits_of
from dfastllm.settings import Settings
from dfastllm.settings_sources import load as load_settings
from support.scripted import BOS, Say, ScriptedGenerator, server_context, tokens_of


def script_of(request: Request) -> Sequence[Say]:
    text = bytes(token for token in request.prompt if token < BOS).decode()
    said = {
        name: float(value) for name, value in re.findall(r"\b(chunks|every|size)=([\d.]+)", text)
    }
    count, every, size = (said.get(n, d) for n, d in (("chunks", 2), ("every", 0), ("size", 1)))
    # One token a piece whatever its size: the memory measured is the text's.
    pieces = [Say("x" * int(size), every, tokens_of("x")) for _ in range(int(count))]
    return [*pieces, Say(finish=FinishReason.STOP)]


def load_scripted(settings: Settings, load_s: float, error: str | None) -> Loaded:
    time.sleep(load_s)
    if error:
        raise CheckpointError(error)
    return Loaded(
        server_context(
            ScriptedGenerator(script_for=script_of),
            served_names=settings.model.served_names,
            limits=limits_of(settings.decoding),
            max_model_len=1_000_000,
        )
    )


def main(argv: Sequence[str]) -> None:
    flags = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(argv[::2], argv[1::2], strict=True)
    }
    load_s, error = float(flags.pop("load_s", 0)), flags.pop("load_error", None)
    settings = load_settings(flags, environ={}).settings
    log.configure("json", settings.log.log_level)
    if settings.server.plain:
        from dfastllm.server.plain import run_plain as run
    else:
        from dfastllm.server.kserve_app import run_kserve as run
    try:
        status = run(settings, lambda: load_scripted(settings, load_s, error))
    except DFastError as refused:
        sys.exit(str(refused))
    leave(status)


if __name__ == "__main__":
    main(sys.argv[1:])
