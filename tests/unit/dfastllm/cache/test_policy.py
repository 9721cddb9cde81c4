"""What a row feeds by cache kind, block and the state of its K/V."""

import pytest

from dfastllm.cache.policy import CachePolicy, Feed
from dfastllm.core import CacheKind

KEPT_KINDS = [CacheKind.PREFIX, CacheKind.DUAL]
CAUSAL_CONTEXT = CachePolicy(lead=1, causal_context=True)
CONTEXT_APART = CachePolicy(lead=1, causal_context=True, context_apart=True)


def test_without_a_cache_context_and_block_are_fed_and_nothing_right_of_it() -> None:
    feed = CAUSAL_CONTEXT.plan(CacheKind.NONE, (20, 28), 60, fresh=True, kept=20)
    assert feed == Feed(0, 28, 28, refresh=True, store=False, causal_until=20)
    assert feed.n_causal == 20


@pytest.mark.parametrize("kind", KEPT_KINDS)
@pytest.mark.parametrize(
    ("kept", "start"),
    [
        (0, 0),  # nothing yet
        (12, 12),  # the block before this one is final now, and was not when it was last fed
        (20, 19),  # only what leads into the block, for its logits
    ],
)
def test_a_causal_context_is_fed_from_where_its_kv_are_not_final(
    kind: CacheKind, kept: int, start: int
) -> None:
    feed = CAUSAL_CONTEXT.plan(kind, (20, 28), 60, fresh=False, kept=kept)
    assert feed == Feed(start, 28, 28, refresh=start == 0, store=True, causal_until=20)
    assert feed.n_causal == 20 - start


def test_without_a_shift_nothing_leads_in() -> None:
    policy = CachePolicy(lead=0, causal_context=True)
    feed = policy.plan(CacheKind.DUAL, (20, 28), 60, fresh=True, kept=20)
    assert (feed.start, feed.n_causal) == (20, 0)


@pytest.mark.parametrize(
    ("kind", "kept", "start"),
    [
        (CacheKind.NONE, 19, 0),  # all of it again
        (CacheKind.PREFIX, 0, 0),
        (CacheKind.DUAL, 12, 12),
        (CacheKind.DUAL, 19, 19),  # nothing is left to the other network
        (CacheKind.DUAL, 24, 19),  # its K/V of the block are of no use to a reader of both
    ],
)
def test_what_leads_in_belongs_to_the_block_where_another_network_reads_the_context(
    kind: CacheKind, kept: int, start: int
) -> None:
    feed = CONTEXT_APART.plan(kind, (20, 28), 60, fresh=False, kept=kept)
    assert feed == Feed(start, 28, 28, refresh=start == 0, store=True, causal_until=19)
    context, block = feed.split()
    assert context == Feed(start, 19, 19, refresh=start == 0, store=True, causal_until=19)
    assert context.n_causal == context.n_tokens == feed.n_causal
    assert block == Feed(19, 28, 28, refresh=False, store=True)


@pytest.mark.parametrize(("first", "lead"), [(1, 0), (0, 0), (2, 1)])
def test_a_context_may_be_empty(first: int, lead: int) -> None:
    feed = CONTEXT_APART.plan(CacheKind.DUAL, (first, first + 8), 60, fresh=False)
    context, block = feed.split()
    assert (context.start, context.end) == (0, lead)
    assert (block.start, block.end, block.n_causal) == (lead, first + 8, 0)


@pytest.mark.parametrize("policy", [CAUSAL_CONTEXT, CONTEXT_APART])
def test_where_nothing_could_be_reused_only_the_first_forward_is_a_refresh(
    policy: CachePolicy,
) -> None:
    """One token of prompt leads into the first block, and is fed with it every time."""
    first, later, plain = (
        policy.plan(kind, (1, 9), 60, fresh=fresh, kept=0)
        for kind, fresh in (
            (CacheKind.DUAL, False),
            (CacheKind.DUAL, True),
            (CacheKind.NONE, True),
        )
    )
    assert (first.start, later.start, plain.start) == (0, 0, 0)
    assert (first.refresh, later.refresh, plain.refresh) == (True, False, True)
    assert policy.plan(CacheKind.DUAL, (9, 17), 60, fresh=True, kept=0).refresh


@pytest.mark.parametrize("kind", KEPT_KINDS)
def test_a_context_that_sees_everything_is_refreshed_with_each_block(kind: CacheKind) -> None:
    policy = CachePolicy(lead=1)
    first = policy.plan(kind, (20, 28), 60, fresh=False)
    assert first == Feed(0, 60, 60, refresh=True, store=True)
    later = policy.plan(kind, (20, 28), 60, fresh=True)
    end = 28 if kind is CacheKind.DUAL else 60
    assert later == Feed(19, end, 60, refresh=False, store=True)
    assert later.n_causal == 0


def test_causal_positions_in_the_middle_of_what_is_read_are_refused() -> None:
    with pytest.raises(ValueError, match="causal positions in a feed to 28 of 60"):
        Feed(10, 28, 60, refresh=False, store=True, causal_until=20)
