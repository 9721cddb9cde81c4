import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from images import machine

LISTING = """\
:env:.find-links='/opt/wheels https://wheels.test/simple'
:env:.no-color='1'
global.cert='/home/someone/roots.pem'
global.extra-index-url='\\nhttps://one.test/simple\\nhttps://two.test/simple'
global.find-links='/elsewhere'
global.index-url='https://mirror.test/simple'
install.timeout='60'
"""


def test_pips_settings_are_those_that_say_where_packages_are() -> None:
    assert machine.parse_pip_settings(LISTING) == {
        "extra-index-url": "\nhttps://one.test/simple\nhttps://two.test/simple",
        "find-links": "/opt/wheels https://wheels.test/simple",
        "index-url": "https://mirror.test/simple",
        "timeout": "60",
    }


def test_pip_reads_them_back() -> None:
    pip = machine.parse_pip_settings(LISTING)
    parser = ConfigParser()
    parser.read_string(machine.pip_conf(pip, authorities=Path("/home/someone/roots.pem")))
    written = dict(parser["global"])
    assert written.pop("cert") == machine.AUTHORITIES
    assert written == pip


def test_uv_is_told_the_same() -> None:
    told = tomllib.loads(machine.uv_toml(machine.parse_pip_settings(LISTING)))
    assert told == {
        "system-certs": True,
        "index-url": "https://mirror.test/simple",
        "extra-index-url": ["https://one.test/simple", "https://two.test/simple"],
        "find-links": ["/opt/wheels", "https://wheels.test/simple"],
    }


def test_without_settings_nothing_is_said() -> None:
    assert machine.parse_pip_settings("") == {}
    assert machine.pip_conf({}, authorities=None) == "[global]\n"
    assert tomllib.loads(machine.uv_toml({})) == {"system-certs": True}


def test_files_local_folders_and_authorities_are_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, roots = tmp_path / "wheels", tmp_path / "roots.pem"
    wheels.mkdir()
    roots.write_text("certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    monkeypatch.setattr(machine, "pip_settings", lambda: {"find-links": f"{wheels} /nowhere"})
    lent = {mount.target: mount.source for mount in machine.mounts(tmp_path)}
    assert lent == {
        "/etc/pip.conf": tmp_path / "pip.conf",
        "/etc/uv/uv.toml": tmp_path / "uv.toml",
        machine.AUTHORITIES: roots,
        str(wheels): wheels,
    }
    assert "cert = " in (tmp_path / "pip.conf").read_text()
