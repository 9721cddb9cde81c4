"""Counter-based randomness: a draw depends on (seed, position, step) and on nothing else.

So a row's answer is the same alone and in any batch, on any row order, on any device. The mixer is
the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), applied to each counter in turn.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

TOKEN_DRAW = 1  # which token a position gets
RANK_DRAW = 2  # which position comes first under random remasking


def uniforms(seed: int, positions: np.ndarray, step: int, stream: int) -> np.ndarray:
    """Uniform float64 draws in (0, 1), one per position, shape of `positions`.

    `stream` separates independent uses (`TOKEN_DRAW`, `RANK_DRAW`) of one step.
    """
    with np.errstate(over="ignore"):
        state = _mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
        state = _mix(state ^ np.uint64(step) * _GOLDEN)
        state = _mix(state ^ np.uint64(stream) * _GOLDEN)
        bits = _mix(state ^ positions.astype(np.uint64) * _GOLDEN)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mix(x: np.ndarray | np.uint64) -> np.ndarray:
    x = np.asarray(x) + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return np.asarray(x ^ (x >> np.uint64(31)))
