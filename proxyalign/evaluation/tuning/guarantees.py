"""Parameters with a guarantee, from counted losses or from the base's texts alone: the statistics, without any model.

Statement 17 (Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test, 2021, arXiv 2110.01052) bounds the mean loss
of the parameter that is chosen; statement 19, as conformal prediction does, the distance from the base's texts.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from proxyalign.errors import InputError
from proxyalign.validation import check_count


@dataclass(frozen=True)
class FixedSequence:
    """What testing parameters one after the other gave.

    chosen: the index of the last one before the first failure; None where the first failed, and nothing can be
    promised. p_values: of those that were tested, in order. stopped: the index of the first failure, None where none
    failed. n_questions: how many losses each p-value is of.
    """

    chosen: int | None
    p_values: tuple[float, ...]
    stopped: int | None
    n_questions: int


def learn_then_test(losses: Iterable[npt.ArrayLike], eps: float, delta: float) -> FixedSequence:
    """The last parameter before the first whose mean loss cannot be told from one above eps (statement 17).

    losses: (n_parameters, n_questions), one row for each parameter in an order that was fixed before any loss was seen,
    safest first; rows are taken one at a time, so a generator need not make those after the first failure. See
    `p_value` for their values. eps: the mean loss that is allowed, delta: how probable a broken promise may be; in
    (0, 1) both. Over questions that are independent and of the law of those to come, the mean loss of the chosen
    parameter, and of all before it, is at most eps with probability at least 1 - delta.

    Raises InputError for eps or delta elsewhere, no row, rows of different lengths, and what is no loss.
    """
    check_share("learn_then_test", "eps", eps)
    check_share("learn_then_test", "delta", delta)
    p_values: list[float] = []
    n_questions = 0
    for row in losses:
        of_row = np.asarray(row)
        if p_values and of_row.size != n_questions:
            raise InputError(
                f"learn_then_test: all rows of losses must be of the same questions, got {n_questions} and "
                f"{of_row.size}; pass one loss for each question and parameter"
            )
        p_values.append(p_value(of_row, eps))
        n_questions = of_row.size
        if p_values[-1] > delta:
            break
    if not p_values:
        raise InputError("learn_then_test: losses must hold a row for each parameter, got none; pass at least one")
    n_passed = len(p_values) - (p_values[-1] > delta)
    stopped = n_passed if n_passed < len(p_values) else None
    return FixedSequence(n_passed - 1 if n_passed else None, tuple(p_values), stopped, n_questions)


def p_value(losses: npt.ArrayLike, eps: float) -> float:
    """How probable so small a mean of losses (n,) is at most, were the mean loss of all questions above eps.

    Booleans and whole numbers are losses in {0, 1}, with the exact binomial tail; floats are losses in [0, 1], with the
    smaller of Hoeffding's and Bentkus's bounds (statement 17). The type decides and not the values, which are random:
    floats that happen to be 0 and 1 alone may come from a law that takes other values too.

    Raises InputError for eps outside (0, 1), no losses, more than one axis, and values that are no such losses.
    """
    check_share("p_value", "eps", eps)
    given = np.asarray(losses)
    if given.ndim != 1 or not given.size:
        raise InputError(
            f"p_value: losses must be one number for each question, got the shape {given.shape}; pass one row"
        )
    is_counted = given.dtype.kind in "bui"
    if given.dtype.kind not in "buif" or not ((given >= 0) & (given <= 1)).all():
        bad = given[~((given >= 0) & (given <= 1))] if given.dtype.kind in "buif" else given
        raise InputError(f"p_value: losses must be numbers in [0, 1], got {bad[0]!r}; scale them")
    n, total = given.size, math.fsum(given.tolist())
    if is_counted:
        return binomial_tail(int(total), n, eps)
    share = min(total / n, eps)
    hoeffding = math.exp(-n * _divergence(share, eps))
    bentkus = math.e * binomial_tail(math.ceil(total), n, eps)
    return min(1.0, hoeffding, bentkus)


def binomial_tail(k: int, n: int, chance: float) -> float:
    """P(Bin(n, chance) <= k) for 0 < chance < 1, added up from k downwards for as long as the terms count."""
    if k >= n:
        return 1.0
    if k > n * chance:  # where terms would rise at first
        return 1.0 - binomial_tail(n - k - 1, n, 1.0 - chance)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = total = math.exp(ways + k * math.log(chance) + (n - k) * math.log1p(-chance))
    for i in range(k, 0, -1):
        term *= i / (n - i + 1) * (1.0 - chance) / chance
        total += term
        if term <= total * 2.0**-60:
            break
    return total


def _divergence(a: float, b: float) -> float:
    """h1(a, b), the relative entropy in nats of a coin of a to one of b, for 0 <= a <= b < 1."""
    first = a * math.log(a / b) if a else 0.0
    return first + (1.0 - a) * math.log((1.0 - a) / (1.0 - b))


def needed_questions(eps: float, delta: float, n_losses: int = 0) -> int:
    """The fewest questions, `n_losses` of them with a loss of 1, that promise a mean loss of at most eps.

    As in `learn_then_test`, with losses in {0, 1}. Raises InputError for eps or delta outside (0, 1), n_losses below 0.
    """
    check_share("needed_questions", "eps", eps)
    check_share("needed_questions", "delta", delta)
    check_count("needed_questions", "n_losses", n_losses, least=0)
    too_few, enough = n_losses, 2 * n_losses + 1
    while binomial_tail(n_losses, enough, eps) > delta:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if binomial_tail(n_losses, middle, eps) > delta:
            too_few = middle
        else:
            enough = middle
    return enough


def needed_at_share(share: float, eps: float, delta: float) -> int | None:
    """About how many questions would promise a mean loss of at most eps were this share of them losses.

    None for a share of eps or more, which no number of questions makes less. Otherwise as `needed_questions`, whose
    number of losses is here the first that is at least this share of what it needs.
    """
    check_share("needed_at_share", "eps", eps)
    if share >= eps:
        return None
    too_few, enough = -1, 0
    while enough < share * needed_questions(eps, delta, enough):
        too_few, enough = enough, 2 * enough + 1
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if middle < share * needed_questions(eps, delta, middle):
            too_few = middle
        else:
            enough = middle
    return needed_questions(eps, delta, enough)


def trust_region(min_probs: Sequence[float] | npt.NDArray[np.floating], eps: float) -> float:
    """The threshold alpha of `rules.Dual` whose texts are within eps of the base's, in total variation (statement 19).

    min_probs: (n,), for each of n texts drawn from the base the least probability that it gave to a token of that text.
    Texts, or prompts with their texts, are independent and of the law of those to come. alpha is the k-th smallest,
    k = floor(eps (n + 1)), eps read as the decimal that it is written as; 0, which defers nothing, where k = 0. The
    promise is of the mean over such samples of texts: E[TV(cascade's texts, base's texts)] <= k / (n + 1) <= eps. It
    needs no proxy and holds for any, and for every smaller alpha.

    At another temperature it holds as it stands where texts are drawn at the temperature of the cascade, while the
    probabilities stay those that the rule reads, of temperature 1: whether a text has a token below alpha is all that
    counts.

    Raises InputError for eps outside (0, 1), no texts, and what is no probability.
    """
    check_share("trust_region", "eps", eps)
    least = np.asarray(min_probs, dtype=np.float64)
    if least.ndim != 1 or not least.size:
        raise InputError(
            f"trust_region: min_probs must be one number for each text, got the shape {least.shape}; draw some texts"
        )
    if not ((least >= 0) & (least <= 1)).all():
        bad = least[~((least >= 0) & (least <= 1))][0]
        raise InputError(
            f"trust_region: min_probs must be probabilities in [0, 1], got {bad}; take them from texts that the base "
            "drew, not the proxy"
        )
    k = trust_rank(least.size, eps)
    return float(np.partition(least, k - 1)[k - 1]) if k else 0.0


def trust_rank(n_texts: int, eps: float) -> int:
    """k = floor(eps (n + 1)): which of the n least probabilities is the threshold of `trust_region`; 0 for none."""
    return math.floor(Fraction(repr(float(eps))) * (n_texts + 1))


def needed_texts(eps: float) -> int:
    """The fewest texts of the base from which `trust_region` can give a threshold above 0."""
    check_share("needed_texts", "eps", eps)
    return math.ceil(1 / Fraction(repr(float(eps)))) - 1


def check_share(owner: str, argument: str, value: float) -> None:
    """Raise InputError unless `value` is a number strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not 0.0 < value < 1.0:
        raise InputError(f"{owner}: {argument} must be strictly between 0 and 1, got {value!r}; 0.05 and 0.1 are usual")
