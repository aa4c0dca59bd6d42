"""What decoding leaves behind: for each token who wrote it and how the base saw it, for a run its counts and speed."""

import html
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from proxyalign.decoding.room import Room
from proxyalign.decoding.stopping import Stopping
from proxyalign.displays import as_line, visible

# Who wrote a token. In speculative decoding "base" and "proxy" are the free bonus (statement 11): a token that the base
# drew after a window accepted whole, or, where that one was deferred, the proxy's, which is emitted without a test.
SOURCES = ("base", "proxy", "draft", "residual")
BASE, PROXY, DRAFT, RESIDUAL = range(4)

_HALF = "\ufffd"  # what a tokenizer shows of bytes that are no whole character, or not yet

COLOURS = {"base": "#ffffff", "proxy": "#f9c784", "draft": "#c9e4ca", "residual": "#b8c0ff"}


@dataclass(frozen=True)
class Trace:
    """One answer, token by token; arrays of length n, the number of tokens.

    token_ids: int64. source: who wrote each, one of `SOURCES`. p_y: the base's probability of the token. deferral_mass:
    D = sum_y d_y p_y at its position. Both at the rule's temperature, by default 1; p_y is NaN where the rule always
    defers, since the base then never runs. distributions: the base's laws (k, V), float32, where asked for, at
    the positions law_positions (k,).

    n_cycles, n_tested, n_accepted: windows drafted and verified for this answer, the drafts among its tokens and the
    rejected ones that were tested, and those that passed; 0 where nothing was drafted.

    distance_from_pi: of the law of each token, in total variation, float64; None without a lossy verifier, where it is
    pi's.
    """

    token_ids: npt.NDArray[np.int64]
    source: npt.NDArray[np.str_]
    p_y: npt.NDArray[np.float64]
    deferral_mass: npt.NDArray[np.float64]
    distributions: npt.NDArray[np.float32] | None = None
    tokenizer: Any = None
    n_cycles: int = 0
    n_tested: int = 0
    n_accepted: int = 0
    law_positions: npt.NDArray[np.int64] | None = None
    distance_from_pi: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        written = {name: str(int((self.source == name).sum())) for name in SOURCES}
        facts = {"tokens": str(len(self)), **{name: count for name, count in written.items() if count != "0"}}
        if len(self):
            facts["mean D"] = f"{self.deferral_mass.mean():.3g}"
        return as_line("Trace", facts)

    @property
    def pieces(self) -> list[str]:
        """What each token adds to the text of those before it, special tokens by their names; together the whole text.

        A character of several tokens is the last one's, and the others have "". A token is decoded after the ones
        before it, since some tokenizers drop the blank of the first one.
        """
        ids, pieces = self.token_ids.tolist(), list[str]()
        begin = read = 0  # the text up to `read` is told, and `begin` is where decoding sets in to see what follows it
        for end in range(1, len(ids) + 1):
            told, text = (str(self.tokenizer.decode(ids[begin:until])) for until in (read, end))
            if text.endswith(_HALF) and end < len(ids):
                pieces.append("")
                continue
            pieces.append(text[len(told) :])
            begin, read = read, end
        return pieces

    def _repr_html_(self) -> str:
        """The text in a notebook, coloured by who wrote each token; the tooltip tells p_y and D."""
        legend = " ".join(_mark(f" {name} ", name, name) for name in SOURCES)
        words = [
            _mark(piece, source, f"{source}: id {token}, p_y {p:.3g}, D {mass:.3g}")
            for piece, token, source, p, mass in zip(
                self.pieces, self.token_ids, self.source, self.p_y, self.deferral_mass, strict=True
            )
        ]
        return f"<div style='line-height:1.8;overflow-wrap:anywhere'><small>{legend}</small><br>{''.join(words)}</div>"


def _mark(text: str, source: str, tooltip: str) -> str:
    style = f"background:{COLOURS[source]};color:#111;border-bottom:1px solid #999;white-space:pre-wrap"
    shown = visible(text).replace("\n", "↵<br>")
    return f"<span style='{style}' title='{html.escape(tooltip, quote=True)}'>{shown}</span>"


