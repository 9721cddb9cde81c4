from collections.abc import Callable
from pathlib import Path

import pytest

from dfastllm.server.keys import KeysError, KeyStore, read_keys


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def as_mapping(file: Path) -> None:
    file.write_text("alice: k-1\nbob: '0123'\n")


def as_lines(file: Path) -> None:
    file.write_text("# ours\nalice=k-1\n\nbob = 0123\n")


def as_secret(file: Path) -> None:
    (file / "..data").mkdir(parents=True)
    (file / "alice").write_text("k-1\n")
    (file / "bob").write_text("0123")


@pytest.mark.parametrize("write", [as_mapping, as_lines, as_secret])
def test_keys_are_read_in_three_forms(file: Path, write: Callable[[Path], None]) -> None:
    write(file)
    store = KeyStore(file)
    found = [store.find(key) for key in ("k-1", "0123", "k-2", "", "alice")]
    assert [key and key.caller.name for key in found] == ["alice", "bob", None, None, None]


def test_a_key_may_say_more(file: Path) -> None:
    file.write_text("batch: {key: k, min_priority: 5, request_rate: 1/second}\n")
    (key,) = read_keys(file)
    assert (key.caller.min_priority, key.request_rate, key.token_rate) == (5, "1/second", None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("alice", "neither a YAML mapping nor lines"),
        ("", "there are none"),
        ("alice: ''", "must be printable ASCII and not empty"),
        ("alice: [k]", "a key or a mapping of"),
        ("alice: {key: k, colour: red}", "a key or a mapping of"),
        ("alice: {key: k, min_priority: high}", "invalid literal"),
        ("alice: {key: k, request_rate: lots}", "alice"),
        ("alice: k\nbob: k", "two names have the same key"),
    ],
)
def test_what_is_wrong_is_told_without_the_key(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    with pytest.raises(KeysError, match=complaint):
        KeyStore(file)


def test_a_file_that_is_missing_or_not_text_is_an_error(file: Path) -> None:
    with pytest.raises(KeysError, match="No such file"):
        KeyStore(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(KeysError, match="not UTF-8"):
        KeyStore(file)


def test_a_changed_file_is_read_again_at_most_once_a_second(file: Path) -> None:
    clock = Clock()
    file.write_text("alice: old")
    store = KeyStore(file, clock=clock)
    file.write_text("alice: newer")
    clock.now = 0.5
    assert store.find("old")
    clock.now = 1.0
    assert not store.find("old")
    assert store.find("newer")


def test_a_broken_file_leaves_the_former_keys(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    file.write_text("alice: old")
    store = KeyStore(file, clock=clock)
    wrecks: list[Callable[[], object]] = [lambda: file.write_text("half"), file.unlink]
    for second, wreck in enumerate(wrecks, start=1):
        wreck()
        clock.now = float(second)
        assert store.find("old")
        assert "the former ones stay" in caplog.text
    file.write_text("")
    clock.now = 3.0
    assert not store.find("old"), "an empty file is a decision: no key is valid any more"


def test_a_secret_is_replaced_by_moving_its_link(tmp_path: Path) -> None:
    clock = Clock()
    mount = tmp_path / "mount"
    mount.mkdir()
    for version, key in (("..v1", "old"), ("..v2", "new")):
        (mount / version).mkdir()
        (mount / version / "alice").write_text(key)
    (mount / "..data").symlink_to("..v1")
    (mount / "alice").symlink_to("..data/alice")
    store = KeyStore(mount, clock=clock)
    (mount / "..tmp").symlink_to("..v2")
    (mount / "..tmp").rename(mount / "..data")
    clock.now = 1.0
    assert store.find("new")
    assert not store.find("old")
