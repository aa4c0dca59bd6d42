"""Statement 20: what a budget for each step costs is at most what the steps' critical densities are apart."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from proxyalign.deferral import rules
from proxyalign.knapsack import DeferralProblem, dual, lp_bound
from proxyalign.verify.cases import Laws
from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.many_steps import steps_at

Mask = NDArray[np.bool_]
ROUNDING = 1e-13  # of a density that a threshold is compared with, for each unit of mass
LOSS = 0.1  # of the rule that takes other sets than prefixes


def price_of_step_budgets(case: Laws) -> Iterator[Claim]:
    """Statement 20: the price of a rule's sets is at most what they and the dual's with any one lambda treat otherwise.

    The sharp bound is for any sets; the one by critical densities for those that rise with p. lambda is each step's
    critical density in turn, and the hybrid's first one; the least bound counts.
    """
    steps, p = steps_at(case, case.budget), torch.from_numpy(case.p)
    values, weights = (np.concatenate([getattr(step, name) for step in steps]) for name in ("values", "weights"))
    together = IntegerKnapsack(values, weights, 1.0)
    if not together.falls_along(np.argsort(case.p.ravel(), kind="stable").tolist()):
        return  # as `Knapsack.in_exact_order` has it
    densities = [lp_bound(step).price for step in steps]
    prices = sorted({*map(float, densities), case.start})
    by_dual = [np.stack([dual(step, multiplier=price).deferred for step in steps]) for price in prices]
    tolerance = ROUNDING * len(steps) * (1.0 + max(prices))
    for name, rule in (("primal", rules.Primal(case.budget)), ("near-optimal", rules.NearOptimal(case.budget, LOSS))):
        sets = rule.defer(p).numpy()
        lost = together.best(together.mass(sets.ravel())) - together.value(sets.ravel())
        least = min(_treated_otherwise(together, sets ^ other, one) for one, other in zip(prices, by_dual, strict=True))
        yield Claim(f"price of {name} <= what is treated otherwise", lost, least, tolerance=tolerance)
        if name == "primal":
            apart = min(_apart(steps, densities, sets, other, one) for one, other in zip(prices, by_dual, strict=True))
            claim = "price of primal <= what critical densities are apart"
            yield Claim(claim, lost, apart, tolerance=tolerance)


def _treated_otherwise(together: IntegerKnapsack, moved: Mask, price: float) -> Fraction:
    """The sum of |v - lambda w| over the items (T, V) that two rules treat otherwise."""
    top, bottom = price.as_integer_ratio()
    items = zip(together.values, together.weights, moved.ravel().tolist(), strict=True)
    return Fraction(sum(abs(bottom * v - top * w) for v, w, is_moved in items if is_moved), bottom * together.scale)


def _apart(
    steps: list[DeferralProblem], densities: list[Fraction], sets: Mask, by_dual: Mask, price: float
) -> Fraction:
    """The sum over steps of |lambda_t - lambda| |D_t - D_t(lambda)|."""
    total = Fraction(0)
    for step, density, own, other in zip(steps, densities, sets, by_dual, strict=True):
        whole = IntegerKnapsack(step.values, step.weights, step.budget)
        total += abs(density - Fraction(price)) * abs(whole.mass(own) - whole.mass(other))
    return total
