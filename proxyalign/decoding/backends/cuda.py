"""On CUDA: captured steps, and the verify step in a few Triton kernels for rules that compare p with a number a row.

`Backend.examine` makes laws (B, n, V) and sets of them, and asks the host in between; this reads the base's logits
and tells the host everything in one copy. How often it reads a logit of the base:

    summarise       once: the row's maximum, sums, argmax, and whether a number is bad
    weigh_deferred  once more, but not where the threshold is 0 or infinite: the deferral mass of both laws
    accept          the g drafts' alone
    weigh_final     one row of the g + 1: sums of the weights, by blocks
    draw_final      one block of that row

At most twice each, then, and one row of g + 1 a third time; of the proxy's laws, one row of g and the drafts.

The result is that of `Backend.examine` up to rounding: a law's float32 sum is made in another order, so that p may
differ in its last digits, and a token within these of a threshold, a test or a boundary of the inverse CDF may fall on
the other side. Given p, the comparison with the threshold is the rule's own. Where a rule defers a whole row its mass
is 1, where `examine` has the law's float32 sum.
"""

import math
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding.backends.reference import Backend, DraftedWindow, Outcome
from proxyalign.decoding.cycle import Cycle, Tested
from proxyalign.decoding.readers.contract import BoolArray, Reads
from proxyalign.decoding.sampling import at_tokens
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral.law import FLOAT32, Law
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair

BLOCK = 4096  # columns that a program reads at once; a power of two

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class CudaBackend(Backend):
    """The reference, but for threshold rules in the kernels, and for readers whose steps are captured as graphs."""

    def reader(self, pair: ModelPair, role: str, n_rows: int, length: int) -> Reads:
        """As the reference's; steps of fixed shapes where the model can be told positions and masks."""
        from proxyalign.decoding.readers import static  # here, since it is of no use elsewhere and slow to load

        model = getattr(pair, role)
        if not static.supports(model):
            return Backend.reader(self, pair, role, n_rows, length)
        return static.StaticReader(role, model, pair.vocab_size, pair.context_length, n_rows, length)

    def verify(self, rule: Rule, shaping: Shaping, window: DraftedWindow, *, with_laws: bool = False) -> Outcome:
        """As the reference's, up to rounding, in the kernels where these can be asked."""
        logits = window.logits["base"]
        if with_laws or not _has_triton() or not covers(rule, logits.dtype, shaping):
            return super().verify(rule, shaping, window, with_laws=with_laws)
        shaped = shaping.shaped("base", logits, window.n_before)
        return Outcome(self.examine_fused(rule, shaped, window, shaping.rule_temperature), None, None)

    def examine_fused(self, rule: Rule, logits: Tensor, window: DraftedWindow, rule_temperature: float = 1.0) -> Cycle:
        """What `examine` says of a window, from the base's logits; rules that are covered have no state.

        logits: (B, g + 1, V), float32 or half precision, biased and truncated already. The window's proxy laws are
        float32, and their temperature is the base's as well. A rejected row's last p_y is 0. Raises InputError for a
        rule that is no threshold, and where a model gave NaN or infinity.
        """
        n_drafts = window.drafts.shape[1]
        q, drafts, owed = window.law_of_proxy, window.drafts, window.owed
        packed = _launch(rule, logits, q, drafts, owed, window.u, rule_temperature).cpu().numpy()  # the one copy
        widths = [3, n_drafts + 1, n_drafts + 1, n_drafts + 1]
        outcome, tokens, p_y, mass, q_x = np.split(packed, np.cumsum(widths), axis=1)
        tokens[np.arange(len(tokens)), outcome[:, 0].astype(np.int64)] = outcome[:, 1]
        tested = Tested(tokens, outcome[:, 0], outcome[:, 2:], p_y, mass, q_x, q_x[:, :0])
        return Cycle.of(tested, owed, window.n_before, has_bonus=True)


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def covers(rule: Rule, dtype: torch.dtype, shaping: Shaping) -> bool:
    """Whether the kernels can be asked: for a threshold rule, on logits and at temperatures that float32 holds."""
    heats = (shaping.temperature or 1.0, shaping.rule_temperature)
    return (
        dtype in _DTYPES
        and all(FLOAT32.tiny <= heat <= FLOAT32.max for heat in heats)
        and rule.threshold(torch.ones(1)) is not None
    )


