"""Statement 20: what a budget for each step costs is at most what the steps' critical densities are apart."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from proxyalign.deferral import rules
from proxyalign.knapsack import dual, lp_bound, union
from proxyalign.verify.cases import Laws
from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.many_steps import steps_at

Mask = NDArray[np.bool_]
ROUNDING = 1e-13  # of a density that a threshold is compared with, for each unit of mass


def price_of_step_budgets(case: Laws) -> Iterator[Claim]:
    """Statement 20: the price of any sets is at most what they and the dual's with any one lambda treat otherwise.

    The sharp bound is asked of the case's sets and of the primal's; the one by critical densities is for those that
    rise with p. lambda is each step's critical density in turn, and the hybrid's first one; the least bound counts.
    """
    steps, p = steps_at(case, case.budget), torch.from_numpy(case.p)
    items = union(steps, 1.0)
    together = IntegerKnapsack(items.values, items.weights, 1.0)
    if not together.falls_along(np.argsort(case.p.ravel(), kind="stable").tolist()):
        return  # as `Knapsack.in_exact_order` has it
    densities = [lp_bound(step).price for step in steps]
    prices = sorted({*map(float, densities), case.start})
    # By Everett a set for one price is made item by item, so that one call does for all steps.
    by_dual = [dual(items, multiplier=price).deferred.reshape(case.p.shape) for price in prices]
    masses = [_masses(together, sets) for sets in by_dual]
    tolerance = ROUNDING * len(steps) * (1.0 + max(prices))
    for name, sets in (("primal", rules.Primal(case.budget).defer(p).numpy()), ("any sets", case.deferred)):
        lost = together.best(together.mass(sets.ravel())) - together.value(sets.ravel())
        least = min(_treated_otherwise(together, sets ^ other, one) for one, other in zip(prices, by_dual, strict=True))
        yield Claim(f"price of {name} <= what is treated otherwise", lost, least, tolerance=tolerance)
        if name == "primal":
            spent = _masses(together, sets)
            apart = min(_apart(densities, spent, other, one) for one, other in zip(prices, masses, strict=True))
            claim = "price of primal <= what critical densities are apart"
            yield Claim(claim, lost, apart / together.scale, tolerance=tolerance)


def _treated_otherwise(together: IntegerKnapsack, moved: Mask, price: float) -> Fraction:
    """The sum of |v - lambda w| over the items (T, V) that two rules treat otherwise."""
    top, bottom = price.as_integer_ratio()
    items = zip(together.values, together.weights, moved.ravel().tolist(), strict=True)
    return Fraction(sum(abs(bottom * v - top * w) for v, w, is_moved in items if is_moved), bottom * together.scale)


def _masses(together: IntegerKnapsack, sets: Mask) -> list[int]:
    """What the sets (T, V) weigh at each step, in the unit of `together`."""
    n = sets.shape[1]
    return [
        sum(w for w, taken in zip(together.weights[n * t : n * t + n], one, strict=True) if taken)
        for t, one in enumerate(sets.tolist())
    ]


def _apart(densities: list[Fraction], spent: list[int], by_dual: list[int], price: float) -> Fraction:
    """The sum over steps of |lambda_t - lambda| |D_t - D_t(lambda)|, the latter in whole numbers."""
    moved = zip(densities, spent, by_dual, strict=True)
    terms = (abs(own - Fraction(price)) * abs(mass - other) for own, mass, other in moved)
    return sum(terms, Fraction(0))
