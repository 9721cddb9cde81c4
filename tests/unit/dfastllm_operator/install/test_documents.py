"""YAML with reasons is the YAML without them."""

import yaml

from dfastllm_operator import rbac
from dfastllm_operator.install import roles
from dfastllm_operator.install.documents import HEADER, document, role_document, rules_file


def test_a_role_with_reasons_is_the_same_role() -> None:
    text = role_document(roles.cluster_role(), "All of it.", rbac.SERVICES)
    assert yaml.safe_load(text) == roles.cluster_role()


def test_the_reason_stands_above_its_rule() -> None:
    lines = role_document(roles.leader_role(), "The Lease.", rbac.LEADERSHIP).splitlines()
    for grant in rbac.LEADERSHIP:
        above = lines.index(f"# {grant.why}")
        assert lines[above + 1].startswith("- apiGroups: ")


def test_rules_alone_are_a_list() -> None:
    text = rules_file(rbac.LEADERSHIP, "The Lease.")
    assert yaml.safe_load(text) == [grant.rule() for grant in rbac.LEADERSHIP]


def test_a_document_says_who_wrote_it_and_what_it_is_for() -> None:
    text = document({"kind": "ConfigMap"}, "For this test.")
    assert text == f"{HEADER}# For this test.\nkind: ConfigMap\n"


def test_a_value_that_stands_twice_is_written_twice() -> None:
    labels = {"app": "x"}
    assert "&" not in document({"a": labels, "b": labels}, "No aliases.")
