"""The Triton kernels of the fused verify step; `cuda` launches them, and importing this needs triton.

A row is one place of one sequence: row = batch * n_places + place. A row's statistics are five float32 numbers: the
largest logit, the sum of exp((l - it) / T) for the rule's temperature and for the draws', the first argmax (exact
below 2^24) and the rule's threshold. Wherever a probability is needed it is made of the logit and these by `_laws`
alone, with IEEE division and no fused multiply-add, so that all kernels agree to the last bit on which tokens are
deferred and which have weight.
"""

import triton
import triton.language as tl


@triton.jit
def _read(start, columns, n_columns):
    """The logits in these columns of the row that starts at `start`, float32; minus infinity past its end."""
    return tl.load(start + columns, mask=columns < n_columns, other=-float("inf")).to(tl.float32)


@triton.jit
def _laws(logits, columns, statistics, own_t, drawn_t, SAME: tl.constexpr, GREEDY: tl.constexpr):
    """The probabilities for the rule and for the draws, and which tokens are deferred; `statistics` as pointers."""
    top = tl.load(statistics)
    own = tl.div_rn(tl.exp(tl.div_rn(logits - top, own_t)), tl.load(statistics + 1))
    if GREEDY:
        drawn = tl.where(columns == tl.load(statistics + 3).to(tl.int32), 1.0, 0.0)
    elif SAME:
        drawn = own
    else:
        drawn = tl.div_rn(tl.exp(tl.div_rn(logits - top, drawn_t)), tl.load(statistics + 2))
    return own, drawn, own < tl.load(statistics + 4)


