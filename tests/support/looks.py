"""Makes an operator look at its services, and tells what it writes then.

A service whose metadata somebody annotates is looked at, though nothing of it has changed: "nothing
is written any more" needs no waiting.
"""

import re
import secrets

from dfastllm_operator.kinds import SERVICE_RESOURCE
from support.apicall import Call
from support.operators import Operator, Stage
from support.process import until

ANNOTATION = "example.org/looked"
LOOKS = re.compile(
    r'^dfastllm_operator_reconcile_duration_seconds_count\{result="ok"\} (\S+)$', re.M
)


def looks(operator: Operator) -> int:
    """How often it has looked at a service, to the end and without an error."""
    found = LOOKS.search(operator.metrics())
    return int(float(found[1])) if found else 0


def look(stage: Stage) -> list[Call]:
    """What the stage's operator writes at one look at every service."""
    before, seen = len(stage.proxy.ledger.writes), looks(stage.operator)
    services = [body["metadata"]["name"] for body in stage.services.every()]
    mark = {"metadata": {"annotations": {ANNOTATION: secrets.token_hex(4)}}}
    for name in services:
        stage.api.merge(SERVICE_RESOURCE, stage.namespace, name, mark)
    until(lambda: looks(stage.operator) >= seen + len(services), "a look at every service")
    return stage.proxy.ledger.writes[before:]


def quiet(stage: Stage) -> None:
    """Return once a look makes the operator write nothing, which it has to come to."""
    last: list[Call] = []

    def still() -> bool:
        nonlocal last
        last = look(stage)
        return not last

    try:
        until(still, "quiet")
    except AssertionError:
        raise AssertionError(f"never quiet: {[str(call) for call in last]}") from None
