from typing import Any

import pytest

from dfastllm.core import CacheKind, DecodingParams, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.server.loading import check_defaults
from dfastllm.settings import DecodingSection


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
    ],
)
def test_a_models_default_beyond_the_limits_is_refused_at_the_start(
    defaults: DecodingParams, limits: dict[str, Any], name: str
) -> None:
    with pytest.raises(CheckpointError, match=f"default {name} is"):
        check_defaults(defaults, DecodingSection(**limits))
    check_defaults(DecodingParams(), DecodingSection())
