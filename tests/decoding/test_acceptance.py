"""Acceptance beside transformers' assisted generation: as many drafts of a cycle pass, no more and no fewer."""

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from test_law import LEVEL
from tiny_models import llama, tiny_pair
from transformers.generation import candidate_generator

from proxyalign.bench.decoding_speed import _constant_drafts, sampling_settings
from proxyalign.decoding import generate
from proxyalign.deferral import rules

N_TOKENS, WINDOW, LENGTH = 8, 4, 60  # the tiny models have 64 positions
PROMPT = [1, 2, 3]


@pytest.fixture
def pair():
    return tiny_pair(llama, N_TOKENS, eos_token_id=None)


def whole_cycles(accepted):
    """Drafts accepted in the cycles that began with room for a whole window and the token after it."""
    starts = np.cumsum([0, *(n + 1 for n in accepted[:-1])])
    return [n for n, start in zip(accepted, starts, strict=True) if start + WINDOW + 1 <= LENGTH]


def of_transformers(pair, monkeypatch, temperature, seed):
    """What its candidate generator is told after each verification."""
    accepted = []
    monkeypatch.setattr(
        candidate_generator.AssistedCandidateGenerator,
        "update_candidate_strategy",
        lambda self, ids, scores, num_matches: accepted.append(int(num_matches)),
    )
    torch.manual_seed(seed)
    ids = torch.tensor([PROMPT])
    with _constant_drafts(pair.proxy, WINDOW), torch.inference_mode():
        pair.base.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=LENGTH,
            assistant_model=pair.proxy,
            **sampling_settings(temperature),
        )
    return whole_cycles(accepted)


def of_ours(pair, rule, temperature, seed):
    """A cycle's drafts are those before the token that is none."""
    settings = {"mode": "speculative", "window": WINDOW, "max_new_tokens": LENGTH, "temperature": temperature}
    answer = generate(pair, [PROMPT], rule, seed=seed, eos_token_ids=(), **settings)
    after = np.flatnonzero(answer.traces[0].source != "draft")
    return whole_cycles([int(n) for n in np.diff(after, prepend=-1) - 1])


def test_greedy_decoding_accepts_the_drafts_that_transformers_does(pair, monkeypatch):
    """Fails when a draft that is the base's choice is rejected, or one that is not passes.

    Held against whole passes over the finished text too. No padding id is named: from it transformers' assistant infers
    a mask, which would hide that token of the text from it.
    """
    (ids,) = generate(pair, [PROMPT], rules.Never(), temperature=0, max_new_tokens=LENGTH, eos_token_ids=()).token_ids
    with torch.no_grad():
        of_base, of_proxy = (
            model(torch.tensor([PROMPT + ids])).logits[0, len(PROMPT) - 1 : -1].argmax(-1)
            for model in (pair.base, pair.proxy)
        )
    agree = [*(of_base == of_proxy).tolist(), False]
    expected, start = [], 0
    while start < LENGTH:
        expected.append(min(WINDOW, agree.index(False, start) - start))
        start += expected[-1] + 1
    assert of_ours(pair, rules.Never(), 0, 0) == whole_cycles(expected) == of_transformers(pair, monkeypatch, 0, 0)
    assert len(set(expected)) > 1


def test_sampling_accepts_as_many_drafts(pair, monkeypatch):
    """Fails when acceptance is lower than the two laws allow, as with a cache out of step, though the text is right.

    That the comparison notices a difference is seen on a rule that defers.
    """
    theirs = np.concatenate([of_transformers(pair, monkeypatch, 1.0, seed) for seed in range(20)])
    pvalues = {}
    for rule in (rules.Never(), rules.Dual(0.3)):
        ours = np.concatenate([of_ours(pair, rule, 1.0, seed) for seed in range(20)])
        counts = [np.bincount(accepted, minlength=WINDOW + 1) for accepted in (ours, theirs)]
        assert min(map(np.sum, counts)) > 400
        pvalues[rule.name] = scipy_stats.chi2_contingency(counts).pvalue
        print(rule, counts, pvalues[rule.name])
    assert pvalues["never"] > LEVEL
    assert pvalues["dual"] < LEVEL
