"""`python -m dfastllm_operator.install [ROOT]` writes the generated files below a checkout."""

import argparse
from pathlib import Path

from dfastllm_operator.install.tree import generated


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dfastllm_operator.install")
    parser.add_argument("root", nargs="?", type=Path, default=Path(), help="the checkout")
    root: Path = parser.parse_args().root
    for name, text in generated(root).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
