"""One control plane for the whole run: tests stay apart by namespaces of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("canary_stories", "support.scene")

from cluster import binaries  # noqa: E402
from cluster.rig import NEEDED, Rig, running  # noqa: E402


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the tests: the first time takes minutes, more than a test may."""
    wanted = any(Path(__file__).parent in item.path.parents for item in session.items)
    if wanted and not session.config.option.collectonly:
        terminal = session.config.get_terminal_writer()
        binaries.ensure(NEEDED, say=terminal.line)


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    with running() as rig:
        yield rig


@pytest.fixture
def namespace(rig: Rig) -> Iterator[str]:
    with rig.namespace() as name:
        yield name
