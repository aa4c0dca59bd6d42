"""Next-token laws as torch tensors, drawn so as to break things: flat, peaked, tied, one-hot, with zeros."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@st.composite
def laws(draw, shape, dtype="float32"):
    """Laws of this shape: flat, peaked, tied, with zeros and with tiny entries."""
    kind = draw(st.sampled_from(["any", "tied", "peaked", "one-hot", "flat"]))
    if kind == "flat":
        weights = np.ones(shape)
    elif kind == "one-hot":
        weights = np.zeros(shape)
        weights[..., draw(st.integers(0, shape[-1] - 1))] = 1
    elif kind == "tied":
        weights = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, 2.0, 8.0])))
    elif kind == "peaked":
        weights = np.exp(draw(hnp.arrays(np.float64, shape, elements=st.floats(-80, 0))))
    else:
        weights = draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1)))
    weights = np.where(weights.sum(-1, keepdims=True) > 0, weights, 1.0)
    return torch.from_numpy((weights / weights.sum(-1, keepdims=True)).astype(dtype))
