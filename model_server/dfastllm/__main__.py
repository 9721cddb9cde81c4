"""The command `dfastllm`, also as `python -m dfastllm`."""

from dfastllm.cli import build_cli


def main() -> None:
    build_cli()()


if __name__ == "__main__":
    main()
