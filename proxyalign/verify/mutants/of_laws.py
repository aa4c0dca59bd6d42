"""Mutants of the cascade's law, its acceptance and its residual, and of the tokens that a cycle yields."""

from proxyalign.verify.mutants.mutation import Mutant

LAW_MUTANTS: tuple[Mutant, ...] = (
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
