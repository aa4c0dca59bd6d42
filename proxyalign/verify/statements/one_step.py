"""Statements 1 to 7, about one step's knapsack, each as a function from a case to the claims that it makes.

Expectations are added up in whole numbers, by hand; only where a case has too many items for that is the optimum
bracketed by the set and the bound of `exact`, whose set is checked.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from proxyalign.deferral import rules
from proxyalign.knapsack import (
    certificate,
    dual,
    dual_function,
    exact,
    exact_many,
    exact_path,
    half,
    lp_bound,
    primal,
)
from proxyalign.verify.cases import Floats, Knapsack
from proxyalign.verify.cases.extremes import Extreme
from proxyalign.verify.reference.integer_knapsack import MOST_ITEMS, IntegerKnapsack
from proxyalign.verify.reference.threshold_sets import prefix_within, threshold_rules
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.exact_solver import EXACT_GAP, bracket, is_worth, solved_exactly, tried

Mask = NDArray[np.bool_]
VALUE_ROUNDING = 4 * 2.0**-52  # two logarithms, of one rounding each, and two products
ONE_OVER_E = Fraction(1 / math.e)
UNLIKELY = 2.0**-13  # below which the primal rule takes no token for a likely one
MOST_SETS, SOME_SETS = 64, 2  # of one threshold, over few tokens and over many
FEW, MOST_STEPS = 4, 12  # items of a path, and its steps that are looked at
MANY = 1 << 13  # tokens of a row that the primal rule no longer sorts outright


def optimum(case: Knapsack) -> tuple[Fraction, Fraction]:
    """Two rationals with OPT between them: the same one where it is found by hand."""
    return bracket(case.in_integers, None if len(case.in_integers) <= MOST_ITEMS else exact(case.problem))


def same(name: str, one: Mask, other: Mask) -> Claim:
    """That two sets are the same."""
    return Claim(name, int(np.count_nonzero(one != other)), 0, "==")


def within(name: str, inner: Mask, outer: Mask) -> Claim:
    """That one set is part of another."""
    return Claim(name, int(np.count_nonzero(inner & ~outer)), 0, "==")


def prefix_by_hand(case: Knapsack) -> Mask:
    """The longest prefix that fits, by rising `p` for a law and else by falling v / w, ties by the lowest index."""
    order = case.in_integers.order if case.p is None else np.argsort(case.p, kind="stable").tolist()
    return prefix_within(order, case.in_integers.weights, case.in_integers.budget)


def lp_optimum(case: Knapsack) -> Iterator[Claim]:
    """Statement 1: U = G + (b - W) e_c is the optimum of the linear relaxation; one item is fractional."""
    found, by_hand = lp_bound(case.problem), case.in_integers.relaxed
    if case.p is not None:
        yield Claim("v = -p log p", _value_error(case.p, case.problem.values), VALUE_ROUNDING)
    yield Claim("U = G + (b - W) e_c", found.bound, by_hand.bound, "==")
    yield Claim("U is feasible: a prefix and a part of c", found.n_prefix, by_hand.n_prefix, "==")
    yield Claim("c is the first item that does not fit", _number(found.critical), _number(by_hand.critical), "==")
    yield Claim("lambda* = e_c", found.price, by_hand.price, "==")
    density, off = _density(case, by_hand.critical)
    yield Claim("lambda* rounded", found.multiplier, density, "==", off)
    yield Claim("G rounded", found.prefix_value, float(by_hand.value), "==")
    yield Claim("W rounded", found.prefix_weight, float(by_hand.weight), "==")
    yield Claim("U is proved: L(e_c) = U", case.in_integers.lagrangian(by_hand.price), found.bound, "==")
    for name, exactly, rounded in (
        ("U", by_hand.bound, found.value),
        ("(b - W) e_c", by_hand.bound - by_hand.value, found.gap),
    ):
        yield Claim(f"{name} rounded is not below it", exactly, Fraction(rounded))
        yield Claim(f"{name} rounded is the next float64", Fraction(math.nextafter(rounded, -1.0)), exactly, "<")
    yield same("the primal is the longest prefix", primal(case.problem).deferred, prefix_by_hand(case))


def _number(critical: int | None) -> int:
    return -1 if critical is None else critical


def _density(case: Knapsack, critical: int | None) -> tuple[float, float]:
    """The critical density, 0 where all fits, and by how much the logarithm in it may be off."""
    if critical is None:
        return 0.0, 0.0
    if case.p is not None:
        density = -math.log(min(1.0, case.p[critical]))
        return density, VALUE_ROUNDING * density
    with np.errstate(over="ignore"):
        return min(float(case.values[critical] / case.weights[critical]), np.finfo(np.float64).max), 0.0


def _value_error(p: Floats, values: Floats) -> float:
    """The largest relative error of the values, subnormal numbers left out, which have few digits."""
    inside = (p > 1e-290) & (p < 1.0)
    by_hand = np.array([-law * math.log(law) for law in p[inside].tolist()])
    return float(np.abs(values[inside] / by_hand - 1.0).max(initial=0.0))


def sandwich(case: Knapsack | Extreme) -> Iterator[Claim]:
    """Statement 2: G <= OPT <= U < G + v_c if v_c > 0, so OPT - G <= (b - W) e_c, for surprisal below 1/e."""
    if isinstance(case, Extreme):
        return tried(case)
    return _sandwich(case)


def _sandwich(case: Knapsack) -> Iterator[Claim]:
    whole, problem = case.in_integers, case.problem
    prefix, relaxed = primal(problem), lp_bound(problem)
    low, high = optimum(case)
    greedy = whole.value(prefix.deferred)
    yield from is_worth(whole, prefix, low, "the primal")
    yield Claim("G <= OPT", greedy, high)
    yield Claim("OPT <= U", low, relaxed.bound)
    if case.p is not None:
        yield Claim("OPT - G < 1/e", low - greedy, ONE_OVER_E, "<")
    if case.in_exact_order and relaxed.critical is None:
        yield Claim("without a critical item OPT = G", low, greedy, "==")
    elif case.in_exact_order and relaxed.critical is not None:
        worth = Fraction(float(problem.values[relaxed.critical]))
        part = (Fraction(problem.budget) - whole.mass(prefix.deferred)) * relaxed.price
        yield Claim("OPT - G <= (b - W) e_c", low - greedy, part)
        yield Claim("U < G + v_c", relaxed.bound - greedy, worth, "<" if worth > 0 else "<=")
    yield from solved_exactly(case, prefix)


def half_approximation(case: Knapsack) -> Iterator[Claim]:
    """Statement 3: the better of the prefix and the critical item is worth at least half the optimum."""
    whole, problem = case.in_integers, case.problem
    low, _ = optimum(case)
    found = half(problem)
    yield from is_worth(whole, found, low, "half")
    yield Claim("OPT <= 2 half", low, 2 * whole.value(found.deferred))
    critical = lp_bound(problem).critical
    if case.in_exact_order and critical is not None and problem.weights[critical] <= problem.budget:
        greedy, worth = whole.value(primal(problem).deferred), Fraction(float(problem.values[critical]))
        yield Claim("OPT <= 2 max(G, v_c)", low, 2 * max(greedy, worth))


def weak_duality(case: Knapsack) -> Iterator[Claim]:
    """Statement 4: L(lambda) >= OPT, L is convex, and its least value is U, at lambda* = e_c."""
    whole, problem = case.in_integers, case.problem
    low, _ = optimum(case)
    best, least = certificate(problem), lp_bound(problem)
    yield Claim("min L = U", best.bound, least.bound, "==")
    yield Claim("L(e_c) = U", whole.lagrangian(whole.relaxed.price), best.bound, "==")
    yield Claim("a certificate is accepted", int(not best.check(problem)), 0, "==")
    below = replace(best, bound=best.bound - Fraction(1, 2**1100))
    yield Claim("a bound below L is refused", int(below.check(problem)), 0, "==")
    bounds = []
    for price in (case.multiplier, case.other_multiplier):
        bounds.append(certificate(problem, price).bound)
        yield Claim("L(lambda) added up by hand", bounds[-1], whole.lagrangian(Fraction(price)), "==")
        yield Claim("OPT <= L(lambda)", low, bounds[-1])
        yield Claim("U <= L(lambda)", best.bound, bounds[-1])
        yield Claim("L rounded is not below L", bounds[-1], Fraction(min(dual_function(problem, price), 1e308)))
    middle = (Fraction(case.multiplier) + Fraction(case.other_multiplier)) / 2
    yield Claim("L is convex", 2 * certificate(problem, middle).bound, bounds[0] + bounds[1])
    if len(whole) <= MOST_ITEMS:
        kinks = {Fraction(v, w) for v, w in zip(whole.values, whole.weights, strict=True) if w} | {Fraction(0)}
        yield Claim("U is L at a kink", least.bound, min(whole.lagrangian(kink) for kink in kinks), "==")


def everett(case: Knapsack) -> Iterator[Claim]:
    """Statement 5: the dual's set is an optimum for the mass that it spends; so is each from {p < t} to {p <= t}."""
    optima = _Optima(case.in_integers)
    if case.p is not None:
        for dtype in (torch.float64, torch.float32):
            p, q = (torch.from_numpy(law).to(dtype) for law in (case.p, case.q))
            laws = p.double().numpy(), q.double().numpy()
            for rule, least, most in threshold_rules(*laws, case.alpha, case.budget):
                deferred = rule.defer(p, q).numpy()
                yield within(f"{rule.name} defers all of {{p < t}}", least, deferred)
                yield within(f"{rule.name} defers no more than {{p < t}}", deferred, most)
                if dtype == torch.float64 and case.in_exact_order:
                    yield optima.holds(deferred, rule.name)
    if not case.in_exact_order:
        return
    solutions = {"dual(lambda)": dual(case.problem, multiplier=case.multiplier)}
    if case.p is not None:
        solutions["dual(alpha)"] = dual(case.problem, alpha=case.alpha)
    for name, solution in solutions.items():
        yield optima.holds(solution.deferred, name)
        yield Claim(f"{name} is proved optimal", int(not solution.is_optimal), 0, "==")
    if case.p is None:
        return
    yield optima.holds(primal(case.problem).deferred, "primal")
    few = case.p.size <= MOST_ITEMS
    one = np.sort(case.p)[int(case.alpha * (case.p.size - 1))]
    thresholds = np.unique(case.p).tolist() if few else [float(one)]
    between = (sets_between(case.p, threshold, MOST_SETS if few else SOME_SETS) for threshold in thresholds)
    # The last set of one threshold is the first of the next one.
    sets = {one.tobytes(): one for some in between for one in some}
    for deferred in sets.values():
        yield optima.holds(deferred, "every set between {p < t} and {p <= t}")
    yield from _proved_by_their_densities(case, list(sets.values()))


