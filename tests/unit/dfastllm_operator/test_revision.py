import json

from dfastllm_operator.names import FORMER_NAMES
from dfastllm_operator.revision import digest, from_record, notes_of, revision_hash, to_record
from support.situations import record, service


def test_numbers_count_as_the_api_server_gives_them_back() -> None:
    assert digest({"a": 100.0, "b": [1.0]}) == digest({"b": [1], "a": 100})
    assert digest({"a": 0.5}) != digest({"a": 0})
    assert digest({"a": True}) != digest({"a": 1})


def test_a_record_reads_as_it_was_written() -> None:
    data = record({"decoding": {"threshold": 0.8}}).body["data"]
    assert to_record(from_record(data)) == data


def test_names_that_a_revision_gets_later_are_noted_beside_its_record() -> None:
    data = record({}).body["data"]
    assert notes_of(from_record(data)) == {}
    for recorded in ([], ["old"]):
        resolved = {**data["resolved"], **({"formerNames": recorded} if recorded else {})}
        made = {**data, "resolved": resolved}
        for noted in (["new", "old"], []):
            notes = {FORMER_NAMES: json.dumps(noted)}
            revision = from_record(made, notes)
            assert revision.resolved.former_names == tuple(noted)
            assert to_record(revision) == made
            assert notes_of(revision) == (notes if noted != recorded else {})


def test_a_default_written_out_is_not_another_revision() -> None:
    plain = revision_hash(service({}).spec)
    assert revision_hash(service({"decoding": {"maxFactor": 100}}).spec) == plain
    assert revision_hash(service({"decoding": {"maxFactor": 50}}).spec) != plain
