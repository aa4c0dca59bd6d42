"""How tight each inequality is: cases that attain it, or the largest ratio of its two sides that a search finds."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from proxyalign.verify.cases import Case, Clash, Floats, Knapsack, Laws
from proxyalign.verify.cases.clashing import tokens_of
from proxyalign.verify.statements import statement
from proxyalign.verify.statements.token_laws import CONTEXTS, TOKENS

N_STARTS, N_TRIALS = 6, 250


@dataclass(frozen=True)
class Inequality:
    """One inequality of a statement, and the cases to look at: `build` makes one from a point of `n_free` numbers.

    n_free: 0 where one case attains it. lowest: look for the least ratio instead, where that is what the statement is
    about: how much a rule can lose.
    """

    statement: int
    claim: str
    build: Callable[[Floats], Case]
    n_free: int = 0
    lowest: bool = False

    def ratio(self, case: Case) -> float:
        """left / right of the inequality; 0, or infinity for a lowest one, where the case does not pose it."""
        for claim in statement(self.statement).claims(case):
            if claim.name == self.claim and float(claim.right) > 0.0:
                return claim.ratio
        return math.inf if self.lowest else 0.0


@dataclass(frozen=True)
class Tightest:
    """The case of an inequality where its two sides come nearest (or lie furthest apart, for a lowest one)."""

    inequality: Inequality
    ratio: float
    case: Case

    @property
    def how(self) -> str:
        """Whether the case was made or found."""
        return "found by search" if self.inequality.n_free else "made to attain it"


def tightest(inequality: Inequality, seed: int = 0) -> Tightest:
    """The case that is made, or the best that a seeded random search with shrinking steps finds."""
    best = Tightest(inequality, *_rated(inequality, np.zeros(inequality.n_free)))
    if not inequality.n_free:
        return best
    sign = -1.0 if inequality.lowest else 1.0
    rng = np.random.default_rng([seed, inequality.statement])
    for _ in range(N_STARTS):
        point, height = rng.normal(0.0, 2.0, inequality.n_free), -math.inf
        for trial in range(N_TRIALS):
            scale = 10.0 ** (0.3 - 4.0 * trial / N_TRIALS)
            moved = point + scale * rng.normal(size=point.size) * (rng.random(point.size) < 0.6)
            ratio, case = _rated(inequality, moved)
            if sign * ratio > height and math.isfinite(ratio):
                point, height = moved, sign * ratio
                if height > sign * best.ratio:
                    best = Tightest(inequality, ratio, case)
    return best


def _rated(inequality: Inequality, point: Floats) -> tuple[float, Case]:
    case = inequality.build(point)
    return inequality.ratio(case), case


def _softmax(point: Floats) -> Floats:
    raised: Floats = np.exp(point - point.max())
    law: Floats = raised / raised.sum()
    return law


def _unit(number: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(number, -700.0), 700.0)))


def _of_law(p: Floats, budget: float) -> Knapsack:
    return Knapsack("made", p, p, p, p, budget, budget, 0.5, 0.5, 1.0, 1.0)


def _of_numbers(values: list[float], weights: list[float], budget: float, multiplier: float = 1.0) -> Knapsack:
    v, w = np.array(values), np.array(weights)
    return Knapsack("made", None, w, v, w, budget, budget, 0.5, 0.5, multiplier, multiplier)


def _of_laws(
    p: Floats, q: Floats, deferred: Floats, budget: float = 0.5, start: float = 0.0, rate: float = 1.0
) -> Laws:
    return Laws("made", p, q, q, deferred.astype(np.bool_), budget, 0.5, 3, 1.0, start, rate)


def _peak(point: Floats) -> Knapsack:
    """Any law of four tokens at any budget."""
    return _of_law(_softmax(point[:4]), _unit(point[4]))


def _second_alone(point: Floats) -> Knapsack:
    """Any law of three tokens, at a budget that the second lightest one fills alone."""
    p = _softmax(4.0 * point)
    return _of_law(p, float(np.sort(p)[1]))


def _no_overlap(_: Floats) -> Laws:
    """A base that writes the even tokens, half of which are deferred, and a proxy that writes the odd ones."""
    p, q = np.array([[0.5, 0.0, 0.5, 0.0]]), np.array([[0.0, 0.5, 0.0, 0.5]])
    return _of_laws(p, q, np.array([[1, 0, 0, 0]]))


def _other_truth(_: Floats) -> Laws:
    """A true law that shares no token with the base's, and a set that holds all that the base writes."""
    return _of_laws(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[1, 0]]))


def _walk(point: Floats, only_last: bool) -> Laws:
    """Sequences of a base that writes two tokens and a proxy that writes the third; the first token is deferred."""
    p = np.tile([0.5, 0.5, 0.0], (CONTEXTS, 1))
    q = np.tile([0.0, 0.0, 1.0], (CONTEXTS, 1))
    deferred = np.tile([1, 0, 0], (CONTEXTS, 1))
    if only_last:
        deferred[: 1 + TOKENS] = 0
    return _of_laws(p, q, deferred)


def _steps(point: Floats) -> Laws:
    """Two steps of four tokens each."""
    p = np.stack([_softmax(point[:4]), _softmax(point[4:8])])
    return replace(_of_laws(p, p, np.zeros_like(p), budget=_unit(point[8])), alpha=_unit(point[9]))


def _on_budget(price: float) -> Laws:
    """One step whose optimum is a token of density log 4 and of the budget's mass, at a rate of `price` / b."""
    p = np.array([[0.25, 0.75]])
    return _of_laws(p, p, np.zeros_like(p), budget=0.25, start=price, rate=price / 0.25)