def sets_between(p: Floats, t: float, most: int) -> Iterator[Mask]:
    """Every set (V,) from {p < t} to {p <= t}, or where they are more than `most`, the two and as many random ones."""
    ties = np.flatnonzero(p == t)
    if ties.size < most.bit_length():
        taken = (np.arange(2**ties.size)[:, None] >> np.arange(ties.size) & 1).astype(bool)
    else:
        drawn = np.random.default_rng(ties.size).random((most, ties.size + 1))
        taken = np.stack([np.zeros(ties.size), np.ones(ties.size), *(drawn[:, 1:] < drawn[:, :1])]).astype(bool)
    for of_ties in taken:
        deferred = p < t
        deferred[ties[of_ties]] = True
        yield deferred


def _proved_by_their_densities(case: Knapsack, sets: list[Mask]) -> Iterator[Claim]:
    """That the package's L, at the density of a set's likeliest token and at the set's mass, is the set's value.

    Of the budget L has no more than lambda b, so that one bound does for all masses.
    """
    whole, budget = case.in_integers, Fraction(case.problem.budget)
    bounds: dict[int, Fraction] = {}
    for deferred in sets:
        spent = whole.mass(deferred)
        if spent:
            last = int(np.argmax(np.where(deferred, case.weights, -1.0)))
            price = Fraction(whole.values[last], whole.weights[last])
            if whole.weights[last] not in bounds:
                bounds[whole.weights[last]] = certificate(case.problem, price).bound
            bound = bounds[whole.weights[last]] + price * (spent - budget)
            yield Claim("L at its density is its value", bound, whole.value(deferred), "==")


