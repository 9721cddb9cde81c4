from typing import Any

import pytest

from dfastllm_operator.api import Spec, parse
from dfastllm_operator.api.schema import structural
from dfastllm_operator.errors import Refuse
from support.custom_resources import TAKEN, TINY, custom_resource
from support.refused_resources import REFUSED

Json = dict[str, Any]


def rules(node: Json) -> list[Json]:
    found = list(node.get("x-kubernetes-validations", []))
    children = [*node.get("properties", {}).values(), *filter(None, [node.get("items")])]
    return found + [rule for child in children for rule in rules(child)]


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_a_rule_is_refused_in_the_rules_words(case: str) -> None:
    spec, message = REFUSED[case]
    with pytest.raises(Refuse) as refusal:
        parse(custom_resource(spec))
    assert refusal.value.reason == "InvalidSpec"
    assert message in refusal.value.message


def test_every_rule_has_a_case() -> None:
    told = [message for _, message in REFUSED.values()]
    untested = [
        rule["message"]
        for rule in rules(structural(Spec))
        if not any(message in rule["message"] for message in told)
    ]
    assert not untested


@pytest.mark.parametrize("case", TAKEN)
def test_what_a_rule_just_allows_is_taken(case: str) -> None:
    assert parse(custom_resource(TAKEN[case])).name == "tiny"


def test_a_rule_names_the_field_it_is_about() -> None:
    with pytest.raises(Refuse) as refusal:
        parse(custom_resource({**TINY, "replicas": {"min": 3, "max": 2}}))
    assert refusal.value.message.startswith("spec.replicas.min is 3: replicas.min must not exceed")


@pytest.mark.parametrize(
    "extra",
    [
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        {"volumes": [{"name": "a", "mountPath": path, "emptyDir": {}} for path in ("/a", "/b")]},
        {"topologySpreadConstraints": [{"topologyKey": "zone"}, {"topologyKey": "zone"}]},
    ],
)
def test_keys_of_a_list_are_unique(extra: Json) -> None:
    with pytest.raises(Refuse, match="stands in the list twice"):
        parse(custom_resource({**TINY, **extra}))


def test_a_rate_limit_says_what_it_wants() -> None:
    with pytest.raises(Refuse, match="100/minute"):
        parse(custom_resource({**TINY, "rateLimit": {"requests": "100 per minute"}}))
