"""The operator by `kubectl apply -k`; everywhere else here it is Helm that installs it."""

from pathlib import Path

import pytest

from cluster.kubectl import KubectlFailed
from e2e.installation import Installation
from e2e.report import Story
from e2e.services import SMALL, Services

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
# In kubectl's words, or in the API server's where kubectl still remembers that there was one.
UNKNOWN = "the server doesn't have a resource type|the server could not find the requested resource"


def test_the_operator_that_kustomize_installs_serves_and_goes_with_its_services(
    services: Services, installation: Installation, tmp_path: Path, story: Story
) -> None:
    installation.remove_helm()
    try:
        overlay = installation.by_kustomize(tmp_path)
        services.put("tiny", **SMALL)
        services.ready("tiny")
        services.endpoint("tiny")
        installation.remove_kustomize(overlay)
        with pytest.raises(KubectlFailed, match=UNKNOWN):
            services.objects("dfs")
        services.until(lambda: not services.objects("pods"), "the service's pods are gone", "tiny")
    finally:
        installation.by_helm()