class _Optima:
    """Whether sets of a knapsack are optimal at their own mass, each looked at once."""

    def __init__(self, whole: IntegerKnapsack) -> None:
        self._whole = whole
        self._known: dict[bytes, tuple[Fraction, Fraction]] = {}

    def holds(self, deferred: Mask, name: str) -> Claim:
        """That no subset of the same mass is worth more: of all subsets, or by weak duality where they are too many."""
        key = deferred.tobytes()
        if key not in self._known:
            self._known[key] = self._best_and_own(deferred)
        return Claim(f"{name} is optimal at its mass", *self._known[key])

    def _best_and_own(self, deferred: Mask) -> tuple[Fraction, Fraction]:
        whole = self._whole
        value, spent = whole.value(deferred), whole.mass(deferred)
        if len(whole) <= MOST_ITEMS:
            return whole.best(spent), value
        paid = [Fraction(v, w) for v, w, d in zip(whole.values, whole.weights, deferred, strict=True) if d and w]
        price = min(paid) if paid else Fraction(2) ** 1200
        return whole.lagrangian(price, spent), value


def correspondence(case: Knapsack) -> Iterator[Claim]:
    """Statement 6: primal(b) is dual(p_c), and dual(alpha > 0) primal at its own mass, but inside a class of ties."""
    p, problem, whole = case.p, case.problem, case.in_integers
    if p is None:
        return
    by_budget, by_hand = primal(problem).deferred, prefix_by_hand(case)
    yield from _primal_rule(case, by_hand)
    if not by_hand.all():
        critical = float(p[~by_hand].min())
        tied = p == critical
        by_threshold = dual(problem, alpha=min(1.0, critical)).deferred
        yield same("primal(b) = dual(p_c) outside the class of c", by_budget & ~tied, by_threshold & ~tied)
        yield Claim("dual(p_c) keeps the class of c", int((by_threshold & tied).sum()), 0, "==")
        taken = by_budget[tied]
        yield same("ties are deferred from the lowest index", taken, np.arange(taken.size) < taken.sum())
        if tied.sum() == 1:
            yield same("without ties primal(b) = dual(p_c)", by_budget, by_threshold)
    deferred = dual(problem, alpha=case.alpha).deferred
    by_rule = rules.Dual(case.alpha).defer(torch.from_numpy(p)).numpy()
    yield same("the dual rule's set is the dual's", by_rule, deferred)
    spent = whole.mass(deferred)
    budget = float(spent)
    if Fraction(budget) < spent:
        budget = math.nextafter(budget, math.inf)
    again = primal(case.at(min(1.0, budget))).deferred
    yield within("dual(alpha) is in primal(its mass)", deferred, again)
    yield Claim("primal(its mass) has no room beyond", whole.mass(again), max(spent, Fraction(budget)))
    if Fraction(budget) == spent and budget < 1.0:
        yield Claim("dual(alpha) = primal(its mass)", whole.mass(again), spent, "==")


