"""What a run's records say: accuracy with its uncertainty, speed, and how often the proxy wrote."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from proxyalign.decoding.trace import Counts, Rates, rates
from proxyalign.errors import InputError

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


@dataclass(frozen=True, kw_only=True)
class Summary(Rates):
    """One run in numbers: the rates of its decoding, and its answers.

    n, n_correct, accuracy, standard_error, interval: questions answered and right, their share, sqrt(share (1 -
    share) / n), and Wilson's 95 percent interval; strict_accuracy and strict_interval: right and in the asked form;
    n_unparsed: replies without any answer (they count as wrong).
    """

    n: int
    n_correct: int
    accuracy: float
    standard_error: float
    interval: tuple[float, float]
    strict_accuracy: float
    strict_interval: tuple[float, float]
    n_unparsed: int

    def as_dict(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        return asdict(self)


def summarise(records: Iterable[Mapping[str, Any]]) -> Summary:
    """Reduce records (see `proxyalign.evaluation.run`) to a Summary; every mean is a ratio of sums over the run.

    So a long reply weighs as its tokens do, and the batches and interruptions of a run leave no trace in it. Raises
    InputError where there are no records.
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
    )
