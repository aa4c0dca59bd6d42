"""A served base in a pair: `generate` asks it, and nothing else does."""

import pytest
from model_server import ModelServer

import proxyalign as pa
from proxyalign.decoding.scoring import score
from proxyalign.errors import InputError
from proxyalign.evaluation import Settings
from proxyalign.evaluation.asked import ask
from proxyalign.serving.answers import Seen
from proxyalign.serving.pieces import pieces_of

RULE = pa.rules.Dual(0.4)
PROMPTS = ["Question: Where does the tibdi live?\n", "In the north"]


@pytest.mark.parametrize("knows_tokens", [True, False])
def test_generate_asks_the_server_for_what_the_base_would_write_here(lab, knows_tokens):
    """Fails when the pair's tokenizers go to the wrong side, or a setting is lost on the way."""
    settings = {"max_new_tokens": 20, "temperature": 0.0, "stop": ["\n"]}
    here = pa.generate(lab, PROMPTS, RULE, **settings)
    with ModelServer(lab.base, lab.tokenizer, "vllm") as server:
        own = {"proxy_tokenizer": lab.tokenizer} if knows_tokens else {}
        pair = pa.ModelPair(pa.ServedBase(server.url, "base"), lab.proxy, lab.tokenizer, **own)
        assert pair.is_served
        assert (pair.base.tokenizer is not None) == knows_tokens
        out = pa.generate(pair, PROMPTS, RULE, batch_size=2, **settings)
    assert out.texts == here.texts


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"top_k": 5}, "top_k must be left out"), ({"logit_bias": {3: 1.0}}, "logit_bias must be left out"),
     ({"min_new_tokens": 3}, "min_new_tokens must be"), ({"boundaries": "word"}, "boundaries must be"),
     ({"distributions": True}, "distributions must be"), ({"eos_token_ids": [1]}, "eos_token_ids must be")],
)  # fmt: skip
def test_what_a_server_cannot_be_asked_is_refused_before_it_is(lab, settings, told):
    """Fails when a setting is dropped in silence."""
    pair = pa.ModelPair(base=pa.ServedBase("http://127.0.0.1:9", "base"), proxy=lab.proxy, tokenizer=lab.tokenizer)
    with pytest.raises(InputError, match=f"generate: {told} .*with a served base"):
        pa.generate(pair, PROMPTS, RULE, **settings)


def test_only_generate_asks_a_server(lab):
    """Fails when a score is asked of a base that is not here, with an error from inside."""
    pair = pa.ModelPair(base=pa.ServedBase("http://127.0.0.1:9", "base"), proxy=lab.proxy, tokenizer=lab.tokenizer)
    with pytest.raises(InputError, match="score: the base must be loaded here, got ServedBase"):
        score(pair, RULE, [[1]], [[2]])
    settings = Settings(pair="lab", task="lab-facts", task_version=1, rule="dual", parameters={"alpha": 0.4})
    with pytest.raises(InputError, match="evaluation: the base must be loaded here, got ServedBase"):
        ask(pair, settings, [], n_new=1)
    with pytest.raises(InputError, match="ModelPair: tokenizer must be given, got none"):
        pa.ModelPair(base=pair.base, proxy=lab.proxy)


def test_an_id_that_the_proxy_has_not_is_drawn_anew(lab):
    """Fails when a column that fills up the base's weights becomes a token, which no proxy can read."""
    pieces = pieces_of(lab.tokenizer, lab.proxy, lab.tokenizer)
    assert pieces.piece_of(Seen(b"a", 5, (0.5,), (0.5,))) == 5
    assert pieces.piece_of(Seen(None, len(lab.tokenizer), (0.5,), (0.5,))) is None
