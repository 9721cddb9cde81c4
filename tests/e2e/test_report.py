"""The report of a run: no cluster is needed for what it looks like."""

from e2e.report import Story, tables
from e2e.tally import Asked, Outcome, Tally


def test_the_tables_have_a_row_for_each_story_and_the_most_memory_of_each_part() -> None:
    tally = Tally()
    for outcome in (Outcome.FINISHED, Outcome.FINISHED, Outcome.FAILED, Outcome.BROKEN):
        tally.add(Asked(0, 1, outcome, "why"))
    first = Story("all went well", seconds=12.34, passed=True, memory_mib={"etcd": 40, "x": 1})
    first.measured(ready_s=3.456)
    second = Story("something died", seconds=5, memory_mib={"etcd": 50})
    second.saw(tally)
    lines = tables([vars(first), vars(second)]).splitlines()
    assert "| all went well | 12.3 | 0 | 0 | 0 | ready_s 3.46 |" in lines
    assert "| something died (did not pass) | 5.0 | 4 | 1 | 1 |  |" in lines
    assert lines[-2:] == ["| etcd | 50 |", "| x | 1 |"]
    assert len(second.errors) == 2


def test_the_longest_gap_is_the_time_without_an_answer_in_full() -> None:
    tally = Tally(began_s=0)
    for ended, outcome in ((1, Outcome.FINISHED), (5, Outcome.FAILED), (9, Outcome.FINISHED)):
        tally.add(Asked(0, ended, outcome))
    assert tally.longest_gap_s == 8
