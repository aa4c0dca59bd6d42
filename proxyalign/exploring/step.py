"""One step as JSON values: the tokens that matter, the knapsack's budget and critical item, and each method's set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from proxyalign.deferral.budgets import Dual
from proxyalign.deferral.hybrid import Hybrid
from proxyalign.deferral.rule import Rule
from proxyalign.exploring.laws import LawsAt
from proxyalign.knapsack import DeferralProblem, Solution, dual, exact, exact_sum, lp_bound, primal
from proxyalign.knapsack.rationals import round_up

N_LIKELY = 10  # of the base's tokens that are shown
N_OF_PROXY = 3  # and of the proxy's
N_DISPUTED = 4  # and of those that two methods decide differently
SECONDS = 5.0  # for the exact solver, so that a click is answered on a row that is hard too
NARROW = 1 / 2000  # of the strip's width, below which a box is not seen


def step_view(rule: Rule, laws: LawsAt, drawn: int, spell: Callable[[int], str]) -> dict[str, Any]:
    """What is to be seen of one step, in JSON values; probabilities and masses in [0, 1], values in nats.

    drawn: the token that was written there. spell: the text of a token.

    budget: the rule's own where it has one, else the mass that it deferred, so that all methods are compared at what
    was spent; None for a rule that hands no token over, and then there is no knapsack. alpha: the dual's threshold, the
    rule's own for `Dual`, else the probability of the critical item, at which the dual spends at most the budget
    (statement 6). methods: the rule's set and those of primal, dual and exact, each with `boxes`, the places [left,
    width] of what it defers where tokens lie side by side from the least likely on, as wide as their mass.
    """
    if laws.deferred is None:
        shown = _shown(laws, drawn, [])
        return {
            **_plain(laws), "rows": [_row(laws, token, drawn, None, {}, spell) for token in shown], "methods": [],
            "rest": _rest(laws, shown),
        }  # fmt: skip
    spent = exact_sum(laws.p[laws.deferred])
    # A hybrid's budget is a whole text's, of which a step may spend more than its share.
    has_budget = "budget" in rule.parameters() and not isinstance(rule, Hybrid)
    budget = float(rule.parameters()["budget"]) if has_budget else min(round_up(spent), 1.0)
    problem = DeferralProblem.from_probs(laws.p, budget)
    bound = lp_bound(problem)
    threshold = (
        dual(problem, alpha=rule.alpha) if isinstance(rule, Dual) else dual(problem, multiplier=bound.multiplier)
    )
    solutions = {"primal": primal(problem), "dual": threshold, "exact": exact(problem, time_limit=SECONDS)}
    disputed = _disputed(laws.p, [laws.deferred, *(solution.deferred for solution in solutions.values())])
    critical = None if bound.critical is None else int(bound.critical)
    shown = _shown(laws, drawn, [*disputed, *([] if critical is None else [critical])])
    own = {
        "name": str(rule), "value": float(exact_sum(problem.values[laws.deferred])), "mass": float(spent),
        "n_deferred": int(laws.deferred.sum()), "boxes": _boxes(problem, laws.deferred),
    }  # fmt: skip
    alpha = rule.alpha if isinstance(rule, Dual) else 0.0 if critical is None else float(laws.p[critical])
    return {
        **_plain(laws),
        "mass": float(spent),
        "budget": budget,
        "has_budget": has_budget,
        "alpha": alpha,
        "critical": None if critical is None else _token(laws, critical, spell),
        "upper_bound": bound.value,
        "rows": [_row(laws, token, drawn, critical, solutions, spell) for token in shown],
        "rest": _rest(laws, shown),
        "methods": [own, *(_method(name, problem, solution) for name, solution in solutions.items())],
    }


def _plain(laws: LawsAt) -> dict[str, Any]:
    return {"n_tokens": len(laws.p), "mass": None, "budget": None, "critical": None}


def _shown(laws: LawsAt, drawn: int, further: list[int]) -> list[int]:
    """The tokens to show, from the base's likeliest on, ties by the lowest id."""
    likely = np.argsort(-laws.p, kind="stable")[:N_LIKELY].tolist()
    of_proxy = np.argsort(-laws.q, kind="stable")[:N_OF_PROXY].tolist()
    return sorted({drawn, *likely, *of_proxy, *further}, key=lambda token: (-laws.p[token], token))


def _disputed(p: npt.NDArray[np.float64], sets: list[npt.NDArray[np.bool_]]) -> list[int]:
    """The heaviest tokens that some of the sets hold and others do not."""
    sum_of_sets = np.sum(sets, axis=0)
    tokens = np.flatnonzero((sum_of_sets > 0) & (sum_of_sets < len(sets)) & (p > 0))
    return [int(token) for token in tokens[np.argsort(-p[tokens], kind="stable")][:N_DISPUTED]]


def _token(laws: LawsAt, token: int, spell: Callable[[int], str]) -> dict[str, Any]:
    return {"id": token, "text": spell(token), "p": float(laws.p[token]), "q": float(laws.q[token])}


def _row(
    laws: LawsAt, token: int, drawn: int, critical: int | None, solutions: dict[str, Solution],
    spell: Callable[[int], str],
) -> dict[str, Any]:  # fmt: skip
    return {
        **_token(laws, token, spell),
        "pi": float(laws.pi[token]),
        "is_drawn": token == drawn,
        "is_critical": token == critical,
        "is_deferred": None if laws.deferred is None else bool(laws.deferred[token]),
        "deferred_by": [name for name, solution in solutions.items() if solution.deferred[token]],
    }


def _rest(laws: LawsAt, shown: list[int]) -> dict[str, Any]:
    """The tokens that no row shows: how many are kept and deferred, and how much they weigh."""
    others = np.ones(len(laws.p), dtype=np.bool_)
    others[shown] = False
    deferred = others & (False if laws.deferred is None else laws.deferred)
    kept = others & ~deferred
    return {
        "n_kept": int(kept.sum()), "mass_kept": float(laws.p[kept].sum()),
        "n_deferred": int(deferred.sum()), "mass_deferred": float(laws.p[deferred].sum()),
    }  # fmt: skip


def _method(name: str, problem: DeferralProblem, solution: Solution) -> dict[str, Any]:
    return {
        "name": name, "value": solution.value, "mass": solution.mass, "n_deferred": solution.n_deferred,
        "is_optimal": solution.is_optimal, "boxes": _boxes(problem, solution.deferred),
    }  # fmt: skip


def _boxes(problem: DeferralProblem, deferred: npt.NDArray[np.bool_]) -> list[list[float]]:
    """[left, width] of what a set takes, neighbours joined, without boxes too narrow to be seen."""
    taken = deferred[problem.order]
    right = np.cumsum(problem.weights[problem.order])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], taken, [False]]).astype(np.int8)))
    places = np.concatenate([[0.0], right])[edges].reshape(-1, 2)
    return [[left, end - left] for left, end in places.tolist() if end - left >= NARROW]
