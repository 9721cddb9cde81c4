"""The command `kubectl-dfastllm`, which kubectl finds as `kubectl dfastllm`."""

from dfastllm_operator.ctl.commands import build_ctl


def main() -> None:
    build_ctl()(prog_name="kubectl dfastllm")


if __name__ == "__main__":
    main()
