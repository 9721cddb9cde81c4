"""`cd tests && python -m images build`: the project's images, without Docker and a registry."""

import json
from pathlib import Path
from typing import Annotated

import typer

from images import archives, packages
from images.buildah import BuildahFailed
from images.recipes import RECIPES, Choices, Variant
from images.rootfs import RootfsFailed

FAILURES = (
    BuildahFailed,
    RootfsFailed,
    archives.NoRoom,
    archives.SourcesChanged,
    packages.CannotBuild,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

_Names = Annotated[list[str] | None, typer.Argument(help=f"{', '.join(RECIPES)}; all of them.")]
_Base = Annotated[
    str | None,
    typer.Option(metavar="IMAGE", help="Base image of a registry, instead of Debian's packages."),
]
_Variant = Annotated[Variant, typer.Option(help="What the server's image computes on.")]
_Torch = Annotated[str, typer.Option(metavar="REQUIREMENT", help="Another torch, without hash.")]
_Index = Annotated[str, typer.Option(metavar="URL", help="The index that has it.")]


@app.command("packages")
def install_packages() -> None:
    """Install what building needs, by apt."""
    try:
        packages.install()
    except packages.CannotBuild as error:
        raise _failed(error) from error


@app.command()
def build(
    names: _Names = None,
    *,
    base: _Base = None,
    variant: _Variant = Variant.CPU,
    torch: _Torch = "",
    torch_index: _Index = "",
) -> None:
    """Build those whose sources changed, and print the names and archives of all."""
    choices = Choices(base, variant, torch, torch_index)
    try:
        made = archives.ensure(_known(names), choices, say=lambda line: typer.echo(line, err=True))
    except FAILURES as error:
        raise _failed(error) from error
    for archive in made.values():
        typer.echo(f"{archive.reference}  {archive.path}")


@app.command("list")
def list_images(
    *,
    base: _Base = None,
    variant: _Variant = Variant.CPU,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Which images there are, and whether each is built from the sources as they are now."""
    found = {name: archives.archive_of(name, Choices(base, variant)) for name in RECIPES}
    if as_json:
        rows = {
            name: {"reference": a.reference, "archive": str(a.path)} for name, a in found.items()
        }
        typer.echo(json.dumps(rows))
        return
    for archive in found.values():
        typer.echo(f"{archive.reference}  {_size(archive.path)}  {archive.path}")


@app.command("archive")
def print_archive(name: str, *, base: _Base = None, variant: _Variant = Variant.CPU) -> None:
    """Print the path of an image's archive; status 1 if it is not built as it would be now."""
    (known,) = _known([name])
    archive = archives.archive_of(known, Choices(base, variant))
    if not archive.path.exists():
        raise _failed(f"{known} is not built: python -m images build {known}")
    typer.echo(archive.path)


@app.command()
def clean() -> None:
    """Remove all archives and the layers that builds start from."""
    archives.clean()


def _known(names: list[str] | None) -> list[str]:
    if unknown := [name for name in names or [] if name not in RECIPES]:
        raise _failed(f"no image is called {unknown[0]!r}; there are {', '.join(RECIPES)}")
    return names or list(RECIPES)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.0f} MB" if path.exists() else "to be built"


def _failed(message: object) -> typer.Exit:
    typer.echo(str(message), err=True)
    return typer.Exit(1)


if __name__ == "__main__":
    app()