@triton.jit
def summarise(
    logits, partial, stride_batch, stride_place, n_places, n_columns, own_t, drawn_t,
    SAME: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid (rows, blocks): a block's largest logit, sums, first argmax, and whether it is bad: (rows, blocks, 5)."""
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = block * BLOCK + tl.arange(0, BLOCK)
    read = _read(logits + (row // n_places) * stride_batch + (row % n_places) * stride_place, columns, n_columns)
    is_bad = (read != read) | (read == float("inf"))
    read = tl.where(is_bad, -float("inf"), read)
    top = tl.max(read, 0)
    shifted = read - tl.where(top == -float("inf"), 0.0, top)
    own = tl.sum(tl.exp(tl.div_rn(shifted, own_t)), 0)
    out = partial + (row * tl.num_programs(1) + block) * 5
    tl.store(out, top)
    tl.store(out + 1, own)
    if SAME:
        tl.store(out + 2, own)
    else:
        tl.store(out + 2, tl.sum(tl.exp(tl.div_rn(shifted, drawn_t)), 0))
    tl.store(out + 3, tl.min(tl.where(read == top, columns, n_columns), 0).to(tl.float32))
    tl.store(out + 4, tl.max(is_bad.to(tl.float32), 0))


@triton.jit
def weigh_deferred(
    logits, statistics, masses, stride_batch, stride_place, n_places, n_columns, own_t, drawn_t,
    SAME: tl.constexpr, GREEDY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid (rows, blocks): the deferred mass of both laws in a block: (rows, blocks, 2) float32."""
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    statistics += row * 5
    threshold = tl.load(statistics + 4)
    own_mass = 0.0
    drawn_mass = 0.0
    if threshold == float("inf"):  # all is deferred: nothing to read
        own_mass = tl.where(block == 0, 1.0, 0.0)
        drawn_mass = own_mass
    elif threshold > 0.0:
        columns = block * BLOCK + tl.arange(0, BLOCK)
        read = _read(logits + (row // n_places) * stride_batch + (row % n_places) * stride_place, columns, n_columns)
        own, drawn, deferred = _laws(read, columns, statistics, own_t, drawn_t, SAME, GREEDY)
        own_mass = tl.sum(tl.where(deferred, own, 0.0), 0)
        drawn_mass = tl.sum(tl.where(deferred, drawn, 0.0), 0)
    out = masses + (row * tl.num_programs(1) + block) * 2
    tl.store(out, own_mass)
    tl.store(out + 1, drawn_mass)


@triton.jit
def accept(
    logits, statistics, drawn_mass, drafts, q_x, uniforms, owed, outcome, p_y,
    stride_batch, stride_place, n_places, own_t, drawn_t,
    SAME: tl.constexpr, GREEDY: tl.constexpr, PLACES: tl.constexpr,
):  # fmt: skip
    """Grid (B,): test the drafts; writes n_passed into outcome (B, 3) and the drafts' p into p_y (B, n_places).

    drafts int64, q_x float32, uniforms float64: (B, n_places - 1). owed: bool (B,). PLACES: a power of two that holds
    n_places. The last place's p_y, which no draft has, is 0, or NaN where its row is bad.
    """
    batch = tl.program_id(0).to(tl.int64)
    place, n_drafts = tl.arange(0, PLACES), n_places - 1
    is_draft, at = place < n_drafts, batch * n_drafts + place
    row = batch * n_places + place
    there = tl.where(place < n_places, row, batch * n_places)  # within bounds
    token = tl.load(drafts + at, mask=is_draft, other=0)
    read = tl.load(logits + batch * stride_batch + place * stride_place + token, mask=is_draft, other=0.0)
    own, drawn, deferred = _laws(read.to(tl.float32), token, statistics + there * 5, own_t, drawn_t, SAME, GREEDY)
    q = tl.load(q_x + at, mask=is_draft, other=0.0)
    pi = tl.where(deferred, 0.0, drawn) + tl.load(drawn_mass + there) * q
    # r < pi / q, and never where pi = 0
    passed = tl.load(uniforms + at, mask=is_draft, other=0.0) * q.to(tl.float64) < pi.to(tl.float64)
    passed = passed | ((place == 0) & (tl.load(owed + batch) != 0))
    n_passed = tl.min(tl.where(is_draft & (passed == 0), place, n_drafts), 0)
    tl.store(outcome + batch * 3, n_passed.to(tl.int64))
    nothing = tl.load(statistics + there * 5 + 1) * 0.0
    tl.store(p_y + row, tl.where(is_draft, own, nothing), mask=place < n_places)


@triton.jit
def _weights(
    logits, statistics, drawn_mass, q, outcome, batch, columns, stride_batch, stride_place, n_places, n_columns,
    own_t, drawn_t, SAME: tl.constexpr, GREEDY: tl.constexpr,
):  # fmt: skip
    """What the token after the accepted drafts is drawn from, in these columns: max(0, pi - q) and pi, or p twice.

    Also the rule's p, which tokens are deferred, the row, and whether a draft was rejected.
    """
    place = tl.load(outcome + batch * 3)
    rejected, row = place < n_places - 1, batch * n_places + place
    read = _read(logits + batch * stride_batch + place * stride_place, columns, n_columns)
    own, drawn, deferred = _laws(read, columns, statistics + row * 5, own_t, drawn_t, SAME, GREEDY)
    start = q + (batch * (n_places - 1) + place) * n_columns
    of_proxy = tl.load(start + columns, mask=columns < tl.where(rejected, n_columns, 0), other=0.0)
    pi = tl.where(deferred, 0.0, drawn) + tl.load(drawn_mass + row) * of_proxy
    excess = tl.where(rejected, tl.maximum(pi - of_proxy, 0.0), drawn)
    return excess, tl.where(rejected, pi, drawn), own, deferred, row, rejected


@triton.jit
def weigh_final(
    logits, statistics, drawn_mass, q, outcome, sums, stride_batch, stride_place, n_places, n_columns, own_t, drawn_t,
    SAME: tl.constexpr, GREEDY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid (B, blocks): the sum of both weights in a block of the one row drawn from: (B, blocks, 2) float64."""
    batch, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns = block * BLOCK + tl.arange(0, BLOCK)
    excess, pi, _own, _deferred, _row, _rejected = _weights(
        logits, statistics, drawn_mass, q, outcome, batch, columns, stride_batch, stride_place, n_places, n_columns,
        own_t, drawn_t, SAME, GREEDY,
    )  # fmt: skip
    out = sums + (batch * tl.num_programs(1) + block) * 2
    tl.store(out, tl.sum(excess.to(tl.float64), 0))
    tl.store(out + 1, tl.sum(pi.to(tl.float64), 0))


@triton.jit
def draw_final(
    logits, statistics, drawn_mass, q, outcome, sums, uniforms, p_y, stride_batch, stride_place, n_places, n_columns,
    n_blocks, own_t, drawn_t, SAME: tl.constexpr, GREEDY: tl.constexpr, BLOCK: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """Grid (B,): the token by inverse CDF, first its block, then within; fills outcome and p_y at its place.

    A scan in parallel need not rise where a weight is 0, nor reach the sum, so that only tokens with weight count, and
    the last of them takes what rounding has left over. BLOCKS: a power of two that holds n_blocks.
    """
    batch = tl.program_id(0).to(tl.int64)
    index = tl.arange(0, BLOCKS)
    start, there = sums + (batch * n_blocks + index) * 2, index < n_blocks
    excess_sums = tl.load(start, mask=there, other=0.0)
    # As in `policy.residual`: where pi nowhere exceeds q, a draft is rejected by rounding alone.
    has_excess = tl.sum(excess_sums, 0) > 0
    block_sums = tl.where(has_excess, excess_sums, tl.load(start + 1, mask=there, other=0.0))
    until = tl.cumsum(block_sums, 0)
    target = tl.load(uniforms + batch) * tl.sum(tl.where(index == n_blocks - 1, until, 0.0), 0)
    last_block = tl.max(tl.where(block_sums > 0, index, 0), 0)
    block = tl.min(tl.where((until > target) & (block_sums > 0), index, last_block), 0)
    before = tl.sum(tl.where(index == block - 1, until, 0.0), 0)

    columns = block * BLOCK + tl.arange(0, BLOCK)
    excess, pi, own, deferred, row, rejected = _weights(
        logits, statistics, drawn_mass, q, outcome, batch, columns, stride_batch, stride_place, n_places, n_columns,
        own_t, drawn_t, SAME, GREEDY,
    )  # fmt: skip
    weights = tl.where(has_excess, excess, pi).to(tl.float64)
    last = tl.max(tl.where(weights > 0, columns, block * BLOCK), 0)
    token = tl.min(tl.where((before + tl.cumsum(weights, 0) > target) & (weights > 0), columns, last), 0)
    is_deferred = tl.max(((columns == token) & deferred).to(tl.int64), 0)
    tl.store(outcome + batch * 3 + 1, token.to(tl.int64))
    tl.store(outcome + batch * 3 + 2, tl.where(rejected, 0, is_deferred))
    tl.store(p_y + row, tl.sum(tl.where(columns == token, own, 0.0), 0))
