import asyncio
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator.cluster import Cluster
from dfastllm_operator.discovery import OPTIONAL, Discovery
from dfastllm_operator.errors import Busy
from dfastllm_operator.kinds import CONFIG_MAP, HTTP_ROUTE, SCALED_OBJECT, WATCHED
from support.scripted_api import ScriptedApi, Status, run, until

KEDA = "/apis/keda.sh/v1alpha1"


def groups(*names: str) -> dict[str, Any]:
    return {"groups": [{"name": name} for name in names]}


def resources(*names: str) -> dict[str, Any]:
    return {"resources": [{"name": name} for name in names]}


def test_what_is_not_served_is_missing_and_the_rest_is_watched(tmp_path: Path) -> None:
    async def test() -> None:
        async with ScriptedApi(tmp_path) as api:
            cluster = Cluster(api.login())
            discovery = Discovery(cluster)
            assert discovery.missing == frozenset(OPTIONAL)
            api.on("GET", "/apis", groups("apps", "keda.sh", "metrics.k8s.io"))
            api.on("GET", KEDA, resources("scaledobjects", "scaledobjects/status"))
            assert await discovery.look()
            assert discovery.missing == frozenset(OPTIONAL) - {SCALED_OBJECT}
            assert discovery.metrics_apis == {"metrics.k8s.io"}
            assert SCALED_OBJECT in discovery.served(WATCHED)
            assert CONFIG_MAP in discovery.served(WATCHED)
            assert HTTP_ROUTE not in discovery.served(WATCHED)
            assert not await discovery.look(), "nothing has changed"
            await cluster.close()

    run(test())


def test_a_group_of_another_version_does_not_serve_the_kind(tmp_path: Path) -> None:
    async def test() -> None:
        async with ScriptedApi(tmp_path) as api:
            cluster = Cluster(api.login())
            discovery = Discovery(cluster)
            api.on("GET", "/apis", groups("keda.sh"))
            await discovery.look()
            assert SCALED_OBJECT in discovery.missing
            await cluster.close()

    run(test())


def test_kinds_that_come_and_go_are_told_and_errors_change_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with ScriptedApi(tmp_path) as api:
            cluster = Cluster(api.login())
            discovery = Discovery(cluster, every_s=0.005)
            told: list[bool] = []
            api.on("GET", "/apis", groups("keda.sh"))
            api.on("GET", KEDA, resources("scaledobjects"))
            task = asyncio.create_task(
                discovery.run(lambda: told.append(SCALED_OBJECT in discovery.missing))
            )
            await until(lambda: told == [False])
            api.on("GET", "/apis", Status(503))
            asked = len(api.asked)
            await until(lambda: len(api.asked) > asked + 2)
            api.on("GET", "/apis", groups())
            await until(lambda: told == [False, True])
            task.cancel()
            await cluster.close()

    run(test())


def test_the_first_looks_error_is_the_callers(tmp_path: Path) -> None:
    async def test() -> None:
        async with ScriptedApi(tmp_path) as api:
            cluster = Cluster(api.login())
            api.on("GET", "/apis", Status(503))
            with pytest.raises(Busy):
                await Discovery(cluster).look()
            await cluster.close()

    run(test())
