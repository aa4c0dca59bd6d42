"""The defects that the statements must catch, each an edit of the package's own source.

A statement that no mutant can fail checks nothing. A mutant that survives fails the run.
"""

from proxyalign.verify.engine_mutants import ENGINE_MUTANTS
from proxyalign.verify.mutation import Mutant
from proxyalign.verify.near_mutants import NEAR_MUTANTS
from proxyalign.verify.search_mutants import SEARCH_MUTANTS
from proxyalign.verify.sequence_mutants import SEQUENCE_MUTANTS

_PRIMAL = "deferred[problem.order[: prefix_that_fits(problem.weights[problem.order], problem.budget)]] = True"
_FILLS_UP = """room = Fraction(problem.budget)
    for item in problem.order.tolist():
        if problem.weights[item] <= room:
            deferred[item], room = True, room - Fraction(float(problem.weights[item]))"""
_IN_ANOTHER_ORDER = """order = np.argsort({}, kind="stable")
    deferred[order[: prefix_that_fits(problem.weights[order], problem.budget)]] = True"""
_FLOAT32_SUM = """sums = np.cumsum(problem.weights[problem.order], dtype=np.float32)
    deferred[problem.order[sums <= np.float32(problem.budget)]] = True"""

_APPROXIMATIONS: tuple[Mutant, ...] = (
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

_BOUNDS: tuple[Mutant, ...] = (
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

_RULES: tuple[Mutant, ...] = (
    Mutant("primal rule: half its budget", (6, 7), "deferral.budgets:Primal.defer",
           "longest_prefix(p, self.budget)", "longest_prefix(p, self.budget / 2)"),
    Mutant("primal rule: one budget for all positions", (8,), "deferral.budgets:Primal.defer",
           "longest_prefix(p, self.budget)", "longest_prefix(p.reshape(1, -1) / len(p), self.budget).reshape(p.shape)"),
    Mutant("primal rule: float32 cumulative sum", (8,), "deferral.budgets:Primal.defer",
           "longest_prefix(p, self.budget)", "longest_prefix(p.float(), self.budget)"),
    Mutant("primal rule: likely ties from the highest index, compiled", (6,), "deferral.likely:prefix_among_likely",
           'np.argsort(row[place[:n_likely]], kind="mergesort")',
           'n_likely - 1 - np.argsort(row[place[:n_likely]][::-1], kind="mergesort")'),
    Mutant("primal rule: likely sums unsettled, compiled", (6, 8), "deferral.likely:prefix_among_likely",
           "verdict[at] = UNSURE if", "slack = -1.0\n        verdict[at] = UNSURE if"),
    Mutant("primal rule: unlikely ties from the highest index, sorted", (6,), "deferral.prefix:_sort",
           "p.double().sort(dim=1, stable=True)",
           "(lambda s: (s.values, p.shape[1] - 1 - s.indices))(p.double().flip(1).sort(dim=1, stable=True))"),
    Mutant("primal rule: unlikely ties from the highest index, in a bucket", (6,), "deferral.prefix:_select",
           "p.view(-1)[place].double().sort(stable=True)",
           "(lambda s: (s.values, len(place) - 1 - s.indices))(p.view(-1)[place].double().flip(0).sort(stable=True))"),
    Mutant("primal rule: a bucket too far", (6,), "deferral.prefix:_bucket", "right=True) - 1", "right=True)"),
    Mutant("primal rule: ties from the highest index, settled", (6,), "deferral.prefix:_settle",
           "p.double().sort(stable=True)",
           "(lambda s: (s.values, len(p) - 1 - s.indices))(p.double().flip(0).sort(stable=True))"),
    Mutant("dual rule: <= for <", (8, 6), "deferral.budgets:Dual.defer", "widen(p) < ", "widen(p) <= "),
    Mutant("dual rule: comparison turned round", (6,), "deferral.budgets:Dual.defer", "widen(p) < ", "widen(p) > "),
    Mutant("exact rule: the primal's set", (2,), "deferral.budgets:Exact.defer",
           "knapsack.exact(problem, memory_limit=2.0**26)", "knapsack.primal(problem)"),
    Mutant("exact rule: a tolerance on the budget", (2,), "deferral.budgets:Exact.defer",
           "budget=self.budget", "budget=min(1.0, self.budget + 1e-6)"),
    Mutant("nudging: <= for <", (5,), "deferral.gates:Nudging.hands_over", ") < smallest", ") <= smallest"),
    Mutant("nudging: the least likely token", (5,), "deferral.gates:Nudging.hands_over", ".amax(", ".amin("),
    Mutant("chow: <= for <", (5,), "deferral.gates:Chow.hands_over", "< 1.0", "<= 1.0"),
    Mutant("diff: <= for <", (5,), "deferral.gates:Diff.hands_over", "highest(p) < ", "highest(p) <= "),
    Mutant("top-k: > for >=", (5,), "deferral.truncations:TopK.kept", "p >= ", "p > "),
    Mutant("top-k: one token more", (5,), "deferral.truncations:TopK.kept", "min(self.k,", "min(self.k + 1,"),
    Mutant("top-p: the mass for what is left of it", (5,), "deferral.truncations:TopP.kept",
           "1.0 - self.mass", "self.mass % 1.0"),
    Mutant("min-p: comparison turned round", (5,), "deferral.truncations:MinP.kept", "~below", "below"),
    Mutant("min-p: of the mean for the largest", (5,), "deferral.truncations:MinP.kept",
           "highest(p)", "p.double().mean(-1, keepdim=True)"),
    Mutant("epsilon: > for >=", (5,), "deferral.truncations:Epsilon.kept", "widen(p) >= ", "widen(p) > "),
    Mutant("epsilon: nothing kept always", (5,), "deferral.truncations:Epsilon.floor", "p >= ", "p > "),
    Mutant("eta: the larger of both for the smaller", (5,), "deferral.truncations:Eta.kept",
           "clamp(max=", "clamp(min="),
    Mutant("eta: comparison turned round", (5,), "deferral.truncations:Eta.kept", "~below", "below"),
    Mutant("samplers: a token kept though others are", (5,), "deferral.truncations:Sampler.floor",
           " & ~kept.any(-1, keepdim=True)", ""),
    Mutant("samplers: nothing kept always", (5,), "deferral.truncations:Sampler.defer", "if self.min_keep", "if False"),
    Mutant("confidence bet: the base's best token", (5,), "deferral.comparisons:ConfidenceBet.defer",
           "given(q)", "p"),
    Mutant("confidence bet: margin added", (5,), "deferral.comparisons:ConfidenceBet.defer",
           "- self.alpha", "+ self.alpha"),
    Mutant("gap: margin added", (5,), "deferral.comparisons:Gap.defer", "- self.alpha", "+ self.alpha"),
    Mutant("below: <= for <", (5,), "deferral.rule:below", "p < (bound", "p <= (bound"),
    Mutant("below: float32 rounds down", (5,), "deferral.rule:rounded_up", "return up.where(", "return rounded.where("),
    Mutant("threshold: float32 rounds to nearest", (5,), "deferral.rule:smallest_not_below",
           "if float(rounded) < alpha:", "if False:"),
    Mutant("hybrid: b - D for D - b", (15,), "deferral.hybrid:Hybrid.propose",
           "mass.double() - self.budget", "self.budget - mass.double()"),
    Mutant("hybrid: no floor at 0", (15,), "deferral.hybrid:Hybrid.propose", ".clamp_min(0.0)", ""),
    Mutant("hybrid: the multiplier stays", (15,), "deferral.hybrid:Hybrid.propose",
           "self.step * (", "0.0 * ("),
    Mutant("hybrid: the first multiplier for all steps", (15,), "deferral.hybrid:Hybrid.propose",
           "torch.exp(-multipliers[-1])", "torch.exp(-multipliers[0])"),
    Mutant("hybrid: its state forgotten", (15,), "deferral.hybrid:Hybrid.propose",
           "if state is None", "if True"),
    Mutant("hybrid: comparison turned round", (15,), "deferral.hybrid:Hybrid.propose", "(below(", "(~below("),
)  # fmt: skip

_LAWS: tuple[Mutant, ...] = (
    Mutant("cascade: q for p in the deferral mass", (8,), "deferral.policy:cascade",
           "deferral_mass(p, deferred)", "deferral_mass(q, deferred)"),
    Mutant("cascade: q on the deferred tokens alone", (10, 8), "deferral.policy:cascade",
           ".addcmul(spent.unsqueeze(-1), q)", ".add(only(q, deferred))"),
    Mutant("cascade: deferred tokens kept too", (8,), "deferral.policy:cascade", "only(p, ~deferred)", "p"),
    Mutant("deferral mass: of the kept tokens", (8, 13), "deferral.policy:deferral_mass",
           "only(p, deferred)", "only(p, ~deferred)"),
    Mutant("deferral mass: number of tokens", (13,), "deferral.policy:deferral_mass",
           "only(p, deferred).sum(-1)", "deferred.double().mean(-1)"),
    Mutant("acceptance: q for pi", (9,), "deferral.policy:acceptance", "pi.minimum(q)", "q.minimum(q)"),
    Mutant("acceptance: product for minimum", (9,), "deferral.policy:acceptance", "pi.minimum(q)", "(pi * q)"),
    Mutant("acceptance: larger for smaller", (9, 12), "deferral.policy:acceptance", "pi.minimum(q)", "pi.maximum(q)"),
    Mutant("residual: forgotten, a draw from pi", (10,), "deferral.policy:residual",
           "(pi - q).clamp_min_(0)", "pi.clone()"),
    Mutant("residual: q - pi for pi - q", (10,), "deferral.policy:residual", "(pi - q)", "(q - pi)"),
    Mutant("residual: not normalised", (10,), "deferral.policy:residual", ".div_(total + is_none)", ""),
    Mutant("residual: nothing where pi is q", (10,), "deferral.policy:residual", ".addcmul_(is_none, pi)", ""),
    Mutant("tokens a cycle: no bonus", (12,), "decoding.window:tokens_per_cycle", "range(window + 1)", "range(window)"),
    Mutant("tokens a cycle: the quotient near 1", (12,), "decoding.window:tokens_per_cycle",
           "return float(sum(acceptance**k for k in range(window + 1)))",
           "return window + 1.0 if acceptance == 1 else (1 - acceptance ** (window + 1)) / (1 - acceptance)"),
)  # fmt: skip

MUTANTS: tuple[Mutant, ...] = (
    _APPROXIMATIONS + _BOUNDS + _RULES + _LAWS + ENGINE_MUTANTS + SEQUENCE_MUTANTS + SEARCH_MUTANTS + NEAR_MUTANTS
)
