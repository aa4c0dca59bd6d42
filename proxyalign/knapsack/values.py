"""What deferring a token is worth: the value models by name, each a function of the base's and the proxy's law."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

ValueModel = Literal["surprisal", "advantage", "probability-gap"]  # all but the first read the proxy's law too


def surprisal(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """-p log p in nats, elementwise: the log loss under the plug-in estimate (Hammal et al., Kad, EACL 2026).

    p: float64, non-negative, any shape. 0 where `p` is 0 or, by rounding, above 1.
    """
    return p * minus_log(p)


def minus_log(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log p, 0 where `p` is 0 (for the product with p) or above 1."""
    logarithms = np.zeros_like(p)
    np.log(p, out=logarithms, where=(p > 0.0) & (p < 1.0))
    return np.negative(logarithms, out=logarithms) + 0.0  # + 0.0 turns -0.0 into 0.0


def advantage(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) float64 nats: p max(0, log q - log p), what the proxy's law would save; 0 where either is 0."""
    values = np.zeros_like(p)
    both = (p > 0.0) & (q > 0.0)
    values[both] = p[both] * np.maximum(0.0, np.log(q[both]) - np.log(p[both]))
    return values


def probability_gap(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) float64 probability: max(0, q - p), by how much the base underrates a token in the proxy's eyes.

    All of it is the total variation distance of the two laws. It is p (q / p - 1) where `advantage` has
    p log(q / p), so both rank tokens by q / p; a token with p = 0 costs nothing and counts too.
    """
    return np.maximum(0.0, q - p)
