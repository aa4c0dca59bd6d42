"""A model's reading in steps that all have one shape: a cache in which the slot of a token is its position.

Every row writes at its own length, so that taking tokens back moves a number and nothing else, rows of different
lengths need no realignment, and what a rejected draft left behind is hidden until it is overwritten. The tensors keep
their place and size while a batch decodes: sequences that have ended leave idle rows for those that wait. On a CUDA
device each shape of step is therefore captured once as a graph, and replayed. On a processor the growing cache of
`growing.py` is faster, since it computes no idle rows and attends to no empty slots.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from proxyalign.decoding.readers.contract import (
    COUNTS_FROM_PADDING,
    BoolArray,
    IntArray,
    last_places,
    side_by_side,
)
from proxyalign.models.wrapped import device_of, takes, text_config_of

_BUCKET = 256  # attention sees a multiple of so many slots: few shapes, and not the whole cache while texts are short
_LONGEST_STEP = 32  # what is longer, a prompt, comes in too many lengths for each to be worth a graph


def supports(model: Any) -> bool:
    """Whether a model takes positions and masks from outside, for any rows: no ALiBi, no masks of its own."""
    config = text_config_of(model)
    return (
        takes(model, "position_ids")
        and config.model_type not in COUNTS_FROM_PADDING
        and config._attn_implementation in ("sdpa", "eager")
        and not getattr(config, "alibi", False)
        and not hasattr(config, "attention_layers")
    )


def captures(model: Any) -> bool:
    """Whether a pass asks the device nothing on its way, as a graph requires: experts and growing rotary tables do."""
    config = text_config_of(model)
    experts = ("num_experts", "num_local_experts", "n_routed_experts")
    rotary = str(getattr(config, "rope_parameters", None))
    return not any(getattr(config, name, None) for name in experts) and not any(
        kind in rotary for kind in ("dynamic", "longrope")
    )


class StaticReader:
    """One model's reading of at most `n_rows` texts of at most `length` tokens, drafts that are rejected included.

    It is pushed to and read from as `growing.Reader` is. context: how many positions the model has, or None.
    """

    def __init__(self, name: str, model: Any, vocab_size: int, context: int | None, n_rows: int, length: int) -> None:
        self.name = name
        self.passes: Counter[int] = Counter()  # by number of positions
        self._model = model
        self._vocab_size = vocab_size
        self._last_position = None if context is None else context - 1
        self._device = device_of(model)
        self._rows = np.arange(0)  # (B,) where each text lies among the n_rows
        self._lengths = np.zeros(n_rows, dtype=np.int64)
        self._place = _Place(n_rows, length)
        self._masks = _Masks(model)
        self._captures = self._device.type == "cuda" and captures(model)
        layers = text_config_of(model).num_hidden_layers
        self._cache = Cache(layers=[_Slots(self._place) for _ in range(layers)])
        self._keeps_logits = takes(model, "logits_to_keep")
        self._pending: list[tuple[Tensor, BoolArray]] = []
        self._steps: dict[tuple[int, int, int], _Step] = {}

    def push(self, tokens: Tensor, valid: BoolArray | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        there = np.ones(tokens.shape, dtype=np.bool_) if valid is None else valid
        if there.any():
            self._pending.append((tokens, there))

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows, none of them empty, after those that are there: read now, all but each one's last token."""
        if not len(self._rows):
            self._lengths[:] = 0
            self._rows = np.arange(len(texts))
            self.push(*side_by_side(texts, self._device))
            return
        rows = np.setdiff1d(np.arange(self._place.n_rows), self._rows)[: len(texts)]
        self._lengths[rows] = 0
        if max(map(len, texts)) > 1:
            self._read(*side_by_side([text[:-1] for text in texts], self._device), rows, 1)
        waiting, valid = self._joined()
        old, n = waiting.shape
        tokens = waiting.new_zeros(old + len(rows), max(n, 1))
        there = np.zeros(tokens.shape, dtype=np.bool_)
        tokens[:old, :n], there[:old, :n] = waiting, valid
        tokens[old:, -1], there[old:, -1] = torch.tensor([text[-1] for text in texts], device=self._device), True
        self._pending = [(tokens, there)]
        self._rows = np.concatenate([self._rows, rows])

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed."""
        tokens, valid = self._joined()
        self._pending = []
        return self._read(tokens, valid, self._rows, n_last)

    def forget(self, n_tokens: IntArray) -> None:
        """Take back the last `n_tokens` (B,) tokens that were read, a number for each row."""
        self._lengths[self._rows] -= n_tokens

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self._rows = self._rows[rows]
        at = torch.from_numpy(rows).to(self._device)
        self._pending = [(tokens[at], valid[rows]) for tokens, valid in self._pending] if len(rows) else []

    def _joined(self) -> tuple[Tensor, BoolArray]:
        if not self._pending:
            none = (len(self._rows), 0)
            return torch.empty(none, dtype=torch.int64, device=self._device), np.empty(none, dtype=np.bool_)
        tokens, valid = zip(*self._pending, strict=True)
        return torch.cat(tokens, dim=1), np.concatenate(valid, axis=1)

    def _read(self, tokens: Tensor, valid: BoolArray, rows: IntArray, n_last: int) -> Tensor:
        """Read tokens (n, k) at the ends of these rows (n,): logits (n, min(n_last, k), V)."""
        place, n = self._place, tokens.shape[1]
        n_last = min(n_last, n)
        positions = np.maximum(self._lengths[rows, None] + valid.cumsum(1) - 1, 0)
        where = np.stack([positions, np.where(valid, positions, place.length)])  # (2, n, k): slots beside positions
        self._lengths[rows] += valid.sum(1)
        self.passes[n] += 1
        longest = int(positions.max()) + 1
        shown = min(-(-longest // _BUCKET) * _BUCKET, place.length)
        if n > _LONGEST_STEP or not self._cache.layers[0].is_initialized:
            is_all = len(rows) == place.n_rows and bool((rows == np.arange(place.n_rows)).all())
            place.rows = None if is_all else torch.from_numpy(rows).to(self._device)
            logits = self._forward(tokens, torch.from_numpy(where).to(self._device), shown, n_last)
            return self._trimmed(logits)
        key = (n, shown, n_last)
        step = self._steps.get(key)
        if step is None:
            step = _Step(
                place.n_rows,
                n,
                self._device,
                self._captures,
                lambda tokens, where: self._forward(tokens, where, shown, n_last),
            )
            self._steps[key] = step
        place.rows = None
        everywhere = np.zeros((2, place.n_rows, n), dtype=np.int64)
        everywhere[1] = place.length
        everywhere[:, rows] = where
        at = torch.from_numpy(rows).to(self._device)
        step.where.copy_(torch.from_numpy(everywhere), non_blocking=True)
        step.tokens.index_copy_(0, at, tokens)
        # A copy, since the next step of this shape writes where this one's logits lie.
        return self._trimmed(step.run().index_select(0, at))

    def _forward(self, tokens: Tensor, where: Tensor, shown: int, n_last: int) -> Tensor:
        self._place.slots, self._place.shown = where[1], shown
        arguments: dict[str, Any] = {}
        if self._keeps_logits:
            arguments["logits_to_keep"] = last_places(n_last, tokens.shape[1], tokens.device)
        logits: Tensor = self._model(
            input_ids=tokens,
            position_ids=where[0] if self._last_position is None else where[0].clamp(max=self._last_position),
            attention_mask=self._masks.of(where[0], shown),
            past_key_values=self._cache,
            use_cache=True,
            **arguments,
        ).logits
        return logits[:, -n_last:]

    def _trimmed(self, logits: Tensor) -> Tensor:
        return logits[..., : self._vocab_size]


@dataclass
class _Place:
    """Where a pass writes and looks, the same in all layers.

    n_rows, length: of the cache, which has one slot more, for tokens that are not there. rows: those that a pass reads,
    None for all. slots: (rows, n), where their tokens go. shown: how many slots attention sees.
    """

    n_rows: int
    length: int
    rows: Tensor | None = None
    slots: Tensor | None = None
    shown: int = 0


class _Slots(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values (n_rows, heads, length + 1, size), made when the first ones come."""

    def __init__(self, place: _Place) -> None:
        super().__init__()
        self._place = place

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room for all rows and slots; zeros, since what is hidden is still multiplied by 0."""

        def room(states: Tensor) -> Tensor:
            return states.new_zeros(self._place.n_rows, states.shape[1], self._place.length + 1, states.shape[3])

        self.keys, self.values, self.is_initialized = room(key_states), room(value_states), True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write states (rows, heads, n, size) into their slots; what attention sees of these rows."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        place = self._place
        assert place.slots is not None
        rows = torch.arange(place.n_rows, device=key_states.device) if place.rows is None else place.rows
        seen = []
        for store, states in ((self.keys, key_states), (self.values, value_states)):
            store[rows[:, None], :, place.slots] = states.transpose(1, 2)
            seen.append((store if place.rows is None else store[rows])[:, :, : place.shown])
        return seen[0], seen[1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many slots attention sees, from the first one."""
        return self._place.shown, 0

    def get_seq_length(self) -> int:
        """What models take for the first new position where they are not told positions: never used."""
        return 0

    def get_max_length(self) -> int:
        """How many slots there are."""
        return self._place.length