def _primal_rule(case: Knapsack, by_hand: Mask) -> Iterator[Claim]:
    """That the primal rule takes the prefix by each of its ways: among likely tokens, sorted, and from a histogram."""
    p, budget = torch.from_numpy(np.asarray(case.p)), case.budget
    yield same("the primal rule's set is the primal's", rules.Primal(budget).defer(p).numpy(), by_hand)
    tokens = p[p > 0.0]
    if budget < 1.0 and float(tokens.min()) > 1e-290:  # so that a power of two changes no digit
        few = UNLIKELY * p
        many = [torch.nn.functional.pad(few, (0, MANY))] if len(p) % 3 == 0 else []  # since these take their time
        for name, law in (("few", few), *(("many", law) for law in many)):
            deferred = rules.Primal(UNLIKELY * budget).defer(law)[: len(p)].numpy()
            yield same(f"so it is among {name} unlikely tokens", deferred, by_hand)


def monotonicity(case: Knapsack) -> Iterator[Claim]:
    """Statement 7: sets, masses, bound and optimum grow with the budget, sets and mass with alpha; L is convex."""
    budgets = sorted((case.budget, case.other_budget))
    small, large = (case.at(budget) for budget in budgets)
    fewer, more = primal(small), primal(large)
    yield within("the primal's set grows with b", fewer.deferred, more.deferred)
    yield Claim("D grows with b", case.in_integers.mass(fewer.deferred), case.in_integers.mass(more.deferred))
    yield Claim("D <= b", case.in_integers.mass(more.deferred), Fraction(large.budget))
    yield Claim("U grows with b", lp_bound(small).bound, lp_bound(large).bound)
    if len(case.in_integers) % 4 == 0:  # since exact takes its time, and statement 2 judges it on every case
        yield from _optima(case, budgets)
    few, many = sorted((case.multiplier, case.other_multiplier), reverse=True)
    yield within(
        "the dual's set grows as lambda falls",
        dual(small, multiplier=few).deferred,
        dual(small, multiplier=many).deferred,
    )
    if case.p is not None:
        alphas = sorted((case.alpha, case.other_alpha))
        kept, taken = (dual(small, alpha=alpha) for alpha in alphas)
        yield within("the dual's set grows with alpha", kept.deferred, taken.deferred)
        yield Claim("D grows with alpha", case.in_integers.mass(kept.deferred), case.in_integers.mass(taken.deferred))
        p = torch.from_numpy(case.p)
        for name, ordered in (
            ("primal rule's set grows with b", [rules.Primal(budget) for budget in budgets]),
            ("dual rule's set grows with alpha", [rules.Dual(alpha) for alpha in alphas]),
        ):
            yield within(f"the {name}", *(rule.defer(p).numpy() for rule in ordered))
    ends = [certificate(small, price).bound for price in (few, many)]
    middle = certificate(small, (Fraction(few) + Fraction(many)) / 2).bound
    yield Claim("L is convex in lambda", 2 * middle, ends[0] + ends[1])


