import io
import json
import tarfile
from pathlib import Path

import pytest

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


LISTED = """REF TYPE DIGEST SIZE PLATFORMS LABELS
localhost/server:1 manifest sha256:aa 1.1 GiB linux/amd64 io.cri-containerd.image=managed
sha256:c1 manifest sha256:aa 1.1 GiB linux/amd64 io.cri-containerd.image=managed
localhost/server:2 manifest sha256:bb 1.1 GiB linux/amd64 io.cri-containerd.image=managed
sha256:c2 manifest sha256:bb 1.1 GiB linux/amd64 io.cri-containerd.image=managed
"""


def test_the_kubelets_record_of_an_image_goes_with_its_last_name() -> None:
    assert images.nameless(LISTED, ["localhost/server:1"]) == ["sha256:c1"]
    assert images.nameless(LISTED, []) == []


def test_a_record_is_kept_while_the_image_has_another_name() -> None:
    again = LISTED + "localhost/also:1 manifest sha256:aa 1.1 GiB linux/amd64 -\n"
    assert images.nameless(again, ["localhost/server:1"]) == []


def ctr(folder: Path, status: int = 0) -> Path:
    """It writes down what it is asked, lists `LISTED`, and ends removals with `status`."""
    program = folder / "ctr"
    (folder / "listed").write_text(LISTED)
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {folder}/asked
case " $* " in *" ls "*) cat {folder}/listed ;; *) echo in use; exit {status} ;; esac
"""
    )
    program.chmod(0o755)
    return program


def test_images_leave_every_nodes_store(tmp_path: Path) -> None:
    sockets = [Path("/run/n1.sock"), Path("/run/n2.sock")]

    images.remove(ctr(tmp_path), sockets, ["localhost/server:1"])

    asked = (tmp_path / "asked").read_text().splitlines()
    gone = "images rm --sync localhost/server:1 sha256:c1"
    assert [line for line in asked if " rm " in line] == [
        f"--address {socket} --namespace k8s.io {gone}" for socket in sockets
    ]


def test_an_image_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    with pytest.raises(images.ImportFailed, match=r"localhost/server:1 sha256:c1: in use"):
        images.remove(ctr(tmp_path, status=1), [Path("/run/n1.sock")], ["localhost/server:1"])
