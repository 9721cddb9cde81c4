import io
import json
import tarfile
from pathlib import Path

from cluster import images


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if tar.extractfile(m)}  # type: ignore[union-attr]


def test_an_archive_holds_the_programs_and_says_what_to_run(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    argv = ["/bin/it", "--flag"]
    archive = images.write(tmp_path / "it.tar", "localhost/it:1", {"/bin/it": program}, argv)

    parts = members(archive.read_bytes())

    (manifest,) = json.loads(parts["manifest.json"])
    assert manifest["RepoTags"] == ["localhost/it:1"]
    assert json.loads(parts[manifest["Config"]])["config"]["Entrypoint"] == argv
    (layer,) = manifest["Layers"]
    assert members(parts[layer]) == {"bin/it": b"\x7fELF"}


def test_the_same_programs_make_the_same_archive(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    first, second = (
        images.write(tmp_path / name, "localhost/it:1", {"/it": program}, ["/it"]).read_bytes()
        for name in ("a.tar", "b.tar")
    )
    assert first == second
