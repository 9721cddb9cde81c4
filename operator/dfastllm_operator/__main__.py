"""The command `dfastllm-operator`, also as `python -m dfastllm_operator`."""

from dfastllm_operator.cli import build_cli


def main() -> None:
    build_cli()()


if __name__ == "__main__":
    main()