@dataclass
class Counts:
    """What a run did: cycles and drafts, summed over sequences, and forward passes by number of positions.

    seconds_capturing: spent on steps that later runs of the pair find captured.
    """

    n_cycles: int = 0
    n_tested: int = 0
    n_accepted: int = 0
    base_passes: dict[int, int] = field(default_factory=dict)
    proxy_passes: dict[int, int] = field(default_factory=dict)
    seconds_capturing: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How fast tokens came and who had a part in them, each a ratio of sums over a run.

    n_tokens: tokens emitted. seconds: wall-clock time of decoding them, with `tokens_per_second`. deferral_rate: mean
    deferral mass D of an emitted token (at the rule's temperature). acceptance_rate: accepted drafts per tested draft;
    mean_accepted_length: accepted drafts per cycle; both None where nothing was drafted.
    """

    n_tokens: int
    seconds: float
    tokens_per_second: float
    deferral_rate: float
    acceptance_rate: float | None
    mean_accepted_length: float | None


def rates(n_tokens: int, seconds: float, mass: float, counts: Counts) -> Rates:
    """The rates of a run that emitted `n_tokens` with deferral mass `mass` in all; 0 without tokens or time."""
    return Rates(
        n_tokens=n_tokens,
        seconds=seconds,
        tokens_per_second=n_tokens / seconds if seconds else 0.0,
        deferral_rate=mass / n_tokens if n_tokens else 0.0,
        acceptance_rate=counts.n_accepted / counts.n_tested if counts.n_tested else None,
        mean_accepted_length=counts.n_accepted / counts.n_cycles if counts.n_cycles else None,
    )


@dataclass(frozen=True, kw_only=True)
class Stats(Rates):
    """The rates of a decoding and its counts (0 where nothing was drafted).

    n_cycles: windows drafted and verified, summed over sequences; n_tested, n_accepted: drafts that were tested and
    that passed; base_passes, proxy_passes: forward passes of a batch, by number of positions, those over prompts
    among them. seconds_capturing: spent once a pair, on steps that a device replays from then on; no part of `seconds`.
    distance_from_pi: the mean of a token's over the run; None without a lossy verifier.
    """

    n_cycles: int
    n_tested: int
    n_accepted: int
    base_passes: dict[int, int]
    proxy_passes: dict[int, int]
    seconds_capturing: float
    distance_from_pi: float | None = None

    def facts(self) -> dict[str, str]:
        """The run in words, for displays."""
        told = {
            "tokens": f"{self.n_tokens} in {self.seconds:.3g} s ({self.tokens_per_second:.3g} a second)",
            "mean D": f"{self.deferral_rate:.3g}",
        }
        if self.acceptance_rate is not None:
            told["drafts accepted"] = f"{self.n_accepted} of {self.n_tested} ({100 * self.acceptance_rate:.0f} %)"
        if self.distance_from_pi is not None:
            told["distance from pi"] = f"{self.distance_from_pi:.3g}"
        return told

    @property
    def n_base_passes(self) -> int:
        """How many forward passes the base made."""
        return sum(self.base_passes.values())

    @property
    def n_proxy_passes(self) -> int:
        """How many forward passes the proxy made."""
        return sum(self.proxy_passes.values())


def stats(traces: list[Trace], passes: Counts, seconds: float) -> Stats:
    """Sum up the traces of all sequences. passes: counts of which the forward passes are taken."""
    n_tokens = sum(len(trace) for trace in traces)
    mass = sum(float(trace.deferral_mass.sum()) for trace in traces)
    n_cycles, n_tested, n_accepted = (
        sum(getattr(trace, name) for trace in traces) for name in ("n_cycles", "n_tested", "n_accepted")
    )
    counts = replace(passes, n_cycles=n_cycles, n_tested=n_tested, n_accepted=n_accepted)
    found = rates(n_tokens, seconds - passes.seconds_capturing, mass, counts)
    far = [trace.distance_from_pi for trace in traces if trace.distance_from_pi is not None]
    distance = float(np.concatenate(far).mean()) if far else None
    return Stats(**vars(found), **vars(counts), distance_from_pi=distance)


class Record:
    """The tokens of all sequences as they are emitted; knows which go on, and nothing of how tokens are chosen.

    active: (B,) indices of the sequences in the batch, in the order of every array passed to `emit`.
    """

    def __init__(
        self,
        n_rows: int,
        max_new_tokens: int,
        stopping: Stopping,
        distributions: bool,
        listener: Callable[[int, npt.NDArray[np.int64]], None] | None = None,
        room: Room | None = None,
    ) -> None:
        self.active = np.arange(0)
        self._limits = np.full(n_rows, max_new_tokens)
        self._stopping = stopping
        self._room = room
        self._listener = listener  # told the index of a sequence and its new tokens
        self._has_ended = np.zeros(n_rows, dtype=np.bool_)
        self._is_finished = np.zeros(n_rows, dtype=np.bool_)  # by an end of text or a string, not cut short
        self._n = np.zeros(n_rows, dtype=np.int64)
        self._tokens = np.zeros((n_rows, max_new_tokens), dtype=np.int64)
        self._source = np.zeros((n_rows, max_new_tokens), dtype=np.uint8)
        self._p_y = np.zeros((n_rows, max_new_tokens))
        self._mass = np.zeros((n_rows, max_new_tokens))
        self._drafts = np.zeros((n_rows, 3), dtype=np.int64)  # cycles, drafts tested, drafts accepted
        self._distance: npt.NDArray[np.float64] | None = None  # with a lossy verifier
        # Of each sequence, by position.
        self._laws: list[dict[int, npt.NDArray[np.float32]]] | None = (
            [{} for _ in range(n_rows)] if distributions else None
        )

    def join(self, rows: npt.NDArray[np.int64]) -> None:
        """Take these sequences into the batch, after those that are there."""
        self.active = np.concatenate([self.active, rows])
        if self._room is not None:
            self._room.join(rows)

    @property
    def n_emitted(self) -> npt.NDArray[np.int64]:
        """How many tokens each active sequence has (B,)."""
        return self._n[self.active]

    @property
    def remaining(self) -> npt.NDArray[np.int64]:
        """How many more tokens each active sequence may get (B,)."""
        return self._limits[self.active] - self.n_emitted

    def emit(
        self,
        counts: npt.NDArray[np.int64],
        tokens: npt.NDArray[np.int64],
        source: npt.NDArray[np.uint8],
        p_y: npt.NDArray[np.floating],
        mass: npt.NDArray[np.floating],
        wanted: npt.NDArray[np.bool_] | None = None,
        laws: npt.NDArray[np.floating] | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Write the first `counts` (B,) of the tokens (B, k), up to an end of text and to the limit.

        source, p_y, mass (B, k) go with the tokens, and laws, row by row, with those that are wanted (B, k). Returns
        how many were written (B,) and which sequences go on (B,) bool; `active` is cut to these.
        """
        n_before, limits = self.n_emitted, self._limits[self.active]
        counts = np.minimum(counts, limits - n_before)
        offsets = np.arange(tokens.shape[1])
        written = offsets < counts[:, None]
        ends = self._stopping.is_end(tokens) & written
        is_finished: npt.NDArray[np.bool_] = np.asarray(ends.any(1))
        is_full = np.zeros_like(is_finished)
        if is_finished.any():
            counts = np.where(is_finished, ends.argmax(1) + 1, counts)
            written = offsets < counts[:, None]
        if self._room is not None:
            fitting, is_full = self._room.fill(self.active, tokens, counts)
            is_finished &= fitting == counts
            counts, written = fitting, offsets < fitting[:, None]
        row, offset = written.nonzero()
        at = (self.active[row], n_before[row] + offset)
        for store, values in ((self._tokens, tokens), (self._source, source), (self._p_y, p_y), (self._mass, mass)):
            store[at] = values[row, offset]
        for i, sequence in enumerate(self.active.tolist()):
            if self._stopping.strings[sequence]:
                text = self._tokens[sequence, : n_before[i] + counts[i]]
                cut = self._stopping.n_until_string(sequence, text, int(counts[i]))
                if cut is not None:
                    counts[i], is_finished[i] = cut, True
        self._is_finished[self.active] = is_finished
        if self._listener is not None:
            for i, sequence in enumerate(self.active.tolist()):
                self._listener(sequence, tokens[i, : counts[i]])
        if self._laws is not None and wanted is not None and laws is not None:
            for i, place, law in zip(*(at.tolist() for at in wanted.nonzero()), laws, strict=True):
                if place < counts[i]:  # a copy, since the others of the window are not kept
                    self._laws[self.active[i]][int(n_before[i]) + place] = law.astype(np.float32)
        self._n[self.active] = n_before + counts
        goes_on = ~is_finished & ~is_full & (n_before + counts < limits)
        if not goes_on.all():
            self._has_ended[self.active[~goes_on]] = True
            self.active = self.active[goes_on]
        return counts, goes_on

    def count(
        self,
        sequences: npt.NDArray[np.int64],
        n_tested: npt.NDArray[np.int64],
        n_accepted: npt.NDArray[np.int64],
    ) -> None:
        """Count a cycle of these sequences (B,), and the drafts that it tested and accepted (B,)."""
        self._drafts[sequences] += np.stack([np.ones_like(n_tested), n_tested, n_accepted], axis=1)

    def measure(
        self,
        sequences: npt.NDArray[np.int64],
        n_emitted: npt.NDArray[np.int64],
        distance: npt.NDArray[np.floating],
    ) -> None:
        """Note how far from pi the laws were (B, k) of the last `n_emitted` (B,) tokens of these sequences (B,)."""
        if self._distance is None:
            self._distance = np.zeros_like(self._p_y)
        row, offset = (np.arange(distance.shape[1]) < n_emitted[:, None]).nonzero()
        first = self._n[sequences] - n_emitted
        self._distance[sequences[row], first[row] + offset] = distance[row, offset]

    def traces(self, tokenizer: Any) -> dict[int, Trace]:
        """One trace for each sequence that has ended, by its index."""
        names = np.array(SOURCES)
        return {
            int(row): Trace(
                token_ids=self._tokens[row, :n].copy(),
                source=names[self._source[row, :n]],
                p_y=self._p_y[row, :n].copy(),
                deferral_mass=self._mass[row, :n].copy(),
                distributions=None if self._laws is None else self._stacked(self._laws[row]),
                law_positions=None if self._laws is None else np.array(list(self._laws[row]), dtype=np.int64),
                tokenizer=tokenizer,
                n_cycles=n_cycles,
                n_tested=n_tested,
                n_accepted=n_accepted,
                distance_from_pi=None if self._distance is None else self._distance[row, :n].copy(),
            )
            for row in self._has_ended.nonzero()[0]
            for n, (n_cycles, n_tested, n_accepted) in [(self._n[row], self._drafts[row].tolist())]
        }

    def _stacked(self, laws: dict[int, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """The laws (k, V) of a sequence, in the order of their positions."""
        return np.stack(list(laws.values())) if laws else np.zeros((0, self._stopping.vocab_size), dtype=np.float32)
