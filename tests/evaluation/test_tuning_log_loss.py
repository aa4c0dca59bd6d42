"""Statement 18 measured: the terms add up to what the cascade's log loss is more than the base's, along texts too."""

import copy
import math

import numpy as np
import pytest
import torch
from tiny_models import gpt2, llama, tiny_pair

import proxyalign as pa
from proxyalign.decoding.scoring import score
from proxyalign.deferral import policy, rules
from proxyalign.errors import InputError
from proxyalign.evaluation.tuning.log_loss import log_loss_along, log_loss_terms
from proxyalign.models import ModelPair

NAMES = ("bexsur", "tibdi", "lorvan", "mirpo", "dasket", "fenlu", "quorim", "zapti") * 3


def loss(truth, law):
    """E[-log law] under the truth (...,)."""
    return -(truth * np.log(law)).sum(-1)


def random_laws(n, n_tokens, seed):
    rng = np.random.default_rng(seed)
    truth, p, q = rng.dirichlet([0.5] * n_tokens, (3, n)) + 1e-12
    truth, p, q = (law / law.sum(-1, keepdims=True) for law in (truth, p, q))
    return truth, p, q, rng.random((n, n_tokens)) < rng.random((n, 1))


def test_the_terms_add_up_to_the_rise_of_the_log_loss():
    """Fails for a term that is missing, of the wrong sign, or of another law; 5,000 random triples."""
    truth, p, q, deferred = random_laws(5000, 7, 0)
    terms = log_loss_terms(truth, p, q, deferred)
    pi = policy.cascade(*map(torch.from_numpy, (p, q, deferred))).numpy()
    assert terms.total == pytest.approx(loss(truth, pi) - loss(truth, p), abs=1e-11)
    some = deferred.any(-1)
    price = terms.delta[some] * (terms.kl_to_proxy - terms.kl_to_base + terms.log_inverse_mass)[some]
    assert terms.total[some] == pytest.approx(price - terms.kept[some], abs=1e-12)


def test_each_term_is_what_it_is_called():
    """Fails where two terms are swapped, or a law given S is not normalised."""
    truth, p, q = np.array([[0.1, 0.3, 0.6]]), np.array([[0.2, 0.3, 0.5]]), np.array([[0.4, 0.2, 0.4]])
    terms = log_loss_terms(truth, p, q, [[True, True, False]])
    given = np.array([0.25, 0.75])
    assert terms.delta[0] == pytest.approx(0.4)
    assert terms.proxy_mass[0] == pytest.approx(0.6)
    assert terms.kl_to_proxy[0] == pytest.approx((given * np.log(given / np.array([4, 2]) * 6)).sum())
    assert terms.kl_to_base[0] == pytest.approx((given * np.log(given / np.array([0.4, 0.6]))).sum())
    assert terms.log_inverse_mass[0] == pytest.approx(math.log(1 / 0.6))
    assert terms.kept[0] == pytest.approx(0.6 * math.log(1 + 0.5 * 0.4 / 0.5))


def test_it_is_infinite_where_it_must_be_and_nowhere_else():
    """Fails where a floor under a probability hides an impossible token, or 0 times infinity becomes NaN."""
    flat, none, first = [0.5, 0.5, 0.0], [False] * 3, [True, False, False]
    cases = {
        "q cannot write it": (flat, [0.1, 0.4, 0.5], [0.0, 0.5, 0.5], first, math.inf),
        "q writes nothing of S": (flat, [0.1, 0.4, 0.5], [0.0, 0.0, 1.0], [True, True, False], math.inf),
        "p alone cannot write it": (flat, [0.0, 0.5, 0.5], [0.5, 0.5, 0.0], first, -math.inf),
        "the truth does not write it": ([0.0, 1.0, 0.0], [0.1, 0.4, 0.5], [0.0, 0.5, 0.5], first, None),
        "nothing is deferred": (flat, [0.1, 0.4, 0.5], [0.0, 0.5, 0.5], none, 0.0),
        "neither can write it": (flat, [0.0, 0.5, 0.5], [0.0, 0.5, 0.5], none, math.nan),
        "a kept token is all but impossible": ([1.0, 0.0], [1e-310, 1.0], [1.0, 0.0], [False, True], None),
    }
    for name, (truth, p, q, deferred, total) in cases.items():
        found = log_loss_terms(*(np.array([law]) for law in (truth, p, q, deferred))).total[0]
        if total is None:
            assert math.isfinite(found), name
        else:
            assert found == pytest.approx(total, nan_ok=True), name


