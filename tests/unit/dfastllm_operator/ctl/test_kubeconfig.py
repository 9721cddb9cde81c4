from pathlib import Path

import pytest
import yaml

from dfastllm_operator.ctl.kubeconfig import namespace


def written(path: Path, current: str | None = None, **namespaces: str | None) -> str:
    contexts = [
        {"name": name, "context": {"cluster": "c", **({"namespace": ns} if ns else {})}}
        for name, ns in namespaces.items()
    ]
    path.write_text(yaml.safe_dump({"current-context": current, "contexts": contexts}))
    return str(path)


def test_the_current_contexts_namespace_holds(tmp_path: Path) -> None:
    file = written(tmp_path / "one", "work", work="team", home="me")
    assert namespace(file, None) == "team"
    assert namespace(file, "home") == "me"


def test_without_one_it_is_default(tmp_path: Path) -> None:
    assert namespace(written(tmp_path / "one", "work", work=None), None) == "default"
    assert namespace(written(tmp_path / "two"), None) == "default"
    assert namespace(str(tmp_path / "missing"), None) == "default"


@pytest.mark.parametrize("content", ["[", "- a", "contexts: [1, {name: x}]\ncurrent-context: x"])
def test_a_broken_file_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "broken").write_text(content)
    assert namespace(str(tmp_path / "broken"), None) == "default"


def test_of_several_files_the_first_word_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = written(tmp_path / "one", None, other="x")
    second = written(tmp_path / "two", "work", work="team")
    third = written(tmp_path / "three", "other", work="late")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}:{third}")
    assert namespace(None, None) == "team"
    assert namespace(None, "other") == "x"
