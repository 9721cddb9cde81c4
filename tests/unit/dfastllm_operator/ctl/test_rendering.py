"""What people read, as text and to the letter."""

import io
from datetime import UTC, datetime, timedelta
from textwrap import dedent

import pytest
from rich.console import Console, RenderableType

from dfastllm_operator.ctl.history import changes, history
from dfastllm_operator.ctl.rendering import age, block, line, revisions
from dfastllm_operator.ctl.view import view
from support.rollouts import BAD, GOOD, MEASURED, Json, failed, said, service, under_way

NOW = datetime(2026, 11, 28, 20, 1, 35, tzinfo=UTC)


def text(renderable: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(renderable)
    return "\n".join(row.rstrip() for row in out.getvalue().splitlines())


def shown(cr: Json) -> str:
    return text(block(view(cr), NOW))


def lines(expected: str) -> str:
    return dedent(expected).strip("\n")


def test_a_rollout_at_a_step() -> None:
    rollout = under_way(step=1, weight=50, confirmed=10, tally={"failures": 1, **MEASURED})
    assert shown(service({**rollout, "measurements": [GOOD, BAD]})) == lines(
        """
        team/chat  Analyzing for 95s, at this step for 4m35s
        stable     aaaa111111  slot a   50 %  ###############...............
        candidate  bbbb222222  slot b   50 %  ###############...............
        the route still gives the candidate 10 %
        steps      10 % > [50 %] > 100 %

        metric            candidate  stable  allowed             samples  verdict
        errorRate         0 %                max 1 %             61       Pass
        tokensPerForward  1.00       3.85    maxRegression 30 %  61       Fail
        tokensPerForward 1.00 is 74.0 % below stable's 3.85 (allowed: 30 %)
        failed looks at this step: 1 of 2
        """
    )


def test_a_rollout_that_failed() -> None:
    assert shown(service(failed())) == lines(
        """
        team/chat  Failed for 95s
        stable  aaaa111111  slot a  100 %  ##############################
        revision bbbb222222 failed and is not tried again by itself

        MetricsFailed: tokensPerForward 1.00 is 74.0 % below stable's 3.85 (allowed: 30 %)
        """
    )


def test_a_former_revision_on_its_way_out() -> None:
    leaving = {"revision": "aaaa111111", "slot": "a", "since": "2026-11-28T20:01:30Z"}
    stable = {"revision": "bbbb222222", "slot": "b"}
    rollout = {"phase": "Finalizing", "stable": stable, "leaving": leaving}
    assert shown(service(rollout)) == lines(
        """
        team/chat  Finalizing for ?
        stable   bbbb222222  slot b  100 %  ##############################
        leaving  aaaa111111  slot a         no traffic for 5s
        """
    )


def test_a_change_that_is_held_says_why() -> None:
    cr = said(service({"phase": "Stable"}), ("RolloutBlocked", "True", "NoRoom"))
    assert "the latest change is held: NoRoom: because" in shown(cr)
    assert line(view(cr)) == "Stable - the latest change is held: NoRoom: because"


def test_a_change_that_the_operator_has_not_seen_is_said_so() -> None:
    cr = service({"phase": "Stable"})
    cr["metadata"]["generation"] = 2
    assert "the operator has not looked at the latest change yet" in shown(cr)


def test_steps_are_shown_with_their_pauses() -> None:
    steps = [{"weight": 10, "pause": "10m"}, {"weight": 100, "pause": "forever"}]
    cr = service(under_way())
    cr["spec"]["rollout"] = {"strategy": "Canary", "steps": steps}
    assert "steps      [10 % for 10m] > 100 % for forever" in shown(cr)


def test_a_service_without_a_rollout() -> None:
    assert shown(service(None)) == "team/chat\nno rollout: strategy Canary"


def test_a_paused_service_says_that_nothing_happens() -> None:
    said = shown(service(under_way(), paused=True))
    assert "spec.paused is set: the operator changes nothing, not even back" in said


def test_the_same_sentence_is_said_once() -> None:
    away = {"outcome": "Error", "message": "http://prometheus: connection refused"}
    rollout = under_way(measurements=[{**GOOD, **away}, {**BAD, **away}], tally=MEASURED)
    assert shown(service(rollout)).count("connection refused") == 1


def test_words_in_brackets_are_no_markup() -> None:
    said = shown(service(failed(message="[red]pod x[/red]")))
    assert "[red]pod x[/red]" in said


def test_an_unknown_phase_is_shown_as_it_is() -> None:
    assert "Pondering" in shown(service(under_way("Pondering")))


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (None, "no rollout, strategy Canary"),
        (
            under_way(weight=50, confirmed=10, step=1),
            "Analyzing step=2/3 weight=10->50 candidate=bbbb222222 stable=aaaa111111",
        ),
        (
            under_way(measurements=[GOOD, BAD], tally={"failures": 1, **MEASURED}),
            "Analyzing step=1/3 weight=10 candidate=bbbb222222 stable=aaaa111111 "
            "errorRate=0%:Pass tokensPerForward=1.00|3.85:Fail failures=1",
        ),
        (
            failed(),
            "Failed stable=aaaa111111 failed=bbbb222222 cause=MetricsFailed "
            "- tokensPerForward 1.00 is 74.0 % below stable's 3.85 (allowed: 30 %)",
        ),
    ],
)
def test_a_line_tells_the_same(rollout: Json | None, expected: str) -> None:
    assert line(view(service(rollout))) == expected