def _optima(case: Knapsack, budgets: list[float]) -> Iterator[Claim]:
    """That the optimum grows, at two budgets and, where all its steps are listed, along them."""
    whole = case.in_integers
    problems = [case.at(budget) for budget in budgets]
    if case.p is None:
        found = [exact(problem) for problem in problems]
    else:
        (found,) = exact_many(case.p[None], budgets, workers=1)
    optima = [whole.value(solution.deferred) for solution in found]
    yield Claim("OPT grows with b", optima[0], optima[1] * (1 + EXACT_GAP))
    if len(whole) > MOST_ITEMS:
        return
    for problem, solution, value in zip(problems, found, optima, strict=True):
        budget = Fraction(problem.budget)
        yield Claim("each of many optima fits its budget", whole.mass(solution.deferred), budget)
        yield Claim("each of many is OPT at its budget", whole.best(budget), value * (1 + EXACT_GAP))
    if case.p is not None and len(whole) <= FEW:  # since a path has up to 2^n steps
        yield from _steps(case, case.p, budgets)


def _steps(case: Knapsack, p: Floats, budgets: list[float]) -> Iterator[Claim]:
    """That the optimum as a function of the budget takes the steps that it has, and is bounded at any two budgets."""

    def best(budget: float) -> Fraction:
        return case.in_integers.best(Fraction(case.at(budget).budget))  # of which 1 buys every token

    path = exact_path(p)
    yield Claim("the path ends at OPT(1)", float(path.values[-1]), float(best(1.0)), "==")
    for step in range(0, path.budgets.size, 1 + path.budgets.size // MOST_STEPS):
        budget, value = float(path.budgets[step]), float(path.values[step])
        yield Claim("a step of the path reaches OPT", value, float(best(budget)), "==")
        yield Claim("a step of the path <= U", value, float(path.lp_values[step]))
        if step:
            before = float(best(math.nextafter(budget, 0.0)))
            yield Claim("no sooner than at its budget", float(path.values[step - 1]), before, "==")
    some = exact_path(p, budgets)
    for budget, value, bound in zip(budgets, some.values.tolist(), some.upper_bounds.tolist(), strict=True):
        yield Claim("OPT <= the path's bound", best(budget), Fraction(bound))
        yield Claim("the path at any budget is OPT", best(budget), Fraction(value) * (1 + 2 * EXACT_GAP))