class _Masks:
    """The masks that a model's layers take: a token sees its own row's positions up to its own, or a window of them."""

    def __init__(self, model: Any) -> None:
        config = text_config_of(model)
        self._window: int | None = getattr(config, "sliding_window", None)
        alone = "full_attention" if self._window is None else "sliding_attention"
        self._kinds = sorted(set(getattr(config, "layer_types", None) or [alone]))
        self._adds = config._attn_implementation == "eager"
        self._dtype = model.dtype

    def of(self, positions: Tensor, shown: int) -> Any:
        """positions (n, k) of the tokens -> (n, 1, k, shown), or one such by kind of layer where there are two."""
        slots, own = torch.arange(shown, device=positions.device), positions[:, None, :, None]
        seen = {"full_attention": slots <= own}
        if self._window is not None:
            seen["sliding_attention"] = seen["full_attention"] & (slots > own - self._window)  # own one included
        masks = {kind: self._added(seen[kind]) for kind in self._kinds}
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def _added(self, seen: Tensor) -> Tensor:
        if not self._adds:
            return seen
        hidden = torch.full((), torch.finfo(self._dtype).min, dtype=self._dtype, device=seen.device)
        return torch.zeros_like(hidden).where(seen, hidden)


class _Step:
    """One shape of step, whose inputs keep their place: a graph if it can be, captured when it first runs."""

    def __init__(
        self,
        n_rows: int,
        n: int,
        device: torch.device,
        is_graph: bool,
        forward: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.tokens = torch.zeros(n_rows, n, dtype=torch.int64, device=device)
        self.where = torch.zeros(2, n_rows, n, dtype=torch.int64, device=device)
        self._is_graph = is_graph
        self._forward = forward
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits: Tensor | None = None

    def run(self) -> Tensor:
        """The logits of the inputs as they are now; the next run of a graph overwrites them."""
        if not self._is_graph:
            return self._forward(self.tokens, self.where)
        if self._graph is None:
            self._capture()
        assert self._graph is not None
        assert self._logits is not None
        self._graph.replay()
        return self._logits

    def _capture(self) -> None:
        """Run once aside, so that kernels are chosen and memory is there, then record; writing twice is harmless."""
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self._forward(self.tokens, self.where)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._logits = self._forward(self.tokens, self.where)