def _launch(
    rule: Rule, logits: Tensor, q: Law, drafts: Tensor, owed: BoolArray, u: Tensor, rule_temperature: float
) -> Tensor:
    """All that the host will ask for, without asking it: float64 (B, 3 + 3 (g + 1) + g), side by side

    n_passed, the token after them, whether it is owed (B, 3); the drafts and that token, p_y, mass: (B, g + 1) each; q
    at the drafts (B, g). NaN in p_y or in q marks a row whose logits were bad. Ids are exact in float64.
    """
    from proxyalign.decoding.backends import cuda_kernels as kernels

    n, n_places, n_columns = logits.shape
    n_drafts, n_blocks, device = n_places - 1, -(-n_columns // BLOCK), logits.device
    if logits.stride(-1) != 1:
        logits = logits.contiguous()
    own_t, is_greedy = float(rule_temperature), q.temperature == 0.0
    drawn_t = own_t if is_greedy else float(q.temperature)
    laws: dict[str, Any] = {"own_t": own_t, "drawn_t": drawn_t, "SAME": own_t == drawn_t}
    # The sums and products are torch's, unfused; so `examine` and all kernels round alike.
    options: dict[str, Any] = {"num_warps": 8, "enable_fp_fusion": False}
    strides = (logits.stride(0), logits.stride(1), n_places)

    partial = torch.empty(n * n_places, n_blocks, 5, device=device)
    kernels.summarise[(n * n_places, n_blocks)](logits, partial, *strides, n_columns, **laws, BLOCK=BLOCK, **options)
    statistics = _combined(rule, partial, own_t, drawn_t, n_columns)

    laws["GREEDY"] = is_greedy
    partial = torch.empty(n * n_places, n_blocks, 2, device=device)
    kernels.weigh_deferred[(n * n_places, n_blocks)](
        logits, statistics, partial, *strides, n_columns, **laws, BLOCK=BLOCK, **options
    )
    own_mass, drawn_mass = partial.sum(1, dtype=torch.float64).float().T.contiguous()

    q_x = at_tokens(q.drawn, drafts)
    outcome = torch.empty(n, 3, dtype=torch.int64, device=device)
    p_y = torch.empty(n, n_places, device=device)
    kernels.accept[(n,)](
        logits, statistics, drawn_mass, drafts.contiguous(), q_x, u[:, 1 : 2 * n_drafts : 2].contiguous(),
        torch.from_numpy(owed).to(device), outcome, p_y, *strides, **laws, PLACES=_power(n_places), **options,
    )  # fmt: skip

    row = (logits, statistics, drawn_mass, q.drawn.contiguous(), outcome)
    sums = torch.empty(n, n_blocks, 2, dtype=torch.float64, device=device)
    kernels.weigh_final[(n, n_blocks)](*row, sums, *strides, n_columns, **laws, BLOCK=BLOCK, **options)
    kernels.draw_final[(n,)](
        *row, sums, u[:, -1].contiguous(), p_y, *strides, n_columns, n_blocks, **laws,
        BLOCK=BLOCK, BLOCKS=_power(n_blocks), **options,
    )  # fmt: skip
    read = q_x if q.own is q.drawn else at_tokens(q.own, drafts)
    parts = [outcome, drafts, outcome[:, 1:2], p_y, own_mass.view(n, n_places), read]
    return torch.cat([part.double() for part in parts], dim=1)


def _combined(rule: Rule, partial: Tensor, own_t: float, drawn_t: float, n_columns: int) -> Tensor:
    """The statistics (rows, 5) of rows from those of their blocks (rows, blocks, 5), and the rule's thresholds.

    The sums of a bad row are NaN, and so then are its probabilities, as those of a softmax.
    """
    tops, own, drawn, firsts, is_bad = partial.unbind(-1)
    top = tops.amax(-1, keepdim=True)
    below = tops - top
    nothing = (is_bad.amax(-1) > 0) | torch.isneginf(top.squeeze(-1))
    sums = [
        (part * (below / temperature).exp()).sum(-1).masked_fill(nothing, math.nan)
        for part, temperature in ((own, own_t), (drawn, drawn_t))
    ]
    first = firsts.where(below == 0.0, float(n_columns)).amin(-1)
    bound = rule.threshold(1.0 / sums[0])  # exp(0) / sum, as the kernels have it
    if bound is None:
        raise InputError(f"decoding: the kernels must be asked of a threshold on p, got {rule.name}; ask the reference")
    return torch.stack([top.squeeze(-1), *sums, first, bound], dim=-1)


def _power(n: int) -> int:
    """The smallest power of two that is not below n >= 1."""
    return 1 << (n - 1).bit_length()
