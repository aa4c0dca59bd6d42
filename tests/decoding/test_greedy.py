"""At temperature 0, in float64, all ways of decoding give the same tokens: modes, windows, batches, models."""

import pytest
import torch
from tiny_models import gpt2, llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.deferral import rules

PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3], [4, 4, 4, 4]]
RULES = [
    rules.Never(),
    rules.Always(),
    rules.Dual(0.3),
    rules.Dual(0.9),
    rules.Primal(0.5),
    rules.Nudging(0.5),
    rules.Truncated(rules.Dual(0.2)),
]
N_NEW = 17


def by_definition(pair, rule, prompt, n_new):
    """Greedy cascade without caches: y = argmax p, and argmax q where y is deferred."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n_new):
            p, q = (model(torch.tensor([ids])).logits[0, -1].softmax(-1) for model in (pair.base, pair.proxy))
            y = int(p.argmax())
            truncates = isinstance(rule, rules.Truncated)
            ids.append(int(q.argmax()) if not truncates and bool(rule.defer(p)[y]) else y)
    return ids[len(prompt) :]


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_all_ways_of_decoding_agree_with_the_definition(make, rule):
    """Fails when a rejected draft stays in a cache, a position is off by one, or a stale slot is attended to."""
    pair = tiny_pair(make, 12)
    expected = [by_definition(pair, rule, prompt, N_NEW) for prompt in PROMPTS]
    ways = [("autoregressive", 1, batch) for batch in (1, 3)]
    ways += [("speculative", window, batch) for window in (1, 2, 4) for batch in (1, 3)]
    for mode, window, batch_size in ways:
        answer = generate(
            pair, PROMPTS, rule, mode=mode, window=window, batch_size=batch_size, temperature=0, max_new_tokens=N_NEW
        )
        assert answer.token_ids == expected, (mode, window, batch_size)


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize(("rule", "role"), [(rules.Never(), "base"), (rules.Always(), "proxy")], ids=["base", "proxy"])
def test_the_ends_of_the_scale_are_transformers_own_greedy_decoding(make, rule, role):
    """Fails when Never is not the base alone, or Always not the proxy alone, end of text included."""
    pair = tiny_pair(make, 12, eos_token_id=5)
    model = getattr(pair, role)
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        theirs = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, do_sample=False, pad_token_id=0
        )
        mine = generate(pair, [prompt], rule, temperature=0, max_new_tokens=30)
        assert mine.token_ids == [theirs[0, len(prompt) :].tolist()]


def test_the_models_that_are_not_needed_never_run():
    """Fails when the proxy runs for Never, the base for Always, or the proxy where no token was deferred."""
    pair = tiny_pair(llama, 12)
    passes = {}
    for rule in (rules.Never(), rules.Always(), rules.Dual(0.0), rules.Dual(0.6)):
        stats = generate(pair, [[1, 2, 3]], rule, max_new_tokens=12, seed=3).stats
        passes[rule] = (stats.n_base_passes, stats.n_proxy_passes)
    assert passes[rules.Never()] == passes[rules.Dual(0.0)] == (12, 0)
    assert passes[rules.Always()] == (0, 12)
    assert passes[rules.Dual(0.6)][0] == 12
    assert 0 < passes[rules.Dual(0.6)][1] < 12


def test_a_tie_goes_to_the_lowest_id():
    """Fails when argmax depends on the order of a reduction: the two best tokens here have equal logits."""
    pair = tiny_pair(llama, 12)
    with torch.no_grad():
        for model in (pair.base, pair.proxy):
            model.lm_head.weight[7] = model.lm_head.weight[2]
    seen = set()
    for rule in (rules.Never(), rules.Always(), rules.Dual(0.5)):
        for mode in ("autoregressive", "speculative"):
            answer = generate(pair, PROMPTS, rule, mode=mode, temperature=0, max_new_tokens=40)
            seen |= {token for ids in answer.token_ids for token in ids}
    assert 2 in seen  # so that there was a tie for the best
    assert 7 not in seen
