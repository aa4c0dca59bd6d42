"""A model that reads token after token: the one place that holds, cuts, thins and realigns a KV cache.

A batch's rows share the cache's slots but not their contents. A slot is valid for a row or stale (padding, a rejected
draft); stale slots are masked from attention, positions count valid slots alone, and the cache is realigned when too
much of it is stale. A batch in which no slot is stale, such as a batch of one, takes a path without masks.
"""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from proxyalign.decoding.readers.contract import (
    COUNTS_FROM_PADDING,
    Both,
    filled_up,
    last_places,
    side_by_side,
)
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.models.wrapped import config_of, device_of, rotary_turn, takes, text_config_of

_COUNTS_BY_MASK = ("bloom",)  # models that take no positions, and count them by the mask
_WORTH = 256  # tokens that must be saved before what texts begin with is read apart, in two further passes
_SPARE_SLOTS = 16  # stale slots that a cache may hold before realigning it is worth the copy


class Reader:
    """One model's reading of a batch of texts: tokens are pushed as they are known, and read when logits are wanted.

    name: what messages call the model. vocab_size: columns of logits to keep. context: how many positions the model
    has, or None.
    """

    def __init__(self, name: str, model: Any, vocab_size: int, context: int | None) -> None:
        self.passes: Counter[int] = Counter()  # by number of positions
        self.seconds_capturing = 0.0  # it captures nothing
        self._n_rows = 0
        self.name = name
        self._model = model
        self._vocab_size = vocab_size
        self._context = context
        self._last_position = None if context is None else context - 1
        self._cache = _empty_cache()
        self._n_slots = 0
        self._valid: Tensor | None = None  # (B, n_slots) bool; None where no slot is stale
        self._pending: list[tuple[Tensor, Tensor | None]] = []
        self._keeps_logits = takes(model, "logits_to_keep")
        self._takes_positions = takes(model, "position_ids")
        self._window = _window(model)
        self._device = device_of(model)

    @classmethod
    def of(cls, pair: ModelPair, role: str) -> "Reader":
        """The model that has this role in the pair, and nothing to read yet."""
        return cls(role, getattr(pair, role), pair.n_ids_of(role), pair.context_of(role))

    def push(self, tokens: Tensor, valid: Both | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        if valid is None or valid.host.all():
            self._pending.append((tokens, None))
        elif valid.host.any():
            self._pending.append((tokens, valid.device))

    def push_texts(self, texts: Sequence[Sequence[int]]) -> None:
        """Add one list of ids a row, padded on the left; not all of them are empty.

        Raises InputError for several rows of a model that cannot be told where their tokens stand.
        """
        if len(texts) > 1:
            self._check_batches(len(texts))
        self._n_rows = len(texts)
        self.push(*side_by_side(texts, self._device))

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed.

        In the model's dtype. A slot without a token gives a row without meaning.
        """
        is_ragged = any(valid is not None for _, valid in self._pending)
        n = sum(tokens.shape[1] for tokens, _ in self._pending)
        pieces = self._pending if is_ragged and not self._is_within_window(n) else [_join(self._pending)]
        self._pending = []
        logits = [self._read(*piece, n_last) for piece in pieces]
        return logits[0] if len(logits) == 1 else torch.cat(logits, dim=1)[:, -n_last:]

    def forget(self, n_tokens: Both) -> None:
        """Take back the last `n_tokens` (B,) slots that were read, a number for each row; all of them held tokens."""
        fewest, most = int(n_tokens.host.min()), int(n_tokens.host.max())
        if fewest:
            self._crop(fewest)
        if most > fewest:
            distance = torch.arange(most - fewest, 0, -1, device=self._device)  # of each slot from the end
            valid = self._slots(len(n_tokens.host)).clone()
            valid[:, fewest - most :] &= distance > (n_tokens.device - fewest).unsqueeze(1)
            self._realign(valid)

    def forget_tokens(self, n_tokens: Both) -> None:
        """Take back the last `n_tokens` (B,) tokens of each row, whatever slots without one lie between them."""
        if self._valid is None:
            self.forget(n_tokens)
            return
        n_from_here = self._valid.flip(1).cumsum(1).flip(1)
        valid = self._valid & (n_from_here > n_tokens.device.unsqueeze(1))
        held = int(valid.any(0).nonzero().max()) + 1
        if held < self._n_slots:
            self._crop(self._n_slots - held)
        self._realign(valid[:, :held])

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows, one list of ids each, none of them empty, after those that are there.

        What the new rows hold is read apart, all but each one's last token: read together with the others, it would
        make them wait behind padding. Where no row is there yet, that is put off too, unless it pays to read once what
        all texts begin with.
        """
        if not self._n_rows:
            self._begin(texts)
            return
        self._check_batches(self._n_rows + len(texts))
        other = Reader(self.name, self._model, self._vocab_size, self._context)
        if self._n_slots and max(len(text) for text in texts) > 1:
            other.push_texts([text[:-1] for text in texts])
            other.read()
            other.push(torch.tensor([[text[-1]] for text in texts], device=self._device))
        else:
            other.push_texts(texts)
        self.passes += other.passes
        sizes = self._n_rows, len(texts)
        self._n_rows = sum(sizes)
        theirs = _join(other._pending)
        nobody = theirs[0].new_empty(sizes[1], 0), None
        # Pieces stay apart: read in one pass, a token that a row lacks would lie within the window of the next one. For
        # the same reason a new row's last token goes with the last of the others, and the rest with their first ones.
        *earlier, last = self._pending or [(theirs[0].new_empty(sizes[0], 0), None)]
        if earlier:
            head, theirs = _cut(theirs, slice(None, -1)), _cut(theirs, slice(-1, None))
            earlier = [_stacked(earlier[0], head), *(_stacked(piece, nobody) for piece in earlier[1:])]
        self._pending = [*earlier, _stacked(last, theirs)]
        width = max(self._n_slots, other._n_slots)
        valid = torch.cat([_padded(one._slots(size), width) for one, size in zip((self, other), sizes, strict=True)])
        _stack(self._cache, other._cache, sizes[1], width)
        self._n_slots, self._valid = width, None if bool(valid.all()) else valid

    def _begin(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in the first rows; what all texts begin with is read once, where that pays."""
        shared = _n_shared(texts)
        if shared * (len(texts) - 1) < _WORTH or _turns_by_length(self._model):
            self.push_texts(texts)
            return
        self._check_batches(len(texts))
        self.push_texts([texts[0][:shared]])
        self.read()
        self.keep(Both.zeros(len(texts), torch.int64, self._device))
        rests = filled_up([text[shared:-1] for text in texts])
        if rests.size:
            tokens = torch.from_numpy(rests).to(self._device)
            self.push(tokens.clamp(min=0), Both(rests >= 0, tokens >= 0))
            self.read()
        self.push(torch.tensor([text[-1:] for text in texts], device=self._device))

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self._n_rows, at = len(rows.host), rows.device
        if not self._n_rows:
            self._cache, self._n_slots, self._valid, self._pending = _empty_cache(), 0, None, []
            return
        if self._n_slots:
            for layer in self._cache.layers:  # which may lie on several devices
                layer.batch_select_indices(at.to(layer.keys.device))
        else:  # a cache that was emptied still has its rows
            self._cache = _empty_cache()
        self._pending = [(tokens[at], None if valid is None else valid[at]) for tokens, valid in self._pending]
        if self._valid is not None:
            self._realign(self._valid[at])

    def branched(self, rows: Both) -> "Reader":
        """A reader that goes on with these rows (n,) of the batch, in any order and number; this one stays as it is.

        Its passes are counted from 0.
        """
        other = copy(self)
        other.passes = Counter()
        other._cache = copy(self._cache)
        other._cache.layers = [copy(layer) for layer in self._cache.layers]  # of which `keep` makes new tensors
        other.keep(rows)
        return other

    def _read(self, tokens: Tensor, valid: Tensor | None, n_last: int) -> Tensor:
        n = tokens.shape[1]
        if self._valid is not None and not self._is_within_window(n):
            self._realign(self._valid, n)
        arguments: dict[str, Any] = (
            {"logits_to_keep": last_places(n_last, n, tokens.device)} if self._keeps_logits else {}
        )
        is_beyond = self._context is not None and self._n_slots + n > self._context  # drafts that are dropped unseen
        if valid is not None or self._valid is not None or is_beyond:
            arguments |= self._ragged_arguments(tokens, valid)
        logits: Tensor = self._model(input_ids=tokens, past_key_values=self._cache, use_cache=True, **arguments).logits
        self.passes[n] += 1
        self._n_slots += n
        self._check_length()
        if logits.shape[1] > n_last or logits.shape[2] > self._vocab_size:
            logits = logits[:, -n_last:, : self._vocab_size]
        return logits

    def _ragged_arguments(self, tokens: Tensor, valid: Tensor | None) -> dict[str, Tensor]:
        """Mark the new slots, and tell the model which slots each row may look at and where its tokens stand."""
        new = torch.ones_like(tokens, dtype=torch.bool) if valid is None else valid
        self._valid = torch.cat([self._slots(tokens.shape[0]), new], dim=1)
        if not self._takes_positions:
            return {"attention_mask": self._valid}
        # A row that is nearly done may be given drafts past the last position; they are dropped unseen.
        positions = (self._valid.cumsum(1) - 1)[:, -tokens.shape[1] :].clamp(min=0, max=self._last_position)
        return {"attention_mask": self._valid, "position_ids": positions}

    def _slots(self, n_rows: int) -> Tensor:
        """Which slots are valid: bool (B, n_slots)."""
        if self._valid is not None:
            return self._valid
        return torch.ones(n_rows, self._n_slots, dtype=torch.bool, device=self._device)

    def _crop(self, n: int) -> None:
        """Drop the last n > 0 slots, by how many and not to which length: releases differ in what the latter means."""
        self._cache.crop(-n)
        self._n_slots -= n
        if self._valid is not None:
            self._valid = self._valid[:, :-n]
        self._check_length()

    def _is_within_window(self, n: int) -> bool:
        """Whether n more slots lie so near to the first one that stale slots between tokens push none out of sight."""
        return self._window is None or self._n_slots + n <= self._window

    def _realign(self, valid: Tensor, n_next: int = 0) -> None:
        """Take `valid` (B, n_slots) for true, and where many slots are stale move the others to the right end.

        n_next: how many slots will be read next; where these go beyond a window, no slot may be stale between tokens.
        """
        self._valid = valid
        lengths = valid.sum(1)
        if int(lengths.min()) == self._n_slots:
            self._valid = None
            return
        width = int(lengths.max())
        spare = 0 if len(lengths) == 1 else _SPARE_SLOTS
        if self._n_slots - width <= spare and self._is_within_window(n_next):
            return
        # A stable sort of False before True puts the stale slots first and keeps the order of the valid ones.
        order = valid.to(torch.uint8).argsort(dim=1, stable=True)[:, self._n_slots - width :]
        for layer in self._cache.layers:
            there = order[:, None, :, None].to(layer.keys.device)
            layer.keys = layer.keys.take_along_dim(there, dim=2)
            layer.values = layer.values.take_along_dim(there, dim=2)
        self._valid = None if bool((lengths == width).all()) else valid.take_along_dim(order, dim=1)
        self._n_slots = width
        self._check_length()

    def _check_batches(self, n_rows: int) -> None:
        """Raise InputError where the model takes tokens to stand where they lie, which rows of a batch do not."""
        kind = config_of(self._model).model_type
        if (not self._takes_positions and kind not in _COUNTS_BY_MASK) or kind in COUNTS_FROM_PADDING:
            raise InputError(
                f"generate: {self.name} must take positions to read a batch, got a {kind} model and {n_rows} texts at "
                "once; pass batch_size=1"
            )

    def _check_length(self) -> None:
        """A cache out of step would show only as falling acceptance, never in the text: so ask it each time."""
        held = self._cache.get_seq_length()
        if held != self._n_slots:
            raise RuntimeError(f"internal: the {self.name}'s cache holds {held} slots where {self._n_slots} were read")


def _empty_cache() -> Any:
    """Full layers for sliding models too, whose masks are made from slot numbers."""
    from transformers import DynamicCache

    return DynamicCache()


def _n_shared(texts: Sequence[Sequence[int]]) -> int:
    """How many tokens all texts begin with, of each its last left out."""
    first, last = min(map(tuple, texts)), max(map(tuple, texts))  # the others lie between these in this order
    shortest = min(map(len, texts)) - 1
    return next((n for n in range(shortest) if first[n] != last[n]), shortest)


def _turns_by_length(model: Any) -> bool:
    """Whether a text's length decides by which angles its first tokens are turned."""
    return rotary_turn(model) is not None


def _join(pieces: list[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """The pieces side by side: tokens (B, n) and which of them are there, None for all."""
    if len(pieces) == 1:
        return pieces[0]
    tokens = torch.cat([piece for piece, _ in pieces], dim=1)
    if all(valid is None for _, valid in pieces):
        return tokens, None
    return tokens, torch.cat([_flags(*piece) for piece in pieces], dim=1)


def _cut(piece: tuple[Tensor, Tensor | None], places: slice) -> tuple[Tensor, Tensor | None]:
    """Some columns of a piece."""
    tokens, valid = piece
    return tokens[:, places], None if valid is None else valid[:, places]


def _stacked(above: tuple[Tensor, Tensor | None], below: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
    """Two pieces one above the other, the narrower one with nothing on its left."""
    n = max(above[0].shape[1], below[0].shape[1])
    tokens = torch.cat([_padded(piece, n) for piece, _ in (above, below)])
    there = torch.cat([_padded(_flags(*piece), n) for piece in (above, below)])
    return tokens, None if bool(there.all()) else there


def _flags(tokens: Tensor, valid: Tensor | None) -> Tensor:
    """Which of the tokens (B, n) are there."""
    return torch.ones_like(tokens, dtype=torch.bool) if valid is None else valid


def _padded(columns: Tensor, width: int) -> Tensor:
    """(B, n) -> (B, width), with zeros on the left."""
    return torch.nn.functional.pad(columns, (width - columns.shape[1], 0))


def _stack(cache: Any, other: Any, n_new: int, width: int) -> None:
    """Put the `n_new` rows of `other` behind those of `cache`, both with stale slots on the left up to `width`."""
    for at, layer in enumerate(cache.layers):
        for name in ("keys", "values"):
            ours = getattr(layer, name)
            theirs = (
                getattr(other.layers[at], name)
                if other.layers
                else ours.new_empty(n_new, ours.shape[1], 0, ours.shape[3])
            )
            parts = [torch.nn.functional.pad(part, (0, 0, width - part.shape[2], 0)) for part in (ours, theirs)]
            setattr(layer, name, torch.cat(parts))


def _window(model: Any) -> int | None:
    """How many slots a token sees, its own and stale ones included, in the layers that see fewest; None: all."""
    config = text_config_of(model)
    if "local" in getattr(config, "attention_layers", ()):
        return int(config.window_size)
    return getattr(config, "sliding_window", None)
