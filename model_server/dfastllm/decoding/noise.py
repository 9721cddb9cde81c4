"""Counter-based randomness: a draw depends on (seed, position, step) and on nothing else.

So a row's answer is the same alone and in any batch, on any row order, on any device. The mixer is
the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), applied to each counter in turn.
"""

import numpy as np
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

TOKEN_DRAW = 1  # which token a position gets
RANK_DRAW = 2  # which position comes first under random remasking
VOCABULARY_DRAW = 3  # which token, with one number for each of the vocabulary


def uniforms(seed: int, positions: np.ndarray, step: int, stream: int) -> np.ndarray:
    """Uniform float64 draws in (0, 1), one per position, shape of `positions`.

    `stream` separates independent uses (`TOKEN_DRAW`, `RANK_DRAW`) of one step.
    """
    bits = _bits(seed, positions, step, stream)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def token_keys(seed: int, positions: np.ndarray, step: int) -> np.ndarray:
    """What `gumbel` spreads over the vocabulary, int64, one per position."""
    return _bits(seed, positions, step, VOCABULARY_DRAW).view(np.int64)


def gumbel(keys: Tensor, n_tokens: int) -> Tensor:
    """Gumbel noise float64 [K, n_tokens] of `keys` int64 [K], on their device.

    The same key gives the same noise, so what is drawn from two distributions with it is coupled.
    In float64: coarse uniforms would cut off the tail that rare tokens are drawn from.
    """
    tokens = torch.arange(n_tokens, device=keys.device) * _signed(_GOLDEN)
    bits = _mix_tensor(keys[:, None] ^ tokens[None, :])
    uniform = _shifted(bits, 11).double().add_(0.5).mul_(2.0**-53)
    return uniform.log_().neg_().log_().neg_()


def _bits(seed: int, positions: np.ndarray, step: int, stream: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = _mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
        state = _mix(state ^ np.uint64(step) * _GOLDEN)
        state = _mix(state ^ np.uint64(stream) * _GOLDEN)
        return _mix(state ^ positions.astype(np.uint64) * _GOLDEN)


def _mix_tensor(x: Tensor) -> Tensor:
    """`_mix` of int64, whose products wrap as unsigned ones do; changes `x`."""
    x.add_(_signed(_GOLDEN))
    x.bitwise_xor_(_shifted(x, 30)).mul_(_signed(_MIX_1))
    x.bitwise_xor_(_shifted(x, 27)).mul_(_signed(_MIX_2))
    return x.bitwise_xor_(_shifted(x, 31))


def _shifted(x: Tensor, n_bits: int) -> Tensor:
    """Shifted right with zeros coming in from the left."""
    return (x >> n_bits).bitwise_and_((1 << (64 - n_bits)) - 1)


def _signed(constant: np.uint64) -> int:
    return int(constant.astype(np.int64))


def _mix(x: np.ndarray | np.uint64) -> np.ndarray:
    x = np.asarray(x) + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return np.asarray(x ^ (x >> np.uint64(31)))
