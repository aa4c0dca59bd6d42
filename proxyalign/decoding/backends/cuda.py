"""On CUDA: readers that live as long as their models, and a verify step in a few kernels for rules that are thresholds.

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from proxyalign.decoding.backends.processor import ProcessorBackend
from proxyalign.decoding.backends.reference import Backend, DraftedWindow, Drawn, Outcome
from proxyalign.decoding.cycle import Cycle, Tested
from proxyalign.decoding.readers.contract import BoolArray, Both, Reads
from proxyalign.decoding.sampling import at_tokens
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral.law import FLOAT32, Law
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.verifiers import Verifier
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.models.wrapped import layers_of

if TYPE_CHECKING:
    from proxyalign.decoding.readers.static import StaticReader

BLOCK = 4096  # columns that a program reads at once; a power of two

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class CudaBackend(Backend):
    """The reference, but for threshold rules in the kernels, and for readers whose steps are captured as graphs."""

    def __init__(self) -> None:
        # Those that no one reads with, of models that are still in use: what they hold is expensive to make.
        self._idle: WeakKeyDictionary[Any, list[StaticReader]] = WeakKeyDictionary()

    def working(self, device: torch.device) -> AbstractContextManager[object]:
        """As the reference's, for kernels and graphs too, which go to torch's current device."""
        return nullcontext() if device.index is None else torch.cuda.device(device)  # without one it is the current one

    @contextmanager
    def reader(self, pair: ModelPair, role: str, n_rows: int, length: int, widths: Sequence[int]) -> Iterator[Reads]:
        """As the reference's; steps of fixed shapes where the model can be told positions and masks.

        A reader lives as long as its model, and reads one batch after the other; it is dropped after an error, where it
        is too short, where its model has changed, and where another one is made while the device is half full.
        """
        from proxyalign.decoding.readers import static  # here, since it is of no use elsewhere and slow to load

        model = getattr(pair, role)
        is_plain = not pair.has_two_vocabularies and pair.device_of(role) == pair.device
        if not is_plain or not static.supports(model):
            with Backend.reader(self, pair, role, n_rows, length, widths) as reader:
                yield reader
            return
        idle = self._idle.setdefault(layers_of(model)[-1], [])
        wanted = (role, model, pair.vocab_size, pair.context_length, n_rows, length)
        known = next((one for one in idle if one.fits(*wanted)), None)
        if known is not None:
            idle.remove(known)
        else:
            if _is_half_full(pair.device):
                self._idle.clear()
            same = static.rounded_rows(n_rows)
            idle[:] = [one for one in idle if (one.name, one.n_rows) != (role, same)]
            known = static.StaticReader(*wanted)
        known.restart(widths)
        yield known
        self._idle.setdefault(layers_of(model)[-1], []).append(known)

    def draw(self, weights: Tensor, uniforms: Tensor) -> Tensor:
        """As the reference's, up to rounding: a block of columns is found first, by its sum, and then the token in it.

        A scan over a vocabulary takes a device longer than all other work on a law.
        """
        n_columns = weights.shape[-1]
        n_blocks = -(-n_columns // BLOCK)
        blocks = pad(weights, (0, n_blocks * BLOCK - n_columns)).view(*weights.shape[:-1], n_blocks, BLOCK)
        sums = blocks.sum(-1, dtype=torch.float64).cumsum(-1)
        target = uniforms.unsqueeze(-1) * sums[..., -1:]
        # The first block that ends above the target has weight; rounding may leave none, and then the last such counts.
        which = torch.searchsorted(sums, target, right=True)
        which = which.minimum(torch.searchsorted(sums, sums[..., -1:].contiguous())).clamp_(max=n_blocks - 1)
        before = pad(sums, (1, 0)).gather(-1, which)
        inside = blocks.gather(-2, which.unsqueeze(-1).expand(*which.shape, BLOCK)).squeeze(-2)
        columns = torch.arange(BLOCK, device=weights.device)
        last = columns.where(inside > 0, 0).amax(-1, keepdim=True)
        is_above = (before + inside.cumsum(-1, dtype=torch.float64) > target) & (inside > 0)
        token = columns.where(is_above, last).amin(-1, keepdim=True)
        return (which * BLOCK + token).squeeze(-1).clamp_(max=n_columns - 1)

    def verify(
        self,
        rule: Rule,
        shaping: Shaping,
        window: DraftedWindow,
        *,
        wanted: BoolArray | None = None,
        verifier: Verifier | None = None,
    ) -> Outcome:
        """As the reference's, up to rounding, in the kernels where these can be asked."""
        if rule.decides_on_host:
            return self._verify_on_host(rule, shaping, window, wanted, verifier)
        logits = window.logits["base"]
        is_plain = wanted is None and verifier is None
        if not is_plain or not _has_triton() or not covers(rule, logits.dtype, shaping):
            return super().verify(rule, shaping, window, wanted=wanted, verifier=verifier)
        shaped = shaping.shaped("base", logits, window.n_before)
        return Outcome(self.examine_fused(rule, shaped, window, shaping.rule_temperature), None, None)

    def _verify_on_host(
        self,
        rule: Rule,
        shaping: Shaping,
        window: DraftedWindow,
        wanted: BoolArray | None,
        verifier: Verifier | None,
    ) -> Outcome:
        shaped = {role: shaping.shaped(role, logits, window.n_before) for role, logits in window.logits.items()}
        q, state = window.law_of_proxy, window.state
        found = _on_host(*shaped.values(), q.own, q.drawn, window.drafts, window.u, state)
        of_proxy = q.mapped(found)
        there = DraftedWindow(
            {role: found(logits) for role, logits in shaped.items()},
            [of_proxy.rows(slice(place, place + 1)) for place in range(window.drafts.shape[1])],
            None if state is None else found(state),
            found(window.drafts),
            Both(window.owed.host, torch.from_numpy(window.owed.host)),
            found(window.u),
            Both(window.n_before.host, torch.from_numpy(window.n_before.host)),
        )
        tempered_alone = replace(shaping, bias=None, min_new_tokens=0, truncations={})
        cycle, states, laws = ProcessorBackend().verify(rule, tempered_alone, there, wanted=wanted, verifier=verifier)
        return Outcome(cycle, None if states is None else states.to(window.drafts.device), laws)

    def step(self, rule: Rule, p: Law, q: Law | None, q0: Law | None, state: Tensor | None, u: Tensor) -> Drawn:
        """As the reference's, on the host for a rule that decides there."""
        if not rule.decides_on_host:
            return super().step(rule, p, q, q0, state, u)
        laws = [law for law in (p, q, q0) if law is not None]
        found = _on_host(u, state, *(rows for law in laws for rows in (law.own, law.drawn)))
        q_there, q0_there = (None if law is None else law.mapped(found) for law in (q, q0))
        state_there = None if state is None else found(state)
        drawn = ProcessorBackend().step(rule, p.mapped(found), q_there, q0_there, state_there, found(u))
        tokens, thrown = self.send(p.own.device, drawn.tokens.numpy()[:, 0], drawn.thrown.host)
        states, deferred = (None if one is None else one.to(p.own.device) for one in (drawn.states, drawn.deferred))
        return drawn._replace(tokens=tokens.device.unsqueeze(1), thrown=thrown, states=states, deferred=deferred)

    def examine_fused(self, rule: Rule, logits: Tensor, window: DraftedWindow, rule_temperature: float = 1.0) -> Cycle:
        """What `examine` says of a window, from the base's logits; rules that are covered have no state.

        logits: (B, g + 1, V), float32 or half precision, biased and truncated already. The window's proxy laws are
        float32, and their temperature is the base's as well. A rejected row's last p_y is 0. Raises InputError for a
        rule that is no threshold, and where a model gave NaN or infinity.
        """
        n_drafts = window.drafts.shape[1]
        q, drafts, owed = window.law_of_proxy, window.drafts, window.owed
        packed = _launch(rule, logits, q, drafts, owed.device, window.u, rule_temperature).cpu().numpy()  # the one copy
        widths = [3, n_drafts + 1, n_drafts + 1, n_drafts + 1]
        outcome, tokens, p_y, mass, q_x = np.split(packed, np.cumsum(widths), axis=1)
        tokens[np.arange(len(tokens)), outcome[:, 0].astype(np.int64)] = outcome[:, 1]
        tested = Tested(tokens, outcome[:, 0], outcome[:, 2:], p_y, mass, q_x, q_x[:, :0])
        return Cycle.of(tested, owed.host, window.n_before.host, has_bonus=True)


