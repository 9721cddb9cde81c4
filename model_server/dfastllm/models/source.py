"""Where a model's files are: a built-in, a directory, or a repository of the Hugging Face hub.

Only data is fetched: JSON, safetensors and tokenizer files. Code and pickles of a repository are
neither downloaded nor opened.
"""

from dataclasses import dataclass
from pathlib import Path

from dfastllm.errors import CheckpointError
from dfastllm.models.config_fields import read_json

_BUILTIN_ROOT = Path(__file__).parent.parent / "builtin"
_BUILTIN_PREFIX = "builtin:"
_VERIFIER, _BASE = "-verifier", "-base"  # behind the name of a built-in
_TOKENIZER_FILES = ("*.json", "*.jinja", "merges.txt", "tokenizer.model")
_MODEL_FILES = (*_TOKENIZER_FILES, "*.safetensors")
_SUBFOLDERS = "*/*"  # other formats of the same weights live there


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model found on this machine. `name` may be shown to clients: it is never a path."""

    directory: Path
    tokenizer_directory: Path
    name: str


def resolve_model(
    name: str, revision: str | None = None, *, tokenizer: str | None = None
) -> ModelSource:
    """Find or download the model called `name`.

    `builtin:tiny` (or `builtin://tiny`) ships with the package, and so do `builtin:NAME-verifier`
    and, where the built-in is a difference to it, `builtin:NAME-base`; a name that begins with `/`,
    `.` or `~` is a directory; anything else is a hub repository `organisation/name` at `revision`,
    its cache used first when offline. `tokenizer` is such a name too, where the tokenizer is
    elsewhere. A built-in that is a difference is put together first, if it never was: this takes
    a while. Raises CheckpointError saying what was tried.
    """
    directory, shown = _resolve(name, revision, _MODEL_FILES)
    tokenizer_directory = directory
    if tokenizer is not None:
        tokenizer_directory, _ = _resolve(tokenizer, None, _TOKENIZER_FILES)
    return ModelSource(directory, tokenizer_directory, shown)


def builtin_names(*, verifiers: bool = False) -> list[str]:
    """The models that ship with the package; verifiers, which serve nothing alone, if asked for."""
    names = [folder.name for folder in _builtin_folders()]
    return [name for name in names if verifiers or not name.endswith(_VERIFIER)]


def is_download(directory: Path) -> bool:
    """Whether it is what was fetched of a hub repository: the hub's cache names its place so."""
    return directory.parent.name == "snapshots"


def _resolve(name: str, revision: str | None, patterns: tuple[str, ...]) -> tuple[Path, str]:
    if name.startswith(_BUILTIN_PREFIX):
        builtin = name.removeprefix(_BUILTIN_PREFIX).removeprefix("//")
        return prepare_builtin(builtin), builtin
    if name.startswith(("/", ".", "~")):
        given = Path(name).expanduser()
        directory = given.resolve()
        if not directory.is_dir():
            problem = "is a file" if directory.exists() else "does not exist"
            if given.is_symlink():
                problem = f"is a link to {directory}, which {problem}"
            raise CheckpointError(f"{name} {problem}; the directory of a model is needed")
        return directory, directory.name or "model"
    return _download(name, revision, patterns), name


def prepare_builtin(name: str, store: Path | None = None) -> Path:
    """The directory of a built-in, made now in `store` (else in the cache) if it is nowhere.

    Raises CheckpointError for a name that is none, and when the base is not installed.
    """
    folders = {path.name: path for path in _builtin_folders()}
    described = {path.parent.name: path.parent for path in _BUILTIN_ROOT.glob("*/config.json")}
    for suffix in ("", _VERIFIER, _BASE):
        # A base needs nothing of ours but its description.
        known = described if suffix == _BASE else folders
        folder = known.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if folder is None:
            continue
        if "base" in read_json(folder / "config.json"):
            # Imported here: a model that ships whole needs none of it.
            from dfastllm.builtin.assemble import prepare_base, prepare_model

            return prepare_base(folder, store) if suffix else prepare_model(folder, store)
        if not suffix:
            return folder
    raise CheckpointError(
        f"there is no built-in model {name!r}; there are: {', '.join(builtin_names()) or 'none'}"
    )


def _builtin_folders() -> list[Path]:
    """One folder is one model, as soon as it holds weights."""
    return sorted({path.parent for path in _BUILTIN_ROOT.glob("*/*.safetensors")})


def _download(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    # Imported here: half a second that a built-in or a directory does not need.
    from huggingface_hub import constants, snapshot_download

    if name.count("/") != 1:
        raise CheckpointError(
            f"{name!r} is neither a directory (which begins with / or .), nor a hub repository "
            f"(organisation/name), nor built in ({_builtin_list()})"
        )
    try:
        directory = snapshot_download(
            name, revision=revision, allow_patterns=list(patterns), ignore_patterns=[_SUBFOLDERS]
        )
    # The library lets through its own errors, its HTTP client's and the operating system's.
    except Exception as error:
        at = f" at revision {revision}" if revision else ""
        state = "offline (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else "online"
        hint = f"; a directory of that name exists: ./{name}" if Path(name).is_dir() else ""
        raise CheckpointError(
            f"{name}{at} could not be fetched: tried the hub, {state}, and its cache in "
            f"{constants.HF_HUB_CACHE}. Check the name and the network, set HF_TOKEN for a gated "
            f"repository, or give a directory or a built-in ({_builtin_list()}){hint}. "
            f"The cause: {type(error).__name__}: {error}"
        ) from error
    return Path(directory)


def _builtin_list() -> str:
    return ", ".join(_BUILTIN_PREFIX + name for name in builtin_names()) or "none"
