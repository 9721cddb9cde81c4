from pathlib import Path
from typing import Any

import pytest
import yaml

from dfastllm_operator.access import Access, NoAccess
from support.scripted_api import run


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "POD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def kubeconfig(file: Path, server: str = "http://one:1", **user: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(content))
    return file


def account(folder: Path, token: str = "first") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text("a certificate")
    (folder / "namespace").write_text("system\n")
    return folder


def loaded(access: Access) -> Any:
    found = []

    async def test() -> None:
        found.append(await access.load())

    run(test())
    return found[0]


def refused(access: Access) -> str:
    with pytest.raises(NoAccess) as caught:
        loaded(access)
    return str(caught.value)


def test_a_named_kubeconfig_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "environment", "http://two:2")))
    configuration = loaded(Access(str(kubeconfig(tmp_path / "named"))))
    assert configuration.host == "http://one:1"
    assert configuration.api_key == {"BearerToken": "Bearer t"}
    assert loaded(Access()).host == "http://two:2"


def test_a_pod_uses_its_account_and_reads_the_token_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    access = Access(account=account(tmp_path / "account"))
    configuration = loaded(access)
    assert configuration.host == "https://10.0.0.1:443"
    assert configuration.api_key == {"BearerToken": "bearer first"}
    account(tmp_path / "account", "second")
    assert loaded(access).api_key == {"BearerToken": "bearer second"}


def test_a_person_at_a_desk_uses_the_usual_file(tmp_path: Path) -> None:
    kubeconfig(tmp_path / "home" / ".kube" / "config")
    assert loaded(Access()).host == "http://one:1"


def test_what_cannot_be_used_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "neither --kubeconfig, $KUBECONFIG nor ~/.kube/config" in refused(Access())
    assert "there is no kubeconfig /nowhere" in refused(Access("/nowhere"))
    for text in ("a: b\n", "a: [", "- a\n", "just words", ""):
        (tmp_path / "broken").write_text(text)
        assert "cannot log in" in refused(Access(str(tmp_path / "broken"))), text
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert "service account" in refused(Access(account=tmp_path / "empty"))


def test_several_files_are_taken_as_kubectl_does(tmp_path: Path) -> None:
    there = kubeconfig(tmp_path / "there")
    assert loaded(Access(f"{tmp_path / 'missing'}:{there}")).host == "http://one:1"


def test_watches_are_not_short_of_connections_nor_requests_of_threads(tmp_path: Path) -> None:
    configuration = loaded(Access(str(kubeconfig(tmp_path / "k"))))
    assert configuration.connection_pool_maxsize == 0
    assert configuration.client_session_kwargs == {"trust_env": False}


def test_the_environments_proxy_is_used_unless_it_is_bypassed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(str(kubeconfig(tmp_path / "k", "https://kubernetes.example:6443")))
    assert loaded(access).proxy is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert loaded(access).proxy == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", ".example")
    assert loaded(access).proxy is None


def test_the_own_namespace_is_the_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Access(account=tmp_path / "none").own_namespace() is None
    access = Access(account=account(tmp_path / "account"))
    assert access.own_namespace() == "system"
    monkeypatch.setenv("POD_NAMESPACE", "told")
    assert access.own_namespace() == "told"