def test_along_texts_it_is_the_mean_of_what_the_models_themselves_say():
    """Fails where a law is read one place off, of another model, or after another context."""
    pair = tiny_pair(llama, 11)
    aligned = llama(11, 7).double()
    contexts, texts, rule = [[1, 2], [3]], [[4, 5, 6], [7]], rules.Dual(0.08)
    found = log_loss_along(pair, aligned, rule, contexts, texts)
    rises, masses = [], []
    for context, text in zip(contexts, texts, strict=True):
        for place in range(len(text)):
            ids = torch.tensor([context + text[:place]])
            with torch.inference_mode():
                truth, p, q = (model(ids).logits[0, -1].softmax(-1) for model in (aligned, pair.base, pair.proxy))
            rises.append(loss(truth.numpy(), rule.target(p, q).numpy()) - loss(truth.numpy(), p.numpy()))
            masses.append(float(truth[rule.defer(p)].sum()))
    assert found.n_positions == 4
    assert found.total == pytest.approx(np.mean(rises), abs=1e-9)
    assert found.delta == pytest.approx(np.mean(masses), abs=1e-9)
    assert found.total == pytest.approx(found.proxy - found.base + found.redrawn - found.kept, abs=1e-12)


def test_on_its_own_texts_of_the_lab_pair_it_is_what_the_texts_lose():
    """Fails where the terms do not reach real laws; what the texts lose, by `score`, is within 4 standard errors."""
    pair = pa.load_pair("lab")
    torch.manual_seed(0)
    aligned = copy.deepcopy(pair.base)  # a third model, whose laws are neither parent's
    with torch.no_grad():
        for weights in aligned.parameters():
            weights += 0.1 * weights.std() * torch.randn_like(weights)
    rule, contexts = rules.Dual(0.2), [pair.encode(f"Question: Where does the {name} live?\n") for name in NAMES]
    author = ModelPair(base=aligned, proxy=pair.proxy, tokenizer=pair.tokenizer)
    texts = pa.generate(author, contexts, rules.Never(), max_new_tokens=24, seed=1).token_ids
    found = log_loss_along(pair, aligned, rule, contexts, texts)
    of_base, of_cascade = (
        np.concatenate([one.log_probs for one in score(pair, law, contexts, texts)]) for law in (rules.Never(), rule)
    )
    lost = of_base - of_cascade
    assert found.n_positions == len(lost)
    assert 0.01 < found.delta < 1
    assert found.total == pytest.approx(found.proxy - found.base + found.redrawn - found.kept, abs=1e-9)
    assert abs(lost.mean() - found.total) < 4 * lost.std() / math.sqrt(len(lost))


def test_deferral_pays_where_the_proxy_is_the_aligned_model_and_the_base_is_not():
    """Fails for a sign that is turned: a proxy that is the truth, deferred to everywhere, makes the loss its least."""
    pair = tiny_pair(llama, 11)
    found = log_loss_along(pair, pair.proxy, rules.Always(), [[1, 2]], [[4, 5, 6]])
    assert (found.delta, found.proxy, found.redrawn) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
    assert found.total == pytest.approx(-found.base) == pytest.approx(found.total)
    assert found.total < 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"aligned": gpt2(9, 0)}, "vocabularies of base 9"),
        ({"rule": rules.Hybrid(0.3)}, "got hybrid"),
        ({"rule": rules.StaticMixture(0.3)}, "got static-mixture"),
        ({"contexts": [[1], [2]]}, "got 2 and 1"),
        ({"contexts": [[]]}, "must hold a token each"),
        ({"texts": [[99]]}, "99"),
        ({"texts": [[1] * 70]}, "context of 64"),
        ({"contexts": [], "texts": []}, "got 0 and 0"),
    ],
)
def test_what_has_no_such_terms_is_refused_in_a_sentence(change, told):
    """Fails where another vocabulary, a rule with a memory, or no text at all gives a number."""
    asked = {"aligned": llama(11, 3), "rule": rules.Dual(0.1), "contexts": [[1]], "texts": [[2]], **change}
    with pytest.raises(InputError, match=told):
        log_loss_along(tiny_pair(llama, 11), *asked.values())


@pytest.mark.parametrize(
    ("laws", "told"),
    [
        (([[0.5, 0.5]], [[0.5, 0.5]], [[1.0]]), "shape of deferred"),
        (([[0.5, 0.5]], [[3.0, 1.0]], [[0.5, 0.5]]), "p must hold probabilities"),
        (([[1.5, -0.5]], [[0.5, 0.5]], [[0.5, 0.5]]), "truth must hold probabilities"),
        (([[0.5, 0.5]], [[0.5, 0.5]], [[math.nan, 0.5]]), "q must hold probabilities"),
    ],
)
def test_what_is_no_law_is_refused_in_a_sentence(laws, told):
    """Fails where logits pass for probabilities."""
    with pytest.raises(InputError, match=told):
        log_loss_terms(*laws, [[True, False]])
