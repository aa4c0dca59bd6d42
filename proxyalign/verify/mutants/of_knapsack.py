"""Mutants of the approximations, the bounds and the proofs of one step's knapsack."""

from proxyalign.verify.mutants.mutation import Mutant

_PRIMAL = "deferred[problem.order[: prefix_that_fits(problem.weights[problem.order], problem.budget)]] = True"
_FILLS_UP = """room = Fraction(problem.budget)
    for item in problem.order.tolist():
        if problem.weights[item] <= room:
            deferred[item], room = True, room - Fraction(float(problem.weights[item]))"""
_IN_ANOTHER_ORDER = """order = np.argsort({}, kind="stable")
    deferred[order[: prefix_that_fits(problem.weights[order], problem.budget)]] = True"""
_FLOAT32_SUM = """sums = np.cumsum(problem.weights[problem.order], dtype=np.float32)
    deferred[problem.order[sums <= np.float32(problem.budget)]] = True"""

APPROXIMATION_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "primal: < budget for <= budget", (1, 6), "knapsack.rationals:prefix_that_fits", "if left < 0:", "if left <= 0:"
    ),
    Mutant(
        "primal: float64 cumulative sum, unsettled", (1, 2), "knapsack.rationals:prefix_that_fits",
        "slack = taken.size * 2.0**-52", "slack = 0.0",
    ),
    Mutant(
        "primal: prefix one item too long", (2, 7), "knapsack.approximations:primal",
        "problem.budget)]]", "problem.budget) + 1]]",
    ),
    Mutant(
        "primal: prefix one item too short", (2, 1), "knapsack.approximations:primal",
        "problem.budget)]]", "problem.budget) // 2]]",
    ),
    Mutant("primal: float32 cumulative sum", (2, 1), "knapsack.approximations:primal", _PRIMAL, _FLOAT32_SUM),
    Mutant("primal: fills up after the critical item", (7, 6), "knapsack.approximations:primal", _PRIMAL, _FILLS_UP),
    Mutant(
        "primal: ties from the highest index", (6,), "knapsack.problem:DeferralProblem.order",
        "rising(self.weights)", "len(self) - 1 - rising(self.weights[::-1])",
    ),
    Mutant(
        "primal: likeliest tokens first", (5,), "knapsack.approximations:primal",
        _PRIMAL, _IN_ANOTHER_ORDER.format("problem.densities"),
    ),
    Mutant(
        "primal: by value for by density", (5,), "knapsack.approximations:primal",
        _PRIMAL, _IN_ANOTHER_ORDER.format("-problem.values"),
    ),
    Mutant(
        "order: by value for by density", (1,), "knapsack.problem:DeferralProblem.order",
        "rising(-self.densities)", "rising(-self.values)",
    ),
    Mutant(
        "order: rounded quotients decide", (1,), "knapsack.problem:DeferralProblem.order",
        "order[tied] = ", "items[:] = ",
    ),
    Mutant("order: by the leading bits alone", (1, 6), "knapsack.sorting:rising", "if same.any():", "if False:"),
    Mutant("ratios: one digit for three", (1,), "knapsack.rationals:by_falling_ratio", "range(3)", "range(1)"),
    Mutant(
        "sums: a bit of the mantissa lost, compiled", (1, 2), "knapsack.rationals:_sums_by_exponent",
        "mantissa & 0x7FFFFFF", "mantissa & 0x3FFFFFF",
    ),
    Mutant("sums: rounded", (2, 1), "knapsack.rationals:exact_sum", "return Fraction(total, 1 << _LEAST_UNIT)",
           "return Fraction(float(Fraction(total, 1 << _LEAST_UNIT)))"),
    Mutant("values: logarithm to base 2", (1,), "knapsack.values:surprisal", "minus_log(p)", "minus_log(p) / 0.6931"),
    Mutant("dual: <= for <", (6, 5), "knapsack.approximations:_threshold_set", "weights < alpha", "weights <= alpha"),
    Mutant("dual: comparison turned round", (5,), "knapsack.approximations:_threshold_set",
           "weights < alpha", "weights > alpha"),
    Mutant("dual: value for density", (5,), "knapsack.approximations:_threshold_set",
           "problem.densities > multiplier", "problem.values > multiplier"),
    Mutant("dual: alpha in float32", (6,), "knapsack.approximations:_threshold_set",
           "weights < alpha", "weights < float(np.float32(alpha))"),
    Mutant("dual: zero weights kept", (5, 7), "knapsack.approximations:_threshold_set",
           "problem.densities > multiplier", "(problem.densities > multiplier) & (problem.weights > 0.0)"),
    Mutant("dual: value for density, over many steps", (14,), "knapsack.approximations:_threshold_set",
           "problem.weights < alpha", "problem.values > (-math.log(alpha) if alpha else math.inf)"),
    Mutant("dual: proved by the budget that it does not read", (5,), "knapsack.approximations:dual",
           "spent - Fraction(problem.budget)", "spent - spent"),
    Mutant("half: the prefix alone", (3,), "knapsack.approximations:half", "relaxed.critical is not None", "False"),
    Mutant("half: a critical item over the budget", (3,), "knapsack.approximations:half",
           "problem.weights <= problem.budget", "problem.weights >= 0.0"),
    Mutant("solution: always called optimal", (2, 3), "knapsack.problem:DeferralProblem.solution",
           "is_optimal=upper_bound - value <= Fraction(gap) * value", "is_optimal=True"),
    Mutant("solution: value of all tokens", (2,), "knapsack.problem:DeferralProblem.solution",
           "value=float(value)", "value=float(self.values.sum())"),
    Mutant("solution: mass by a float64 sum", (2,), "knapsack.problem:DeferralProblem.solution",
           "mass=float(mass)", "mass=float(np.add.reduce(self.weights[deferred][::-1]))"),
    Mutant("solution: bound rounded to nearest", (2, 3), "knapsack.problem:DeferralProblem.solution",
           "upper_bound=round_up(upper_bound)", "upper_bound=float(upper_bound)"),
)  # fmt: skip

