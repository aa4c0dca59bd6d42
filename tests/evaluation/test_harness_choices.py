"""The harness's choices of one prompt share its reading, whatever order they come in."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_models import gpt2, llama, word_tokenizer

from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.models import ModelPair

pytest.importorskip("lm_eval", reason="lm-eval is not installed (extra [lm-eval])")


@pytest.fixture
def model():
    from proxyalign.evaluation.harness import ProxyAlignLM

    settings = {"context": 24, "eos_token_id": 11}
    base, proxy = llama(12, 0, layers=3, **settings).double(), gpt2(12, 1, **settings).double()
    pair = ModelPair(base, proxy, word_tokenizer(12, eos_token="t11"))
    return ProxyAlignLM(pair=pair, rule="dual", alpha=0.4, batch_size=2)


def test_a_prompt_is_read_once_for_all_its_choices(model):
    """Fails when each choice has its prompt read anew, or an answer comes back in another's place."""
    prompts, choices = ["t1 t2 t3", "t4", "t9 t8 t7 t6 t5"], [" t1", " t2", " t3"]
    asked = [(prompt, choice) for choice, prompt in itertools.product(choices, prompts)]
    rows = []
    for one in (model.pair.base, model.pair.proxy):
        one.register_forward_pre_hook(lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True)
    found = model.loglikelihood([SimpleNamespace(args=one) for one in asked], disable_tqdm=True)
    assert sorted(rows) == [1, 1, 2, 2]
    ids = [[[int(word[1:]) for word in text.split()] for text in texts] for texts in zip(*asked, strict=True)]
    expected = score(model.pair, rules.Dual(0.4), *ids)
    assert [log_prob for log_prob, _ in found] == pytest.approx([one.log_probs.sum() for one in expected])
    assert [is_greedy for _, is_greedy in found] == [bool(one.is_greedy.all()) for one in expected]


def test_a_long_prompt_is_cut_for_the_longest_of_its_choices(model):
    """Fails when choices of one question are scored after different prompts, or a cut leaves too little room."""
    words = [f"t{i % 11}" for i in range(30)]
    asked = [(" ".join(words), " t3"), (" ".join(words), " t3 t4 t5 t6")]
    ids = [int(word[1:]) for word in words]
    found = model.loglikelihood([SimpleNamespace(args=one) for one in asked], disable_tqdm=True)
    scores = score(model.pair, rules.Dual(0.4), [ids[-21:]] * 2, [[3], [3, 4, 5, 6]])
    assert np.array(found)[:, 0] == pytest.approx([one.log_probs.sum() for one in scores])
