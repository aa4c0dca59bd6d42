"""What runs on the same questions say of each other: a paired bootstrap, McNemar's exact test, Holm's correction."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from proxyalign.errors import InputError
from proxyalign.validation import check_count

Floats = npt.NDArray[np.float64]
_AT_ONCE = 1 << 22  # numbers of a table of resamples that are held together


def resampled_sums(columns: Floats, n_resamples: int, seed: int) -> Floats:
    """The sums of `columns` (n, k) over resamples of its n rows with replacement (n_resamples, k), float64.

    One and the same resamples for all columns, so that what is paired stays so (Efron and Tibshirani 1993, "An
    Introduction to the Bootstrap", chapter 8). Raises InputError where there is no row.
    """
    check_count("bootstrap", "the number of questions", len(columns), least=1)
    check_count("bootstrap", "n_resamples", n_resamples, least=1)
    return np.concatenate([counts @ columns for counts in _counts(len(columns), n_resamples, seed)])


def _counts(n: int, n_resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of n rows is drawn in each resample, a table (m, n) at a time."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // n)
    for first in range(0, n_resamples, at_once):
        m = min(at_once, n_resamples - first)
        drawn = rng.integers(n, size=(m, n)) + n * np.arange(m)[:, None]
        yield np.bincount(drawn.ravel(), minlength=m * n).reshape(m, n).astype(np.float64)


def percentile_interval(draws: Floats, level: float = 0.95) -> tuple[float, float] | None:
    """The middle `level` of what a statistic was in resamples (m,); NaN, where it had no value, is left out.

    None where it never had one.
    """
    known = draws[~np.isnan(draws)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mcnemar(n_helps: int, n_harms: int) -> tuple[float, float]:
    """The exact two-sided p of McNemar's test, and its mid-p, for so many questions that changed either way.

    Under the hypothesis each of them is as likely to go one way as the other, n_helps ~ Binomial(n_helps + n_harms,
    1/2); p sums the probabilities of all outcomes at least as far from the middle, mid-p counts those just as far by
    half (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91). The exact p errs on the side of
    no difference, mid-p may exceed its level by a little. Both are added up in integers, and 1 where nothing changed.

    Raises InputError for what is no count.
    """
    check_count("mcnemar", "n_helps", n_helps, least=0)
    check_count("mcnemar", "n_harms", n_harms, least=0)
    n, fewer = n_helps + n_harms, min(n_helps, n_harms)
    if n == 0:
        return 1.0, 1.0
    ways, below = 1, 0  # binomial(n, i), and the sum over those before
    for i in range(fewer):
        below += ways
        ways = ways * (n - i) // (i + 1)
    just_as_far = ways if 2 * fewer == n else 2 * ways
    return (2 * below + just_as_far) / 2**n, (4 * below + just_as_far) / 2 ** (n + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p for each of a family of tests, in their order (Holm 1979, Scand. J. Statistics 6).

    Rejecting where it is at most a level keeps the chance of any false rejection at that level, however the tests
    depend on each other. Raises InputError for what is no probability.
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise InputError(f"holm: p_values must be in [0, 1], got {p}; pass probabilities")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
