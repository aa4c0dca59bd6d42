"""What statements 10, 11 and 15 ask of a whole run of the engine: that it is the one written from the definition."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from proxyalign.decoding.generate import generate
from proxyalign.deferral import rules
from proxyalign.deferral.distances import jensen_shannon
from proxyalign.deferral.rule import Rule
from proxyalign.models.pair import ModelPair
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.cases.table_models import Prefix, table_pair
from proxyalign.verify.reference.speculation import Speculation
from proxyalign.verify.statements.claim import Claim

N_SEQUENCES, LIMIT = 5, 6
ONE_IN = 8  # cases of which a run is made, since it costs as much as all else
Sets = Callable[[Prefix, Floats, Floats], NDArray[np.bool_]]


def is_run(case: Laws) -> bool:
    """Whether the engine decodes on this case's laws."""
    return zlib.crc32(case.p.tobytes()) % ONE_IN == 0


class _Table:
    """Laws of prefixes: each is a row of the case's, as torch's softmax gives it back from its logarithm."""

    def __init__(self, laws: Floats) -> None:
        self.given = laws
        self._rows: dict[Prefix, int] = {}
        with np.errstate(divide="ignore"):
            self._laws = torch.from_numpy(np.log(laws)).softmax(-1).numpy()

    def row(self, prefix: Prefix) -> int:
        """The row of a prefix: not of its last token alone, nor of its length."""
        if prefix not in self._rows:
            row = sum((place + 1) * (token + 1) for place, token in enumerate(prefix)) % len(self.given)
            self._rows[prefix] = row
        return self._rows[prefix]

    def as_given(self, prefix: Prefix) -> Floats:
        """The law that the model takes the logarithm of."""
        law: Floats = self.given[self.row(prefix)]
        return law

    def __call__(self, prefix: Prefix) -> Floats:
        law: Floats = self._laws[self.row(prefix)]
        return law


def thresholds(case: Laws) -> Iterator[Claim]:
    """A run under the dual rule: free bonuses, and owed drafts where one is deferred."""
    yield from _as_written(case, rules.Dual(case.alpha), lambda _, p, q: p < case.alpha)


def beside(case: Laws) -> Iterator[Claim]:
    """A run under a rule that reads the proxy, and so has no bonus."""
    yield from _as_written(case, rules.ConfidenceBet(case.alpha), lambda _, p, q: p < q.max() - case.alpha)


def gated(case: Laws) -> Iterator[Claim]:
    """A run under a gate that hands over the steps on which the two laws are close."""

    def sets(_: Prefix, p: Floats, q: Floats) -> NDArray[np.bool_]:
        divergence = float(jensen_shannon(torch.from_numpy(p), torch.from_numpy(q)))
        return np.full(p.shape, divergence <= case.alpha)

    yield from _as_written(case, rules.FSD(case.alpha), sets)


def handed_over(case: Laws) -> Iterator[Claim]:
    """A run that the proxy begins, until the base's probabilities of the last two tokens are high enough."""
    table, window = _Table(case.p), 2
    least = np.log(case.alpha) if case.alpha else -np.inf

    def sets(prefix: Prefix, p: Floats, q: Floats) -> NDArray[np.bool_]:
        with np.errstate(divide="ignore"):
            logs = np.log([table(prefix[:n])[token] for n, token in enumerate(prefix)])
        means = [logs[end - window : end].mean() for end in range(window, len(prefix) + 1)]
        return np.full(p.shape, bool(case.alpha) and not any(mean >= least for mean in means))

    yield from _as_written(case, rules.WSD(case.alpha, window), sets)


def followed(case: Laws) -> Iterator[Claim]:
    """A run under the hybrid rule, whose multiplier follows the tokens that are emitted."""
    table = _Table(case.p)

    def sets(prefix: Prefix, p: Floats, q: Floats) -> NDArray[np.bool_]:
        multiplier = case.start
        for n in range(len(prefix)):
            law = table(prefix[:n])
            mass = float(law[law < np.exp(-multiplier)].sum())
            multiplier = max(0.0, multiplier + case.rate * (mass - case.budget))
        below: NDArray[np.bool_] = p < np.exp(-multiplier)
        return below

    yield from _as_written(case, rules.Hybrid(case.budget, step=case.rate, first=case.start), sets)


def tuned(case: Laws) -> Iterator[Claim]:
    """A run under a mixture of three models, pi = p q / q0 normalised: nothing is deferred, and nothing is free."""
    positive = [0.9 * laws + 0.1 / laws.shape[-1] for laws in (case.p, case.q, case.truth)]
    p, q, q0 = (_Table(laws) for laws in positive)

    def target(prefix: Prefix) -> Floats:
        weights = p(prefix) * q(prefix) / q0(prefix)
        pi: Floats = weights / weights.sum()
        return pi

    nothing = np.zeros(case.p.shape[-1], dtype=bool)
    written = Speculation(target, lambda _: nothing, q, has_bonus=False, **_settings(case))
    pair = table_pair(p.as_given, q.as_given, case.p.shape[-1], q0.as_given)
    yield from _compared(case, pair, rules.ImplicitReward(), written)


def _as_written(case: Laws, rule: Rule, sets: Sets) -> Iterator[Claim]:
    p, q = _Table(case.p), _Table(case.q)
    written = Speculation(
        p, lambda prefix: sets(prefix, p(prefix), q(prefix)), q, has_bonus=rule.has_bonus, **_settings(case)
    )
    yield from _compared(case, table_pair(p.as_given, q.as_given, case.p.shape[-1]), rule, written)


def _settings(case: Laws) -> dict[str, Any]:
    """Windows, lengths and ends: by turns the likelier of the first tokens ends a text, or none does."""
    ends = (int(case.p[0].argmax()),) if case.window == 2 else ()
    return {"window": case.window, "limit": LIMIT, "ends": ends}


def _compared(case: Laws, pair: ModelPair, rule: Rule, written: Speculation) -> Iterator[Claim]:
    seed = zlib.crc32(case.q.tobytes())
    expected = written.write([(seed, 0, sample) for sample in range(N_SEQUENCES)])
    found = generate(
        pair,
        [[0]],
        rule,
        mode="speculative",
        window=written.window,
        max_new_tokens=written.limit,
        num_return_sequences=N_SEQUENCES,
        seed=seed,
        eos_token_ids=written.ends,
    )
    tokens = sum(ids != text.tokens for ids, text in zip(found.token_ids, expected, strict=True))
    counts = sum(
        (trace.n_cycles, trace.n_tested, trace.n_accepted) != (text.n_cycles, text.n_tested, text.n_accepted)
        for trace, text in zip(found.traces, expected, strict=True)
    )
    yield Claim(f"{rule.name}: a run writes what the definition does", tokens, 0, "==")
    yield Claim(f"{rule.name}: cycles and drafts are counted as they are", counts, 0, "==")
