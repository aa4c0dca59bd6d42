"""Mutants of what texts, steps together and cycles come to: log loss, thresholds from texts, prices, owed drafts."""

from proxyalign.verify.mutants.mutation import Mutant

_REDRAWN = ".addcmul(spent.unsqueeze(-1), q)"

SEQUENCE_MUTANTS: tuple[Mutant, ...] = (
    Mutant("log loss: deferred mass is spread over the kept tokens", (18,), "deferral.policy:cascade",
           _REDRAWN, ".div(1.0 - spent.unsqueeze(-1))"),
    Mutant("log loss: the larger of what is kept and redrawn", (18,), "deferral.policy:cascade",
           _REDRAWN, ".maximum(spent.unsqueeze(-1) * q)"),
    Mutant("log loss: redrawn from the proxy sharpened", (18,), "deferral.policy:cascade",
           _REDRAWN, ".addcmul(spent.unsqueeze(-1), q * q / (q * q).sum(-1, keepdim=True))"),
    Mutant("target: the set turned round", (18,), "deferral.rule:Rule.target",
           "self.defer(p, q, q0)", "~self.defer(p, q, q0)"),
    Mutant("threshold from texts: their least likely token goes too", (19,), "deferral.budgets:Dual.defer",
           "widen(p) < ", "widen(p) <= "),
    Mutant("threshold from texts: one token below it hands over the step", (19,), "deferral.rule:Rule.target",
           "self.defer(p, q, q0)", "self.defer(p, q, q0).any(-1, keepdim=True).expand(p.shape)"),
    Mutant("threshold from texts: all but the likeliest token goes", (19,), "deferral.rule:Rule.target",
           "self.defer(p, q, q0)", "p < p.amax(-1, keepdim=True)"),
    Mutant("price: the likeliest tokens for the least likely", (20,), "deferral.budgets:Primal.defer",
           "longest_prefix(p, self.budget)", "longest_prefix(p.amax() - p, self.budget)"),
    Mutant("price: the density of the last item for the critical one's", (20,), "knapsack.bounds:lp_bound",
           "quotient(problem, critical)", "quotient(problem, int(order[-1]))", "dyadic"),
    Mutant("price: the dual at twice the multiplier", (20,), "knapsack.approximations:_threshold_set",
           "problem.densities > multiplier", "problem.densities > 2.0 * multiplier", "subnormal"),
    Mutant("owed: a draft after a rejection too", (22,), "decoding.cycle:Cycle.of",
           "~rejected & tested.thrown.any(1)", "tested.thrown.any(1)"),
    Mutant("owed: the bonus is emitted all the same", (22,), "decoding.cycle:Cycle.n_new",
           "self.n_passed + ~self.is_open", "self.n_passed + 1"),
    Mutant("owed: a window accepted whole waits always", (22,), "decoding.cycle:Cycle.of",
           "is_owed if has_bonus else ~rejected", "~rejected"),
)  # fmt: skip
