"""What images there are and what each is made of; not how it is made.

A key changes whenever something else would come out: it is the image's tag and names its archive.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from images.rootfs import Rootfs

ROOT = Path(__file__).parents[2]


class Variant(StrEnum):
    CPU = "cpu"  # without NVIDIA's libraries, a third of the size
    CUDA = "cuda"  # for both, as the Dockerfile makes it unless told otherwise


@dataclass(frozen=True, slots=True)
class Choices:
    """What whoever builds may choose."""

    base: str | None = None  # an image of a registry; without one it is made of Debian's packages
    variant: Variant = Variant.CPU
    torch_requirement: str = ""  # another torch than the locked one, from this index
    torch_index: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: a target of a Dockerfile, and what of the build's folder goes into it."""

    name: str
    sources: tuple[str, ...]
    folder: Path = ROOT  # what the build is given
    has_torch: bool = False

    @property
    def dockerfile(self) -> Path:
        return self.folder / "Dockerfile"

    def arguments(self, choices: Choices) -> dict[str, str]:
        """For the Dockerfile; the base is the builder's to add."""
        if not self.has_torch:
            return {}
        chosen = {
            "VARIANT": choices.variant.value,
            "TORCH_REQUIREMENT": choices.torch_requirement,
            "TORCH_INDEX_URL": choices.torch_index,
        }
        return {name: value for name, value in chosen.items() if value}

    def label(self, choices: Choices) -> str:
        """Tells the image from others of the same name that are kept beside it."""
        return f"{self.name}-{choices.variant}" if self.has_torch else self.name

    def key(self, choices: Choices) -> str:
        digest = hashlib.sha256()
        base = choices.base or Rootfs().key()
        digest.update(repr((base, sorted(self.arguments(choices).items()))).encode())
        for path in self.files():
            digest.update(f"\0{path.relative_to(self.folder)}\0".encode())
            digest.update(hashlib.sha256(_content(path)).digest())
        return digest.hexdigest()[:12]

    def files(self) -> Iterator[Path]:
        """All that goes into the build; what Python keeps beside its sources does not."""
        yield self.dockerfile
        for source in self.sources:
            path = self.folder / source
            found = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (p for p in found if p.is_file() and p.parent.name != "__pycache__")


def _content(path: Path) -> bytes:
    """What of a file goes into an image: settings of the project's tools do not."""
    if path.name != "pyproject.toml":
        return path.read_bytes()
    project = tomllib.loads(path.read_text())
    hatch = project.get("tool", {}).get("hatch")
    return json.dumps([project.get("build-system"), project.get("project"), hatch]).encode()


_PROJECT = (".dockerignore", "LICENSE", "NOTICE", "pyproject.toml")
_INITIALIZER = Path(__file__).parent / "storage-initializer"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "server",
            (
                *_PROJECT,
                *(f"requirements/{lock}.txt" for lock in ("dev", "server", "smol", "uv")),
                "model_server",
            ),
            has_torch=True,
        ),
        Recipe(
            "operator",
            (
                *_PROJECT,
                *(f"requirements/{lock}.txt" for lock in ("dev", "operator", "uv")),
                "model_server/dfastllm/__init__.py",  # the version
                "operator",
            ),
        ),
        Recipe("storage-initializer", ("fetch_models.py", "requirements.txt"), folder=_INITIALIZER),
    )
}