def _on_host(*tensors: Tensor | None) -> Callable[[Tensor], Tensor]:
    """What gives each of these tensors as it is on the host: all of them are brought there in one copy."""
    # Wide numbers first, so that each part begins where its dtype may.
    # A copy, since a single number of a wider row passes for contiguous, and is not to be had as bytes.
    parts = {id(one): one.clone(memory_format=torch.contiguous_format) for one in tensors if one is not None}
    order = sorted(parts, key=lambda at: -parts[at].element_size())
    sizes = [parts[at].nbytes for at in order]
    together = torch.cat([parts[at].view(torch.uint8).flatten() for at in order]).cpu()
    there = {
        at: together[end - size : end].view(parts[at].dtype).view(parts[at].shape)
        for at, size, end in zip(order, sizes, accumulate(sizes), strict=True)
    }
    return lambda one: there[id(one)]


def _is_half_full(device: torch.device) -> bool:
    if not torch.cuda.is_available():
        return False
    free, total = torch.cuda.mem_get_info(device)
    return bool(free < total / 2)


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
    rule: Rule, logits: Tensor, q: Law, drafts: Tensor, owed: Tensor, u: Tensor, rule_temperature: float
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
        owed, outcome, p_y, *strides, **laws, PLACES=_power(n_places), **options,
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
