"""A model's reading in steps that all have one shape: a cache in which the slot of a token is its position.

Every row writes at its own length, so that taking tokens back moves a number and nothing else, rows of different
lengths need no realignment, and what a rejected draft left behind is hidden until it is overwritten. The tensors keep
their place and size for as long as the reader lives: sequences that have ended leave idle rows for those that wait, and
a batch that has ended leaves all of them to the next one. On a CUDA device each shape of step is therefore captured
once as a graph, and replayed; there are few shapes, since what is narrower is filled up from the left. Positions and
slots are made on the device from lengths that lie there, so that a step tells it nothing. On a processor the growing
cache of `growing.py` is faster, since it computes no idle rows and attends to no empty slots.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from proxyalign.decoding.readers.captured import Step, burnt_in
from proxyalign.decoding.readers.contract import COUNTS_FROM_PADDING, Both, last_places, side_by_side
from proxyalign.models.wrapped import device_of, takes, text_config_of

_FEWEST_SLOTS = 256  # attention sees so many slots, or twice as many again and again: few shapes while texts grow
_LENGTHS = 512  # a cache has a multiple of so many slots, so that the next batch fits it as well


def supports(model: Any) -> bool:
    """Whether a model takes positions and masks from outside, for any rows, and lies in one place: no ALiBi."""
    config = text_config_of(model)
    return (
        takes(model, "position_ids")
        and config.model_type not in COUNTS_FROM_PADDING
        and config._attn_implementation in ("sdpa", "eager")
        and not getattr(config, "alibi", False)
        and not hasattr(config, "attention_layers")
        and _is_in_one_place(model)
    )


def _is_in_one_place(model: Any) -> bool:
    devices = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    return len(devices) <= 1 and not any(hasattr(weights, "device_mesh") for weights in model.parameters())


def captures(model: Any) -> bool:
    """Whether a pass asks the device nothing on its way, as a graph requires: experts and growing rotary tables do."""
    config = text_config_of(model)
    experts = ("num_experts", "num_local_experts", "n_routed_experts")
    rotary = str(getattr(config, "rope_parameters", None))
    return not any(getattr(config, name, None) for name in experts) and not any(
        kind in rotary for kind in ("dynamic", "longrope")
    )


class StaticReader:
    """One model's reading of batches of at most `n_rows` texts of at most `length` tokens, rejected drafts included.

    It is pushed to and read from as `growing.Reader` is; both sizes are rounded up. context: how many positions the
    model has, or None. Prompts come in too many lengths for each to be worth a graph, and are read as they come.
    """

    def __init__(self, name: str, model: Any, vocab_size: int, context: int | None, n_rows: int, length: int) -> None:
        self.name = name
        self.n_rows, self.length = rounded_rows(n_rows), -(-length // _LENGTHS) * _LENGTHS
        self._burnt_in = burnt_in(model)
        self._model = ref(model)  # whoever reads holds the model; a reader that waits must not keep it alive
        self._vocab_size = vocab_size
        self._last_position = None if context is None else context - 1
        self._device = device_of(model)
        self._place = _Place(self.n_rows, self.length)
        self._masks = _Masks(model)
        self._captures = self._device.type == "cuda" and captures(model)
        layers = text_config_of(model).num_hidden_layers
        self._cache = Cache(layers=[_Slots(self._place) for _ in range(layers)])
        self._keeps_logits = takes(model, "logits_to_keep")
        self._steps: dict[tuple[int, int, int], Step] = {}
        self.restart(())

    def restart(self, widths: Sequence[int]) -> None:
        """Forget all texts, and read others in steps of these widths, in rising order; what was captured stays.

        What is narrower than one of them is filled up to it, and what is wider than all is read as prompts are.
        """
        self.passes: Counter[int] = Counter()  # by number of positions
        self.seconds_capturing = 0.0
        self._widths = widths
        # (B,) where each text lies among the n_rows, and how many of its tokens were read
        self._rows = self._lengths = Both.zeros(0, torch.int64, self._device)
        self._pending: list[tuple[Tensor, Both]] = []
        self._holds_prompts = False  # whether these do

    def fits(self, name: str, model: Any, vocab_size: int, context: int | None, n_rows: int, length: int) -> bool:
        """Whether it reads as one that is made of these arguments would: the model, too, is as it was captured."""
        is_same = self._model() is model and (self.name, self._vocab_size) == (name, vocab_size)
        last = None if context is None else context - 1
        has_room = self.n_rows == rounded_rows(n_rows) and self.length >= length and self._last_position == last
        return is_same and has_room and self._burnt_in == burnt_in(model)

    def push(self, tokens: Tensor, valid: Both | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        if valid is None:
            valid = Both(np.ones(tokens.shape, dtype=np.bool_), torch.ones_like(tokens, dtype=torch.bool))
        if valid.host.any():
            self._pending.append((tokens, valid))

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows, none of them empty, after those that are there: read now, all but each one's last token."""
        tokens, valid = side_by_side(texts, self._device)
        new = Both.zeros(len(texts), torch.int64, self._device)
        n_old = len(self._rows.host)
        if not n_old:
            self._rows = Both(np.arange(len(texts)), torch.arange(len(texts), device=self._device))
            self._lengths = new
            self._pending, self._holds_prompts = [(tokens, valid)], True
            return
        free = np.setdiff1d(np.arange(self.n_rows), self._rows.host)[: len(texts)]
        rows = Both.of(free, self._device)
        if tokens.shape[1] > 1:
            _, new = self._read(tokens[:, :-1], valid.mapped(lambda there: there[:, :-1]), rows, new, 1, ())
        waiting, there = self._joined()
        n = max(waiting.shape[1], 1)
        tokens = torch.cat([_padded(waiting, n), _padded(tokens[:, -1:], n)])
        there = _padded_flags(there, n).beside(_padded_flags(valid.mapped(lambda there: there[:, -1:]), n))
        self._pending = [(tokens, there)]
        self._rows, self._lengths = self._rows.beside(rows), self._lengths.beside(new)

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed."""
        tokens, valid = self._joined()
        widths = () if self._holds_prompts else self._widths
        self._pending, self._holds_prompts = [], False
        logits, self._lengths = self._read(tokens, valid, self._rows, self._lengths, n_last, widths)
        return logits

    def forget(self, n_tokens: Both) -> None:
        """Take back the last `n_tokens` (B,) tokens that were read, a number for each row."""
        lengths = self._lengths
        self._lengths = Both(lengths.host - n_tokens.host, lengths.device - n_tokens.device)

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self._rows, self._lengths = self._rows.of_rows(rows), self._lengths.of_rows(rows)
        of_rows = [(tokens.index_select(0, rows.device), valid.of_rows(rows)) for tokens, valid in self._pending]
        self._pending = of_rows if len(rows.host) else []

    def _joined(self) -> tuple[Tensor, Both]:
        if not self._pending:
            none = torch.empty(len(self._rows.host), 0, dtype=torch.int64, device=self._device)
            return none, Both(np.empty(none.shape, dtype=np.bool_), none.bool())
        tokens, valid = zip(*self._pending, strict=True)
        joined: Both = valid[0]
        for more in valid[1:]:
            joined = joined.beside(more, axis=1)
        return torch.cat(tokens, dim=1), joined

    def _read(
        self, tokens: Tensor, valid: Both, rows: Both, lengths: Both, n_last: int, widths: Sequence[int]
    ) -> tuple[Tensor, Both]:
        """Read tokens (n, k) after `lengths` (n,) of these rows (n,): logits (n, min(n_last, k), V), new lengths."""
        place, n = self._place, tokens.shape[1]
        counts = valid.device.cumsum(1)
        positions = (lengths.device.unsqueeze(1) + counts - 1).clamp(min=0)
        where = torch.stack([positions, positions.masked_fill(~valid.device, place.length)])
        lengths = Both(lengths.host + valid.host.sum(1), lengths.device + counts[:, -1])
        self.passes[n] += 1
        shown = _FEWEST_SLOTS
        while shown < lengths.host.max():
            shown *= 2
        shown = min(shown, place.length)
        at = bisect_left(widths, n)
        if at == len(widths):
            is_all = len(rows.host) == place.n_rows and bool((rows.host == np.arange(place.n_rows)).all())
            place.rows = None if is_all else rows.device
            logits = self._forward(tokens, where, shown, n_last)
        else:
            step = self._step(widths[at], shown, 1 if n_last == 1 else widths[at])
            step.fill(tokens, where, rows.device)
            # A copy, since the next step of this shape writes where this one's logits lie.
            logits = step.run().index_select(0, rows.device)[:, -min(n_last, n) :]
        return logits[..., : self._vocab_size], lengths

    def _step(self, width: int, shown: int, n_last: int) -> Step:
        """The step of this shape: made, and captured where it can be, when it is first asked for."""
        key = (width, shown, n_last)
        if key not in self._steps:

            def forward(tokens: Tensor, where: Tensor) -> Tensor:
                self._place.rows = None
                return self._forward(tokens, where, shown, n_last)

            step = Step(self.n_rows, width, self.length, self._device, forward)
            if self._captures:
                self.seconds_capturing += step.capture()
            self._steps[key] = step
        return self._steps[key]

    def _forward(self, tokens: Tensor, where: Tensor, shown: int, n_last: int) -> Tensor:
        self._place.slots, self._place.shown = where[1], shown
        arguments: dict[str, Any] = {}
        if self._keeps_logits:
            arguments["logits_to_keep"] = last_places(n_last, tokens.shape[1], tokens.device)
        model = self._model()
        assert model is not None
        logits: Tensor = model(
            input_ids=tokens,
            position_ids=where[0] if self._last_position is None else where[0].clamp(max=self._last_position),
            attention_mask=self._masks.of(where[0], shown),
            past_key_values=self._cache,
            use_cache=True,
            **arguments,
        ).logits
        return logits[:, -n_last:]


def rounded_rows(n_rows: int) -> int:
    """A power of two, so that batches of about one size are read by one reader."""
    return 1 << (n_rows - 1).bit_length()


def _padded(columns: Tensor, width: int) -> Tensor:
    """(B, n) -> (B, width), with zeros on the left."""
    return torch.nn.functional.pad(columns, (width - columns.shape[1], 0))


def _padded_flags(flags: Both, width: int) -> Both:
    """As `_padded`."""
    return Both(np.pad(flags.host, ((0, 0), (width - flags.host.shape[1], 0))), _padded(flags.device, width))


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
