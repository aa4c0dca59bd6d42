"""The one thread that has the pair: it decodes what is asked, in batches that are filled up while they run."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

import torch

from proxyalign.decoding import autoregressive, speculative
from proxyalign.decoding.arguments import bias_of, check_mode, check_pair_and_rule, check_rotary, placed
from proxyalign.decoding.backends import backend_for
from proxyalign.decoding.job import Job
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.readers.contract import IntArray
from proxyalign.decoding.scoring import Score, score
from proxyalign.decoding.shaping import Shaping
from proxyalign.decoding.window import LONGEST, AdaptiveWindow, FixedWindow
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.truncations import TopP
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.serving.server.asked import Asked, Shape
from proxyalign.serving.server.refusal import Refusal
from proxyalign.serving.server.rows import LiveRecord, Rows
from proxyalign.validation import check_count

PATIENCE = 1.0  # seconds that a batch takes in new sequences for, while those of other settings wait
_AT_ONCE = 1 << 27  # numbers that are held of each model's logits while texts are scored, if one text alone has no more
_REMEDY = "start the server with a smaller --batch-size or --max-length"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """Texts whose log-probabilities are asked for: token ids of contexts and of what comes after them."""

    contexts: Sequence[Sequence[int]]
    continuations: Sequence[Sequence[int]]
    proxy_contexts: Sequence[Sequence[int]]
    shape: Shape
    n_top: int
    scores: "Future[list[Score]]" = field(default_factory=Future)


class Engine:
    """Decodes sequences that come one by one, those of equal settings together, and scores texts between two steps.

    A batch takes in sequences of its own settings as places fall free. Once one of other settings has waited for
    `PATIENCE` seconds, nobody who came after it is let in any more, and the next batch is its own. An answer depends on
    its prompts, key and settings alone: it is the one that `generate` gives.

    mode, window, rule_temperature, boundaries: as in `generate`. batch_size: sequences decoded together. queue: how
    many may wait. max_length: tokens of a prompt and its answer. Raises InputError for what `generate` would refuse.
    """

    def __init__(
        self,
        pair: ModelPair,
        rule: Rule,
        *,
        mode: str = "autoregressive",
        window: int | Literal["auto"] = 5,
        rule_temperature: float = 1.0,
        boundaries: str = "any",
        batch_size: int = 16,
        queue: int = 128,
        max_length: int,
    ) -> None:
        check_pair_and_rule("serve", pair, rule)
        check_mode(mode, window)
        for name, value in (("batch_size", batch_size), ("queue", queue), ("max_length", max_length)):
            check_count("serve", name, value, 1)
        self.pair, self.rule = pair, rule
        self.queue, self.max_length, self._batch_size = queue, max_length, batch_size
        self._rule_temperature, self._window, self._boundaries = float(rule_temperature), window, boundaries
        self._is_speculative = mode == "speculative" and rule.constant is not True
        self._placed = placed("serve", pair, rule, pair.eos_token_ids, boundaries)
        beyond = 0 if not self._is_speculative else LONGEST if isinstance(window, str) else window
        check_rotary("serve", pair, [1], max_length - 1 + beyond)
        self._backend = backend_for(pair.device)
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Asked, float]] = deque()  # with the time at which each came
        self._readings: deque[Reading] = deque()
        self._rows: Rows | None = None  # of the batch that runs
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="proxyalign engine", daemon=True)
        self._thread.start()

    def shape(self, temperature: float, top_p: float | None, bias: dict[int, float], max_new_tokens: int) -> Shape:
        """The settings of a sequence of at most so many tokens.

        A window is never longer than the answer, as in `generate`, since the numbers that a cycle draws depend on it.
        """
        window: int | Literal["auto"] = 1
        if self._is_speculative:
            window = self._window if isinstance(self._window, str) else min(self._window, max_new_tokens)
        return Shape(temperature, top_p, tuple(sorted(bias.items())), window)

    @property
    def n_waiting(self) -> int:
        """How many sequences and texts wait for their turn."""
        return len(self._waiting) + len(self._readings)

    @property
    def n_running(self) -> int:
        """How many sequences are being decoded."""
        rows = self._rows
        return 0 if rows is None else len(rows.held)

    def submit(self, sequences: Sequence[Asked]) -> None:
        """Let all of these wait for their turn, or none: Refusal (429) where there is no room for them."""
        with self._changed:
            self._check_room(len(sequences))
            now = time.monotonic()
            self._waiting += [(asked, now) for asked in sequences]
            self._changed.notify()

    def cancel(self, sequences: Sequence[Asked]) -> None:
        """Nobody waits for these any more: they leave the queue at once, and a batch at its next step."""
        with self._changed:
            for asked in sequences:
                asked.is_cancelled = True
            self._waiting = deque((asked, came) for asked, came in self._waiting if not asked.is_cancelled)

    def read(self, reading: Reading, *, is_new: bool = True) -> None:
        """Have texts scored, told by `reading.scores`; Refusal (429) where there is no room for one that is new."""
        with self._changed:
            if is_new:
                self._check_room(len(reading.contexts))
            self._readings.append(reading)
            self._changed.notify()

    def close(self) -> None:
        """Cancel all that is left, and wait until the thread has ended."""
        with self._changed:
            self._is_closing = True
            for asked in (*(one for one, _ in self._waiting), *(self._rows.held if self._rows else ())):
                asked.is_cancelled = True
            self._waiting.clear()
            while self._readings:
                self._readings.popleft().scores.cancel()
            self._changed.notify()
        self._thread.join()

    def due(self, shape: Shape, alone: Asked | None) -> list[Asked]:
        """Those that may join a batch of these settings now, in order. alone: the only one that may, where one is."""
        with self._changed:
            found, now = [], time.monotonic()
            for asked, came in self._waiting:
                fits = asked is alone if alone or asked.is_alone else asked.shape == shape
                if fits:
                    found.append(asked)
                elif now - came > PATIENCE:
                    break
            return found

    def begin(self, sequences: Sequence[Asked], rows: Rows) -> IntArray:
        """Move these from the queue to places of the batch: which (n,)."""
        with self._changed:
            chosen = set(map(id, sequences))
            self._waiting = deque(entry for entry in self._waiting if id(entry[0]) not in chosen)
            return rows.fill(sequences)

    def read_one(self) -> None:
        """Score the texts that have waited longest, if any do."""
        with self._changed:
            reading = self._readings.popleft() if self._readings else None
        if reading is None or not reading.scores.set_running_or_notify_cancel():
            return
        try:
            reading.scores.set_result(self._scores(reading))
        except Exception as error:
            reading.scores.set_exception(error)

    def _check_room(self, n: int) -> None:
        if self._is_closing:
            raise Refusal("serve: requests must come while the server runs, got one as it stops", status=503)
        if self.n_waiting + n > self.queue:
            raise Refusal(
                f"serve: at most {self.queue} sequences may wait, got {n} beside {self.n_waiting}; ask again later",
                status=429,
                code="queue_full",
                retry_after=1,
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._readings or self._is_closing)
                if self._is_closing:
                    return
                first = self._waiting[0][0] if self._waiting else None
            if first is None:
                self.read_one()
            else:
                self._run(first)

    def _run(self, first: Asked) -> None:
        """Decode a batch of the settings of this one, until nobody is left who may join it."""
        rows = self._rows = Rows(1 if first.is_alone else self._batch_size)
        try:
            job = self._job(rows, _Turn(self, first, rows))
            record = job.record_as(LiveRecord)
            record.rows = rows
            with (
                enough_memory("serve", len(rows.keys), _REMEDY),
                torch.inference_mode(),
                self.pair.evaluating(),
                self._backend.working(self.pair.device),
            ):
                (speculative if self._is_speculative else autoregressive).decode(job, record)
        except Exception as error:
            self._recover(first, rows, error)
        finally:
            self._rows = None

    def _recover(self, first: Asked, rows: Rows, error: Exception) -> None:
        """After an error in a batch: whoever was alone in it has failed, and several are begun again one by one.

        An answer depends on its own key alone, so that those who did no harm come to the same once more.
        """
        if not isinstance(error, InputError):
            _logger.error("a batch failed", exc_info=error)
        held = [asked for asked in rows.held if not asked.is_cancelled]
        with self._changed:
            if not held and not first.is_cancelled and any(asked is first for asked, _ in self._waiting):
                held = [first]  # it had not begun: the batch itself could not be made
                self._waiting = deque(entry for entry in self._waiting if entry[0] is not first)
            if len(held) > 1:
                for asked in held:
                    asked.is_alone = True
                now = time.monotonic()
                self._waiting.extendleft((asked, now) for asked in reversed(held))
                return
        for asked in held:
            asked.fail(error)

    def _job(self, rows: Rows, turn: "_Turn") -> Job:
        shape = turn.shape
        return Job(
            pair=self.pair,
            backend=self._backend,
            rule=self._placed,
            base_prompts=rows.base_prompts,
            proxy_prompts=rows.proxy_prompts,
            keys=rows.keys,
            max_new_tokens=self.max_length,
            shaping=self._shaping(shape, shape.temperature),
            window=AdaptiveWindow() if isinstance(shape.window, str) else FixedWindow(shape.window),
            batch_size=len(rows.keys),
            stop=rows.stop,
            source=turn,
        )

    def _shaping(self, shape: Shape, temperature: float) -> Shaping:
        cut = () if shape.top_p is None else (TopP(shape.top_p),)
        return Shaping(
            temperature=temperature,
            rule_temperature=self._rule_temperature,
            bias=bias_of(self.pair, dict(shape.bias), ()),
            ends=self.pair.eos_token_ids,
            min_new_tokens=0,
            truncations={"base": cut, "proxy": cut},
        )

    def _scores(self, reading: Reading) -> list[Score]:
        """log pi as tokens are drawn; at temperature 0, whose law has nothing to tell, that of temperature 1."""
        shaping = self._shaping(reading.shape, reading.shape.temperature or 1.0)
        n_longest, scores = max(1, *map(len, reading.continuations)), list[Score]()
        n_rows = max(1, min(self._batch_size, _AT_ONCE // (n_longest * self.pair.vocab_size)))
        for at in range(0, len(reading.contexts), n_rows):
            some = slice(at, at + n_rows)
            scores += score(
                self.pair,
                self.rule,
                reading.contexts[some],
                reading.continuations[some],
                proxy_contexts=reading.proxy_contexts[some],
                shaping=shaping,
                n_top=reading.n_top,
                boundaries=self._boundaries,
            )
        return scores


class _Turn:
    """The source of a running batch: sequences of its settings, for as long as it is their turn."""

    def __init__(self, engine: Engine, first: Asked, rows: Rows) -> None:
        self.shape = first.shape
        self._engine, self._rows = engine, rows
        self._alone = first if first.is_alone else None
        self._due: list[Asked] = []

    def due(self) -> int:
        """How many may join now; texts that wait to be scored are read before."""
        self._engine.read_one()
        self._due = self._engine.due(self.shape, self._alone)
        return len(self._due)

    def take(self, n: int) -> IntArray:
        """Let the first n of them begin."""
        return self._engine.begin(self._due[:n], self._rows)