BOUND_MUTANTS: tuple[Mutant, ...] = (
    Mutant("LP bound: critical item forgotten", (1, 2), "knapsack.bounds:lp_bound",
           "gap = (Fraction(problem.budget) - weight) * price", "gap = Fraction(0)"),
    Mutant("LP bound: critical item off by one", (2, 4), "knapsack.bounds:lp_bound",
           "quotient(problem, critical)", "quotient(problem, int(order[min(n_prefix + 1, len(problem) - 1)]))"),
    Mutant("LP bound: price rounded", (1,), "knapsack.bounds:lp_bound",
           "price = quotient(problem, critical)", "price = Fraction(float(quotient(problem, critical)))"),
    Mutant("LP bound: multiplier of the first item", (1,), "knapsack.bounds:lp_bound",
           "problem.densities[critical]", "problem.densities[order[0]]"),
    Mutant("LP bound: rounded down", (1,), "knapsack.bounds:lp_bound",
           "round_up(value + gap)", "math.nextafter(round_up(value + gap), 0.0)"),
    Mutant("LP bound: gap of 0", (1,), "knapsack.bounds:lp_bound", "gap=round_up(gap)", "gap=0.0"),
    Mutant("dual function: lambda b left out", (4,), "knapsack.bounds:certificate",
           "price * Fraction(problem.budget) + surplus", "surplus"),
    Mutant("dual function: negative surplus added", (4,), "knapsack.bounds:certificate",
           "worth_more(problem, price)", "problem.values >= 0.0"),
    Mutant("dual function: doubtful items left out", (4,), "knapsack.bounds:worth_more",
           "paying[doubtful] = ", "_ = "),
    Mutant("dual function: rounded down", (4,), "knapsack.bounds:dual_function",
           "return round_up(", "return (1 - 1e-15) * round_up("),
    Mutant("certificate: believes its number", (4,), "knapsack.bounds:Certificate.check",
           "return bound <= self.bound", "return True"),
    Mutant("proof: what is fixed goes untested", (2,), "knapsack.proof.certificate:OptimalityCertificate.check",
           "if is_fixed and ", "if False and "),
    Mutant("proof: fit goes untested", (2,), "knapsack.proof.certificate:OptimalityCertificate.check",
           "if mass > budget:", "if False:"),
    Mutant("proof: the core goes untested", (2,), "knapsack.proof.certificate:OptimalityCertificate.check",
           "if shown:", "if True:"),
    Mutant("proof: everything fixed", (2,), "knapsack.proof.certificate:certify",
           "_settled(problem, bound.price, slack)", "np.ones(len(problem), dtype=np.bool_)"),
    Mutant("proof: states pruned 2^40 too early", (2,), "knapsack.proof.refutation:none_is_worth_more",
           "< allowed\n", "< allowed - 2**40\n"),
    Mutant("many: the first budget for all", (7,), "knapsack.exact.many:_solve_row",
           "at_budget(budget)", "at_budget(budgets[0])"),
    Mutant("path: off by one breakpoint", (7,), "knapsack.exact.many:exact_path",
           "upper_bounds = values", "upper_bounds = values = np.append(values[:1], values[:-1])"),
    Mutant("path: steps at masses rounded to nearest", (7,), "knapsack.exact.breakpoints:breakpoints",
           "round_up(weight)", "float(weight)"),
    Mutant("path: a dominated set in the list", (7,), "knapsack.exact.breakpoints:_undominated",
           "pair[1] > kept[-1][1]", "True"),
    Mutant("union: the last step lost", (14,), "knapsack.oracle.multistep:union",
           "values = np.concatenate(", "steps = list(steps)[:-1] or steps\n    values = np.concatenate("),
)  # fmt: skip
