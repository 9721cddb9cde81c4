"""What the cluster reads of the machine and writes to it, against a machine of files."""

from pathlib import Path

import pytest

from cluster import cgroups, debian, network, sysctls
from cluster.network import NetworkFailed, Place


def test_settings_are_put_back_as_they_were_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctls, "ROOT", tmp_path)
    for name in sysctls.NAMES:
        setting = sysctls.path(name)
        setting.parent.mkdir(parents=True, exist_ok=True)
        setting.write_text("0\n")
    kept = tmp_path / "kept.json"
    sysctls.keep(kept)
    sysctls.path("kernel.panic").write_text("10\n")
    sysctls.keep(kept)  # a second start of what was killed in the first

    sysctls.put_back(kept)

    assert {sysctls.read(name) for name in sysctls.NAMES} == {"0\n"}


def test_nothing_is_put_back_where_nothing_was_kept(tmp_path: Path) -> None:
    sysctls.put_back(tmp_path / "kept.json")


def test_control_groups_go_with_all_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path / "cpu", tmp_path / "cpuset"])
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    for name in ("cpu", "cpuset/others"):
        (tmp_path / name).mkdir(parents=True)

    cgroups.make("ours")
    (tmp_path / "cpu" / "ours" / "pods" / "pod1").mkdir(parents=True)
    cgroups.remove("ours")

    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["cpu", "cpuset", "cpuset/others"]


def test_a_first_groups_processors_are_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path])
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    for file in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / file).write_text("0-1\n")

    cgroups.make("ours")

    assert (tmp_path / "ours" / "cpuset.cpus").read_text() == "0-1\n"


def test_where_nodes_are_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(debian.Unfit, match="be root"):
        debian.require()


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(debian, "found", lambda name: None if name == "runc" else f"/bin/{name}")
    with pytest.raises(debian.Unfit, match="not installed: runc; `python -m cluster packages`"):
        debian.require()


def test_without_apt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(debian, "found", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(debian.Unfit, match=r"no apt-get here.*iproute2 iptables"):
        debian.install()


@pytest.mark.parametrize("destination", ["198.19.4.0/24", "198.18.0.0/15"])
def test_a_machine_that_uses_the_range_keeps_it(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = f'[{{"dst": "default"}}, {{"dst": "192.0.2.1"}}, {{"dst": "{destination}"}}]'
    monkeypatch.setattr(network, "run", lambda *argv, **options: routes)
    with pytest.raises(NetworkFailed, match=destination):
        network.lay(tmp_path / "networks", [Place(1)])
    assert not (tmp_path / "networks").exists()


def test_nodes_lie_in_the_range_apart_from_one_another() -> None:
    places = [Place(number) for number in range(1, 10)]
    assert len({place.address for place in places} | {network.HOST}) == 10
    assert len({place.pods for place in places} | {network.NODES}) == 10