def test_what_is_only_shown_stands_in_the_table_and_in_no_line() -> None:
    rate = {"metric": "tokensPerSecond", "outcome": "Shown", "candidate": "80.00"}
    measured = {"tally": MEASURED, "measurements": [GOOD]}
    plain = view(service(under_way(**measured)))
    found = view(service(under_way(**{**measured, "measurements": [GOOD, rate]})))
    assert line(found) == line(plain)
    assert "tokensPerSecond  80.00" in text(block(found, NOW))


def record(revision: str, created: str, uid: str = "uid-chat", **data: object) -> Json:
    return {
        "metadata": {"creationTimestamp": created, "ownerReferences": [{"uid": uid}]},
        "data": {
            "hash": revision,
            "inputs": {"model": {"uri": f"hf://{revision[:4]}"}},
            "resolved": {"image": "server:1"},
            **data,
        },
    }


def test_revisions_are_listed_the_newest_first_with_their_part() -> None:
    cr = service(failed())
    records = [
        record("0000000000", "2026-11-26T10:00:00Z"),
        record("bbbb222222", "2026-11-28T19:00:00Z"),
        record("aaaa111111", "2026-11-27T10:00:00Z"),
        record("cccc333333", "2026-11-28T19:30:00Z", uid="of-a-former-service"),
    ]
    assert text(revisions(history(cr, records, view(cr)))) == lines(
        """
        revision    created               role    model      image     changed
        bbbb222222  2026-11-28T19:00:00Z  failed  hf://bbbb  server:1  model.uri hf://aaaa > hf://bbbb
        aaaa111111  2026-11-27T10:00:00Z  stable  hf://aaaa  server:1  model.uri hf://0000 > hf://aaaa
        0000000000  2026-11-26T10:00:00Z          hf://0000  server:1
        """
    )


def test_revisions_of_one_second_are_told_apart_by_their_numbers() -> None:
    cr, at = service(None), "2026-11-27T10:00:00Z"
    numbers = {"bbbb222222": 3, "aaaa111111": 1, "cccc333333": 2}
    records = [{**record(name, at), "revision": number} for name, number in numbers.items()]
    found = [entry.revision for entry in history(cr, records, view(cr))]
    assert found == ["bbbb222222", "cccc333333", "aaaa111111"]


def test_what_changed_is_told_field_by_field() -> None:
    before = {"model": {"uri": "builtin://tiny"}, "decoding": {"steps": 8}, "env": [{"name": "A"}]}
    after = {"model": {"uri": "builtin://tiny"}, "decoding": {"threshold": 0.8}, "env": []}
    assert changes(before, after) == [
        "decoding.steps 8 > none",
        "decoding.threshold none > 0.8",
        'env [{"name": "A"}] > []',
    ]


def test_without_a_rollout_the_serving_revision_is_marked() -> None:
    cr = service(None)
    (entry,) = history(cr, [record("aaaa111111", "2026-11-27T10:00:00Z")], view(cr))
    assert entry.role == "serving"


def test_no_revisions_are_said_to_be_none() -> None:
    assert text(revisions([])) == "no revisions are kept"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0s"),
        (119, "119s"),
        (120, "2m"),
        (275, "4m35s"),
        (3600, "1h"),
        (11_000, "3h3m"),
        (400_000, "4d"),
    ],
)
def test_ages_are_short(seconds: int, expected: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == expected
    assert age(None, NOW) == "?"
