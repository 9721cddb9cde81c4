"""The cluster and the operator once, a namespace for each module, a page of the report for a story.

Tests marked `e2e` run on a cluster (`site.py` says which); the others here need none.
"""

import os
import secrets
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from cluster.processes import until
from cluster.standing import Cluster
from e2e import measured, owned, site
from e2e.installation import RESTRICTED, Installation
from e2e.report import Report, Story, tables
from e2e.services import Services
from e2e.site import Site
from support.packaging import NAMESPACE

PASSED = pytest.StashKey[bool]()
REPORT = pytest.StashKey[Report]()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The tests' own: the one that is up; else one of two nodes, for as long as they run."""
    if site.elsewhere():
        pytest.skip("only on a cluster of the tests' own")
    with owned.one(nodes=2) as found:
        yield found


@pytest.fixture(scope="session")
def the_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    if kubeconfig := site.elsewhere():
        return site.foreign(kubeconfig, tmp_path_factory.mktemp("kubectl"))
    return site.own(request.getfixturevalue("cluster"))


@pytest.fixture
def own(the_site: Site) -> Cluster:
    """Whose processes are on this machine: of a cluster of others, none is touched."""
    if the_site.standing is None:
        pytest.skip("only on a cluster of the tests' own")
    return the_site.standing


@pytest.fixture(scope="session")
def installation(
    the_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The operator, installed by Helm.

    On a cluster of the tests' own it stays, and the next run brings it up to date. From one of
    others it goes, and where somebody has installed it before, nothing is touched.
    """
    with pytest.MonkeyPatch.context() as patched:
        if the_site.standing:  # which no proxy leads to
            patched.setenv("NO_PROXY", "*")
        installation = Installation(the_site, tmp_path_factory.mktemp("helm"))
        if the_site.standing:
            installation.by_helm()
            yield installation
            return
        installation.refuse_anothers()
        try:
            installation.by_helm()
            owned.sweep(the_site.kubectl, NAMESPACE)
            yield installation
        finally:
            installation.leave()


@pytest.fixture(scope="module")
def services(the_site: Site, installation: Installation) -> Iterator[Services]:
    """Those of a new namespace that is gone afterwards."""
    kubectl, name = the_site.kubectl, f"e2e-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, RESTRICTED, site.LABEL)
    found = Services(kubectl, name, the_site.gateway_address)
    try:
        until(lambda: bool(found.objects("serviceaccounts")), f"default service account of {name}")
        yield found
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def story(request: pytest.FixtureRequest, the_site: Site) -> Iterator[Story]:
    """A page of the report; it is closed, with memory as it is then, when the test ends."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    told, began = Story(name), time.monotonic()
    yield told
    told.seconds = time.monotonic() - began
    told.passed = request.node.stash.get(PASSED, False)
    told.memory_mib = measured.memory(the_site)
    nodes = len(the_site.kubectl.get("nodes")["items"])
    report = request.config.stash.setdefault(
        REPORT, Report(nodes, os.environ.get("E2E_REPORT", ""))
    )
    report.stories.append(told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    report = config.stash.get(REPORT, None)
    if report is None:
        return
    terminalreporter.section("stories")
    terminalreporter.write_line(tables([vars(story) for story in report.stories]))
    if not all(story.passed for story in report.stories):
        terminalreporter.write_line("written nowhere: not all passed")
    elif os.environ.get("E2E_REPORT"):
        terminalreporter.write_line(f"written: {Path(report.write())}")
