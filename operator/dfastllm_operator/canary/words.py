"""Why a rollout is held or was ended, in words for its status and its Events. Pure."""

from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.moves import target
from dfastllm_operator.canary.room import size_for


def of_orders(look: Look) -> str:
    """What is wrong with the form of orders; that one means nothing now needs no more words."""
    orders = ((kind, look.order(kind)) for kind in ("promote", "abort", "retry"))
    return " ".join(
        f"rollout-{kind} has no nonce: write {order.revision}/NONCE, with one not used before."
        for kind, order in orders
        if order is not None and not order.nonce
    )


def by_order(_: Look) -> str:
    return "Somebody aborted the rollout."


def of_reversion(look: Look) -> str:
    return f"The spec asks for revision {look.seen.wanted} again."


def of_strategy(look: Look) -> str:
    return f"rollout.strategy is {look.spec.strategy} by now."


def of_user(_: Look) -> str:
    return "rollout.paused is true."


def of_losses(look: Look) -> str:
    text = f"It had traffic and was not ready {look.status.tally.losses} times."
    return f"{text} {look.candidate_seen.symptom}".strip()


def of_candidate(look: Look) -> str:
    return look.candidate_seen.symptom


def of_deadline(look: Look) -> str:
    seen, deadline = look.candidate_seen, look.spec.progress_deadline_s
    if not look.made:
        return f"Its InferenceService was not made within twice {deadline:g} s."
    count = f"{seen.ready} of {look.status.replicas} replicas were ready within {deadline:g} s."
    return f"{count} {seen.symptom}".strip()


def of_route(look: Look) -> str:
    if not look.written:
        return (
            f"The route was not given weight {look.status.weight} within twice "
            f"{look.spec.progress_deadline_s:g} s."
        )
    return (
        f"The route did not report weight {look.status.weight} within "
        f"{look.spec.progress_deadline_s:g} s."
    )


def of_room(look: Look) -> str:
    if refused := look.candidate_seen.refused:
        return f"{look.candidate_seen.pods} of {look.status.replicas} replicas have room: {refused}"
    return (
        f"{size_for(look, target(look))} replicas of the candidate do not fit maxGPUs "
        f"{look.spec.max_gpus}."
    )


def of_obstacle(look: Look) -> str:
    return look.seen.obstacles[0].message


def of_scaler(_: Look) -> str:
    return "The autoscaler of stable cannot scale: see condition ScalerReady."


def of_metrics(look: Look) -> str:
    return look.fresh.message if look.fresh else ""


def of_step_pause(look: Look) -> str:
    if look.step.pause_s == float("inf"):
        return f"Step {look.status.step + 1} waits for somebody to promote."
    return f"Step {look.status.step + 1} is held for {look.step.pause_s:g} s."
