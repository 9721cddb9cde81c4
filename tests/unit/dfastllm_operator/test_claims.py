from typing import Any

from dfastllm_operator.claims import Claims
from dfastllm_operator.core import Key

OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
FIRST, SECOND = Key("a", "one"), Key("b", "two")


def claims() -> Claims:
    return Claims("example.com", "infra/gw")


def raw(created: str, **ingress: Any) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": created}, "spec": {"ingress": ingress}}


def route(hostname: str, gateway: str = "gw") -> dict[str, Any]:
    parent = {"namespace": "infra", "name": gateway}
    return {"spec": {"parentRefs": [parent], "hostnames": [hostname]}}


def test_two_gateways_may_have_the_same_hostname() -> None:
    all_ = claims()
    all_.put(FIRST, raw(OLD, hostname="x.org"))
    all_.put(SECOND, raw(NEW, hostname="x.org", gateway="infra/other"))
    assert all_.rival(SECOND) is None
    all_.put(SECOND, raw(NEW, hostname="x.org", gateway="infra/gw"))
    assert all_.rival(SECOND) == FIRST


def test_the_older_claim_wins_and_the_younger_is_told() -> None:
    all_ = claims()
    all_.put(SECOND, raw(NEW, hostname="x.org"))
    assert all_.rival(SECOND) is None
    all_.put(FIRST, raw(OLD, hostname="x.org"))
    assert all_.rival(SECOND) == FIRST
    assert all_.rival(FIRST) is None


def test_who_has_the_route_keeps_the_hostname() -> None:
    all_ = claims()
    all_.put(SECOND, raw(NEW, hostname="x.org"))
    all_.routed(SECOND, route("x.org"))
    all_.put(FIRST, raw(OLD, hostname="x.org"))
    assert all_.rival(FIRST) == SECOND
    assert all_.rival(SECOND) is None
    all_.routed(SECOND, {})
    assert all_.rival(SECOND) == FIRST


def test_a_claim_ends_with_its_service_or_its_spec() -> None:
    all_ = claims()
    all_.put(FIRST, raw(OLD, hostname="x.org"))
    all_.put(SECOND, raw(NEW, hostname="x.org"))
    all_.put(FIRST, raw(OLD, hostname="y.org"))
    assert all_.rival(SECOND) is None
    all_.put(FIRST, raw(OLD, hostname="x.org"))
    all_.remove(FIRST)
    assert all_.rival(SECOND) is None
    all_.remove(FIRST)


def test_made_names_can_meet_each_other_and_written_ones() -> None:
    all_ = claims()
    all_.put(Key("b-c", "a"), raw(OLD))
    all_.put(Key("c", "a-b"), raw(NEW))
    assert all_.rival(Key("c", "a-b")) == Key("b-c", "a")
    all_.put(SECOND, raw(NEW, hostname="a-b-c.example.com"))
    assert all_.rival(SECOND) == Key("b-c", "a")


def test_a_service_without_a_route_claims_nothing() -> None:
    all_ = claims()
    all_.put(FIRST, raw(OLD, hostname="x.org", enabled=False))
    all_.put(SECOND, raw(NEW, hostname="x.org"))
    assert all_.rival(SECOND) is None
    assert all_.rival(FIRST) is None
