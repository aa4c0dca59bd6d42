"""What a run's records say: accuracy with its uncertainty, speed, and how often the proxy wrote."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from proxyalign.decoding.trace import Counts, Rates, rates
from proxyalign.errors import InputError

_OPTIONAL = ("measures", "macro")
Z_95 = 1.959963984540054  # the 0.975 quantile of the standard normal law


def wilson(n_right: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's interval for a share of `n_right` in `n` (Wilson 1927, JASA 22); 95 percent by default.

    Unlike the normal interval it stays inside [0, 1] and keeps a width at 0 and at n. Raises InputError unless
    0 <= n_right <= n and n >= 1.
    """
    if not (n >= 1 and 0 <= n_right <= n):
        raise InputError(f"wilson: n_right must be in [0, n] and n at least 1, got {n_right} and {n}; pass counts")
    share = n_right / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    return max(0.0, middle - half) if n_right else 0.0, min(1.0, middle + half) if n_right < n else 1.0


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty. standard_error: None of a single question, which has none. interval: 95 percent.

    n: how many questions it is of, or groups.
    """

    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Summary(Rates):
    """One run in numbers: the rates of its decoding, and its answers.

    n, n_correct, accuracy, standard_error, interval: questions answered and right, their share, sqrt(share (1 -
    share) / n), and Wilson's 95 percent interval; strict_accuracy and strict_interval: right and in the asked form;
    n_unparsed: replies without any answer (they count as wrong). measures: what else the task reports, by name, see
    `measure`. macro: the mean over the task's groups of their accuracy, None where it has none.

    Where likelihoods of choices are compared, n_tokens and tokens_per_second are of what the base read, and nothing was
    deferred, drafted or tested.
    """

    n: int
    n_correct: int
    accuracy: float
    standard_error: float
    interval: tuple[float, float]
    strict_accuracy: float
    strict_interval: tuple[float, float]
    n_unparsed: int
    measures: Mapping[str, Estimate] = field(default_factory=dict)
    macro: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """The numbers as JSON values, without measures and macro where there are none."""
        return {name: value for name, value in asdict(self).items() if name not in _OPTIONAL or value}


def summarise(records: Iterable[Mapping[str, Any]], *, groups: str | None = None) -> Summary:
    """Reduce records (see `proxyalign.evaluation.run`) to a Summary; every mean is a ratio of sums over the run.

    So a long reply weighs as its tokens do, and the batches and interruptions of a run leave no trace in it. groups:
    the name in each record's meta over whose values the macro mean is taken (`Task.groups`). Raises InputError where
    there are no records.
    """
    rows = list(records)
    if not rows:
        raise InputError("summarise: records must hold at least one question, got none; run the evaluation first")

    def total(name: str) -> float:
        return math.fsum(row[name] for row in rows)

    n, n_correct, n_strict = len(rows), int(total("correct")), int(total("strict"))
    n_cycles, n_tested, n_accepted = (int(total(name)) for name in ("n_cycles", "n_tested", "n_accepted"))
    counts = Counts(n_cycles, n_tested, n_accepted)
    accuracy = n_correct / n
    return Summary(
        **vars(rates(int(total("n_tokens")), total("seconds"), total("deferral_mass"), counts)),
        n=n,
        n_correct=n_correct,
        accuracy=accuracy,
        standard_error=math.sqrt(accuracy * (1 - accuracy) / n),
        interval=wilson(n_correct, n),
        strict_accuracy=n_strict / n,
        strict_interval=wilson(n_strict, n),
        n_unparsed=sum(row["extracted"] is None for row in rows),
        measures=_measures(rows),
        macro=None if groups is None else macro([(row["meta"][groups], row["correct"]) for row in rows]),
    )


def measure(parts: Sequence[tuple[float, float]]) -> Estimate | None:
    """The sum of amounts over the sum of weights, of one (amount, weight) a question; None where nothing has weight.

    Its standard error is that of a ratio of means, sqrt(n / (n - 1) sum (amount - ratio weight)^2) / sum of weights
    (Cochran 1977, Sampling Techniques, chapter 6): questions are drawn, and not what is counted within one. The
    interval is 1.96 of them either way, within [0, 1] where each amount is a part of its weight; of a plain share (0 or
    1 of 1 each) both are those of the accuracy.
    """
    n, total = len(parts), math.fsum(weight for _, weight in parts)
    if not total:
        return None
    ratio = math.fsum(amount for amount, _ in parts) / total
    if all(weight == 1 and amount in (0, 1) for amount, weight in parts):
        return Estimate(ratio, math.sqrt(ratio * (1 - ratio) / n), wilson(round(ratio * n), n), n)
    if n == 1:
        return Estimate(ratio, None, None, n)
    squares = math.fsum((amount - ratio * weight) ** 2 for amount, weight in parts)
    error = math.sqrt(n / (n - 1) * squares) / total
    low, high = ratio - Z_95 * error, ratio + Z_95 * error
    if all(0 <= amount <= weight for amount, weight in parts):
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(ratio, error, (low, high), n)


def macro(answers: Iterable[tuple[Any, bool]]) -> Estimate:
    """The mean over groups of the share of right answers in each, of (group, right) for each question.

    Its variance is the sum of the groups' own, share (1 - share) / n, over the number of groups squared: groups are
    fixed, and questions drawn within them, so that a group of a single question adds none.
    """
    of_group: dict[Any, list[bool]] = {}
    for group, is_right in answers:
        of_group.setdefault(group, []).append(is_right)
    n, shares = len(of_group), [(sum(rights) / len(rights), len(rights)) for rights in of_group.values()]
    value = math.fsum(share for share, _ in shares) / n
    error = math.sqrt(math.fsum(share * (1 - share) / size for share, size in shares)) / n
    return Estimate(value, error, (max(0.0, value - Z_95 * error), min(1.0, value + Z_95 * error)), n)


def _measures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Estimate]:
    """Each measure that a record has, over the records that have it."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, (amount, weight) in row.get("measures", {}).items():
            parts.setdefault(name, []).append((amount, weight))
    estimates = {name: measure(of_name) for name, of_name in parts.items()}
    return {name: one for name, one in estimates.items() if one is not None}
