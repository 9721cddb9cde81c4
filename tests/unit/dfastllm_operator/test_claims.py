from typing import Any

from dfastllm_operator.claims import Claims
from dfastllm_operator.core import Key

OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def raw(created: str, **ingress: Any) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": created}, "spec": {"ingress": ingress}}


def test_the_older_claim_wins_and_the_younger_is_told() -> None:
    claims = Claims()
    first, second = Key("a", "one"), Key("b", "two")
    claims.put(second, raw(NEW, hostname="x.org"))
    assert claims.older(second) is None
    claims.put(first, raw(OLD, hostname="x.org"))
    assert claims.older(second) == first
    assert claims.older(first) is None


def test_a_claim_ends_with_its_service_or_its_spec() -> None:
    claims = Claims()
    first, second = Key("a", "one"), Key("b", "two")
    claims.put(first, raw(OLD, hostname="x.org"))
    claims.put(second, raw(NEW, hostname="x.org"))
    claims.put(first, raw(OLD, hostname="y.org"))
    assert claims.older(second) is None
    claims.put(first, raw(OLD, hostname="x.org"))
    claims.remove(first)
    assert claims.older(second) is None
    claims.remove(first)


def test_made_names_can_meet_too() -> None:
    claims = Claims()
    claims.put(Key("b-c", "a"), raw(OLD))
    claims.put(Key("c", "a-b"), raw(NEW))
    assert claims.older(Key("c", "a-b")) == Key("b-c", "a")


def test_a_service_without_a_route_claims_nothing() -> None:
    claims = Claims()
    claims.put(Key("a", "one"), raw(OLD, hostname="x.org", enabled=False))
    claims.put(Key("b", "two"), raw(NEW, hostname="x.org"))
    assert claims.older(Key("b", "two")) is None
    assert claims.older(Key("a", "one")) is None