def _no_common_piece(_: Floats) -> Clash:
    """A base that writes two pieces, one of which is deferred, and a proxy that writes one that the base has not."""
    for number in itertools.count():
        base, proxy = tokens_of(number)
        alone = [i for i, string in proxy.strings.items() if string not in base.strings.values()]
        if alone:
            break
    p, q = np.zeros((1, base.width)), np.zeros((1, proxy.width))
    p[0, list(base.strings)[:2]], q[0, alone[0]] = (0.25, 0.75), 1.0
    return Clash("made", number, p, q, alpha=0.5, budget=0.5, window=1, start=0.0, rate=1.0, run="")


def _proxy_alone(_: Floats) -> Laws:
    """Everything is deferred, so that the text is the proxy's; what is true is neither model's law."""
    p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    return replace(_of_laws(p, q, np.ones_like(p)), truth=np.array([[0.75, 0.25]]))


def _proxy_on_the_set(_: Floats) -> Laws:
    """A proxy that writes deferred tokens alone, and another share of each than the truth, which is the base's law."""
    p, q = np.array([[0.25, 0.25, 0.5]]), np.array([[0.125, 0.875, 0.0]])
    return replace(_of_laws(p, q, np.array([[1, 1, 0]])), truth=p)


def _rare_tokens(point: Floats) -> Laws:
    """Texts of a base that writes two tokens, the second as rarely as drawn, and of a proxy that writes the third."""
    rare = np.array([_unit(number) for number in point[:CONTEXTS]])
    p, q = np.stack([1.0 - rare, rare, np.zeros(CONTEXTS)], 1), np.tile([0.0, 0.0, 1.0], (CONTEXTS, 1))
    k = 1 + int(6.999 * _unit(point[CONTEXTS]))
    return replace(_of_laws(p, q, np.zeros_like(p), budget=k / 8), window=2)  # from seven texts


def _on_eps(_: Floats) -> Laws:
    """Three parameters that lose on one of eight tokens each, and seven questions, none of which may be lost on."""
    p = np.full((4, 8), 0.125)
    return _of_laws(p, p, np.eye(4, 8))


def _two_densities(_: Floats) -> Laws:
    """A step of tokens of 1/4 and one of tokens of 1/8: at 1/4 each, with one more of the same density at hand."""
    p = np.array([[0.25, 0.25, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], [0.125] * 8])
    return _of_laws(p, p, np.zeros_like(p), budget=0.25)


def _always_accepted(_: Floats) -> Laws:
    """Drafts that are always accepted, and a threshold of 0, so that no bonus is deferred."""
    return replace(_no_overlap(_), alpha=0.0)


INEQUALITIES: tuple[Inequality, ...] = (
    Inequality(2, "G <= OPT", lambda _: _of_law(np.array([0.25, 0.25, 0.5]), 0.5)),
    Inequality(2, "OPT <= U", lambda _: _of_law(np.array([0.25, 0.25, 0.5]), 0.5)),
    Inequality(2, "OPT - G <= (b - W) e_c", lambda _: _of_numbers([0.625, 0.5, 0.5], [0.625, 0.5, 0.5], 1.0)),
    Inequality(2, "U < G + v_c", _peak, 5),
    Inequality(2, "OPT - G < 1/e", _second_alone, 3),
    Inequality(3, "OPT <= 2 half", lambda _: _of_numbers([2e-9, 1.0, 1.0], [1e-9, 1.0, 1.0], 2.0)),
    Inequality(4, "OPT <= L(lambda)", lambda _: _of_numbers([1.0, 0.5], [0.5, 0.5], 0.5)),
    Inequality(4, "U <= L(lambda)", lambda _: _of_numbers([1.0, 0.5], [0.5, 0.5], 0.75)),
    Inequality(8, "TV(pi, p) <= D", _no_overlap),
    Inequality(8, "TV of sequences <= P(some step defers)", lambda point: _walk(point, only_last=False)),
    Inequality(8, "P(some step defers) <= sum E[D_t]", lambda point: _walk(point, only_last=True)),
    Inequality(9, "D <= A", _no_overlap),
    Inequality(12, "tokens a cycle <= window + 1", _no_overlap),
    Inequality(13, "|D under P - D| <= TV(P, p)", _other_truth),
    Inequality(14, "each step's optimum <= the best at its mass", _steps, 10, lowest=True),
    Inequality(15, "sum D_t <= T b + (lambda_T+1 - lambda_1) / eta", lambda _: _on_budget(1.0)),
    Inequality(15, "sum OPT_t - sum v(d_t) <= its bound", lambda _: _on_budget(math.log(4.0))),
    Inequality(16, "D <= A over pieces", _no_common_piece),
    Inequality(17, "P(a promise is broken) <= delta, losses apart", lambda _: replace(_on_eps(_), alpha=0.0)),
    Inequality(17, "P(a promise is broken) <= delta, losses on the same questions", _on_eps),
    Inequality(18, "the loss rises by no more than its price on S", _proxy_on_the_set),
    Inequality(18, "KL(P || pi) <= KL(P || q) + log(1/D)", _proxy_alone),
    Inequality(19, "TV of texts <= P(a token of the base's is below alpha)", _rare_tokens, CONTEXTS + 1),
    Inequality(19, "E[TV of texts] <= eps", _rare_tokens, CONTEXTS + 1),
    Inequality(20, "price of primal <= what is treated otherwise", _two_densities),
    Inequality(20, "price of primal <= what critical densities are apart", _two_densities),
    Inequality(22, "tokens a cycle in the long run <= S_g", _always_accepted),
    Inequality(22, "tokens after an owed draft <= 1 + S_(g-1)", _always_accepted),
)  # fmt: skip
