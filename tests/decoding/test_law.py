"""Sampled decoding has the enumerated law: chi-square over 10^5 draws of three tokens, both modes, real caches.

The expected law is made without any of the engine: each context is run through both models whole, and the cascade of
each step is written out from its definition. Level: a case fails where its p-value is below 0.001; the seeds are fixed.
"""

import itertools
import math

import pytest
import torch
from scipy import stats as scipy_stats
from tiny_models import gpt2, llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.deferral import rules

V, LENGTH, N_DRAWS, LEVEL = 3, 3, 100_000, 0.001
PROMPT = [1, 2, 0, 2]


def tempered(model, context, temperature):
    with torch.no_grad():
        logits = model(torch.tensor([context])).logits[0, -1]
    return logits.softmax(-1), (logits / temperature).softmax(-1)


def step_law(pair, rule, context, temperature):
    """pi_T by its definition: y from p_T, redrawn from q_T where the rule, reading p, defers it."""
    p, p_t = tempered(pair.base, context, temperature)
    _, q_t = tempered(pair.proxy, context, temperature)
    if isinstance(rule, rules.Truncated):
        kept = ~rule.rule.defer(p)
        kept[p.argmax()] = True
        return (p_t * kept) / (p_t * kept).sum()
    deferred = rule.defer(p).double()
    return (1 - deferred) * p_t + (deferred * p_t).sum() * q_t


def sequence_law(pair, rule, temperature, end=None):
    """Every answer of up to LENGTH tokens, cut after `end`, and its probability."""
    law = {(): 1.0}
    for _ in range(LENGTH):
        longer = {}
        for answer, weight in law.items():
            if answer and answer[-1] == end:
                longer[answer] = weight
                continue
            pi = step_law(pair, rule, PROMPT + list(answer), temperature)
            longer |= {(*answer, x): weight * float(pi[x]) for x in range(V)}
        law = longer
    return law


def p_value(law, answers):
    """Pearson's chi-square test that the answers were drawn from the law; rare answers are pooled."""
    counts = dict.fromkeys(law, 0)
    for answer in answers:
        counts[tuple(answer)] += 1
    rare = [answer for answer, weight in law.items() if weight * len(answers) < 5]
    assert sum(counts[answer] for answer in rare if law[answer] == 0) == 0
    common = [answer for answer in law if answer not in rare]
    observed = [counts[answer] for answer in common]
    expected = [law[answer] * len(answers) for answer in common]
    if sum(law[answer] for answer in rare) > 0:
        observed.append(sum(counts[answer] for answer in rare))
        expected.append(sum(law[answer] for answer in rare) * len(answers))
    scale = sum(observed) / sum(expected)
    return float(scipy_stats.chisquare(observed, [scale * e for e in expected]).pvalue)


CASES = [
    (llama, rules.Dual(0.3), "autoregressive", 1, 1.0),
    (llama, rules.Dual(0.3), "speculative", 2, 1.0),
    (gpt2, rules.Primal(0.5), "speculative", 3, 0.7),
    (gpt2, rules.Nudging(0.6), "speculative", 1, 1.0),
    (llama, rules.Never(), "speculative", 4, 1.5),
]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "rule", "mode", "window", "temperature"), CASES)
def test_the_sampled_law_is_the_enumerated_one(make, rule, mode, window, temperature):
    """Fails when the residual is forgotten, an owed draft is tested, a bonus ignores d, or a cache is out of step."""
    pair = tiny_pair(make, V)
    answers = generate(
        pair,
        [PROMPT],
        rule,
        mode=mode,
        window=window,
        temperature=temperature,
        max_new_tokens=LENGTH,
        num_return_sequences=N_DRAWS,
        batch_size=5000,
        seed=11,
    )
    law = sequence_law(pair, rule, temperature)
    assert math.isclose(sum(law.values()), 1.0, abs_tol=1e-12)
    assert p_value(law, answers.token_ids) > LEVEL
    if mode == "speculative":
        wrote = {source for trace in answers.traces[:2000] for source in trace.source}
        assert {"draft", "residual"} <= wrote  # so that the test has entered both branches


def test_the_law_holds_with_an_end_of_text_and_a_truncation():
    """Fails when a window goes on past an end of text, or a truncation drafts with the bonus of another law."""
    pair = tiny_pair(llama, V, eos_token_id=1)
    assert pair.eos_token_ids == (1,)
    for rule in (rules.Dual(0.4), rules.Truncated(rules.Dual(0.25))):
        answers = generate(
            pair,
            [PROMPT],
            rule,
            mode="speculative",
            window=2,
            max_new_tokens=LENGTH,
            num_return_sequences=20_000,
            batch_size=5000,
            seed=5,
        )
        assert p_value(sequence_law(pair, rule, 1.0, end=1), answers.token_ids) > LEVEL


def test_the_chi_square_tells_a_law_one_percent_away():
    """Fails when the test above could not notice what it is there to notice."""
    generator = torch.Generator().manual_seed(0)
    answers = list(itertools.product(range(V), repeat=LENGTH))
    law = torch.rand(len(answers), generator=generator, dtype=torch.float64) + 0.2
    law /= law.sum()
    bent = law.clone()
    bent[:2] += torch.tensor([0.01, -0.01], dtype=torch.float64)
    for weights, verdict in ((law, True), (bent, False)):
        draws = torch.multinomial(weights, N_DRAWS, replacement=True, generator=generator).tolist()
        plain = dict(zip(answers, law.tolist(), strict=True))
        assert (p_value(plain, [answers[i] for i in draws]) > LEVEL) == verdict
