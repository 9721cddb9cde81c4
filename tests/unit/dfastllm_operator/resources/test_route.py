import pytest

from dfastllm_operator.core import Json, Platform
from dfastllm_operator.kinds import HTTP_ROUTE, INFERENCE_SERVICE
from dfastllm_operator.resources.route import gateway_duration, hostname_of, own_gateway
from support.rendered import a_platform, a_service, children_of

TINY = {"model": {"uri": "builtin://tiny"}}
VISIBILITY = "networking.kserve.io/visibility"


@pytest.mark.parametrize(
    ("ingress", "platform", "gateway", "local"),
    [
        ({}, a_platform(), None, False),
        ({}, a_platform(gateway="infra/public"), "infra/public", True),
        ({"gateway": "own/one"}, a_platform(gateway="infra/public"), "own/one", True),
        ({"gateway": "own/one"}, a_platform(missing=["HTTPRoute"]), "own/one", True),
        ({"enabled": False}, a_platform(gateway="infra/public"), None, True),
    ],
)
def test_there_is_one_way_in(
    ingress: Json, platform: Platform, gateway: str | None, local: bool
) -> None:
    """Ours hides the service from KServe's ingress; so does no way in at all."""
    service = a_service({**TINY, "ingress": ingress})
    children = children_of(service, platform)
    assert own_gateway(service.spec, platform) == gateway
    assert any(c.kind == HTTP_ROUTE for c in children) == (gateway is not None)
    (isvc,) = [c.body for c in children if c.kind == INFERENCE_SERVICE]
    assert (isvc["metadata"]["labels"].get(VISIBILITY) == "cluster-local") == local


def test_the_host_name_is_the_users_or_made_of_name_and_namespace() -> None:
    said = a_service({**TINY, "ingress": {"hostname": "chat.example.org"}})
    assert hostname_of(said, a_platform()) == "chat.example.org"
    assert hostname_of(a_service(TINY), a_platform(domain="x.org")) == "chat-team.x.org"
    long = a_service(TINY, name="n" * 60, namespace="team")
    assert len(hostname_of(long, a_platform()).split(".")[0]) == 63


def test_a_duration_is_spelled_as_the_gateway_api_takes_it() -> None:
    spelled = [gateway_duration(s) for s in (1, 60, 600, 3661, 360_000)]
    assert spelled == ["1s", "1m", "10m", "1h1m1s", "100h"]


def test_a_stream_may_last_as_long_as_the_spec_says() -> None:
    service = a_service({**TINY, "ingress": {"timeout": "1h30m"}})
    children = children_of(service, a_platform(gateway="infra/public"))
    (route,) = [c.body for c in children if c.kind == HTTP_ROUTE]
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "1h30m"}
    (isvc,) = [c.body for c in children if c.kind == INFERENCE_SERVICE]
    assert isvc["spec"]["predictor"]["timeout"] == 5400
