from typing import Any

import pytest

from dfastllm.core import CacheKind, DecodingParams, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.server.loading import check_defaults
from dfastllm.settings_decoding import DecodingSection


@pytest.mark.parametrize(
    ("defaults", "limits", "name"),
    [
        (
            DecodingParams(StrategyName.FACTOR),
            {"allowed_strategies": (StrategyName.FIXED,)},
            "strategy",
        ),
        (DecodingParams(cache=CacheKind.DUAL), {"allowed_caches": (CacheKind.NONE,)}, "cache"),
        (DecodingParams(block_length=64), {"max_block_length": 32}, "block_length"),
        (DecodingParams(threshold=0.5), {"min_threshold": 0.8}, "threshold"),
        (DecodingParams(factor=3.0), {"max_factor": 2.0}, "factor"),
        (DecodingParams(r=0.5), {"max_r": 0.4}, "r"),
        (DecodingParams(window=32), {"max_window": 16}, "window"),
        (DecodingParams(lookahead=128), {"max_lookahead": 64}, "lookahead"),
    ],
)
def test_a_models_default_beyond_the_limits_is_refused_at_the_start(
    defaults: DecodingParams, limits: dict[str, Any], name: str
) -> None:
    with pytest.raises(CheckpointError, match=f"default {name} is"):
        check_defaults(defaults, DecodingSection(**limits))
    check_defaults(DecodingParams(), DecodingSection())


def test_a_default_that_needs_a_verifier_is_refused_at_the_start_without_one() -> None:
    apd = DecodingParams(StrategyName.APD)
    with pytest.raises(CheckpointError, match="--verifier"):
        check_defaults(apd, DecodingSection())
    check_defaults(apd, DecodingSection(), verifies=True)
