"""Mutants of near-optimal sets: each gives away more than it may, or says more than is so."""

from proxyalign.verify.mutants.mutation import Mutant


def _near(name: str, target: str, old: str, new: str) -> Mutant:
    return Mutant(f"near-optimal: {name}", (21,), target, old, new)


NEAR_MUTANTS: tuple[Mutant, ...] = (
    _near(
        "the prefix is let off at twice the loss",
        "knapsack.exact.near_optimal:near_optimal",
        "Fraction(share) * relaxed",
        "2 * Fraction(share) * relaxed",
    ),
    _near(
        "its set called optimal",
        "knapsack.exact.near_optimal:near_optimal",
        "exact_sum(problem.values[deferred]) / (1 - Fraction(share))",
        "exact_sum(problem.values[deferred])",
    ),
    _near(
        "the loss in the bound has the wrong sign",
        "knapsack.exact.near_optimal:near_optimal",
        "(1 - Fraction(share))",
        "(1 + Fraction(share))",
    ),
    _near(
        "found enough too soon",
        "knapsack.exact.near_optimal:better",
        "if max(goal, most) <= best + loss",
        "if goal <= best + 8 * loss",
    ),
    _near(
        "a heavy item that matters keeps its place",
        "knapsack.exact.near_optimal:search",
        "< bound - goal:",
        "< 0.01 * (bound - goal):",
    ),
    _near(
        "light items over the room",
        "knapsack.exact.near_optimal:search",
        "for i in light[:n_light]",
        "for i in light[:n_light + 1]",
    ),
    _near(
        "the rest is filled beyond the budget",
        "knapsack.exact.near_optimal:filled",
        "weights[i] <= room - slack",
        "weights[i] <= 2 * room",
    ),
    _near(
        "rule: the prefix is let off at twice the loss",
        "deferral.near:near_among_likely",
        "eps * (worth + price * room)",
        "2 * eps * (worth + price * room)",
    ),
    _near(
        "rule: rounding that may decide is passed over",
        "deferral.near:near_among_likely",
        "if room <= slack or",
        "if room < -1.0 or",
    ),
)
