from hypothesis import given
from hypothesis import strategies as st

from dfastllm_operator.canary.history import Recorded, kept, needed, next_number
from dfastllm_operator.canary.state import Assigned, RolloutStatus
from dfastllm_operator.revision import from_record, to_record
from support.situations import record

RECORDS = [Recorded(name, number) for number, name in enumerate("ABCDEFGH", start=1)]


def test_the_newest_records_stay() -> None:
    assert kept(RECORDS, needed=(), in_use=(), limit=3) == {"F", "G", "H"}
    assert kept(RECORDS, needed=(), in_use=(), limit=0) == frozenset()


def test_what_a_rollout_stands_on_stays_and_counts_for_nothing() -> None:
    status = RolloutStatus(stable=Assigned("A", "a"), candidate=Assigned("B", "b"), failed="C")
    assert needed(status, wanted="D") == {"A", "B", "C", "D"}
    stays = kept(RECORDS, needed(status, "D"), in_use={"E"}, limit=1)
    assert stays == {"A", "B", "C", "D", "E", "H"}


def test_numbers_grow_and_a_record_keeps_its_own() -> None:
    assert next_number([], "A") == 1
    assert next_number(RECORDS, "X") == 9
    assert next_number(RECORDS, "C") == 3


@given(
    st.sets(st.sampled_from("ABCDEFGH")), st.sets(st.sampled_from("ABCDEFGH")), st.integers(0, 9)
)
def test_nothing_in_need_is_ever_pruned(need: set[str], used: set[str], limit: int) -> None:
    stays = kept(RECORDS, need, used, limit)
    assert need | used <= stays
    assert len(stays - need - used) <= limit


def test_a_revision_is_restored_byte_for_byte() -> None:
    data = record({"decoding": {"threshold": 0.8}, "podLabels": {"team": "x"}}).body["data"]
    assert to_record(from_record(data)) == data
