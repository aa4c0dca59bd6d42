"""What a server shows is checked at the start: one that shows or draws from another law is refused in a sentence."""

from types import SimpleNamespace

import pytest
from byte_models import byte_model, byte_tokenizer
from model_server import ModelServer

import proxyalign as pa
from proxyalign.serving.base import ServerError
from proxyalign.serving.decode import decode_served
from proxyalign.serving.probe import meet


@pytest.fixture(scope="module")
def models():
    """A base whose laws are broad, and a proxy."""
    tokenizer = byte_tokenizer(["the cat the hat the cat"], 6)
    return tokenizer, byte_model(tokenizer, 2), byte_model(tokenizer, 1)


def answer(models, server, tokenizer=None, model="base", **settings):
    own, _, proxy = models
    base = pa.ServedBase(server.url, model, tokenizer=tokenizer, patience=5)
    return decode_served(base, proxy, own, ["the c"], pa.rules.Dual(0.1), max_new_tokens=4, **settings)


@pytest.mark.parametrize("form", ["vllm", "llamacpp", "openai"])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_an_honest_server_is_taken_in_each_form(models, form, temperature):
    """Fails when half characters, ties of names or few likeliest tokens are taken for a lie."""
    with ModelServer(models[1], models[0], form) as server:
        assert len(answer(models, server, temperature=temperature).traces[0]) == 4
        if form != "openai":
            assert len(answer(models, server, tokenizer=models[0], temperature=temperature).traces[0]) == 4


@pytest.mark.parametrize("form", ["vllm", "openai"])
@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ({"shows": "tempered"}, "must show log-probabilities of the untouched law, got ones that change"),
        ({"top_k": 5}, "must draw from the law that it shows, got"),
        ({"top_k": 2}, "must draw from the law that it shows, got"),
        ({"shows": "nothing"}, "must show log-probabilities of the likeliest tokens, got none"),
    ],
)
def test_a_server_that_lies_is_refused(models, form, behaviour, told):
    """Fails when a cascade is drawn from log-probabilities of some other law."""
    with (
        ModelServer(models[1], models[0], form, **behaviour) as server,
        pytest.raises(ServerError, match=f"^ServedBase: http.* {told}.*; "),
    ):
        answer(models, server, tokenizer=models[0] if form == "vllm" else None)


def test_a_law_cut_and_renormalised_before_it_is_shown_is_noticed(models):
    """Fails when log-probabilities that sum to 1 over few tokens pass for those of the whole law."""
    with (
        ModelServer(models[1], models[0], top_k=10, shows="truncated") as server,
        pytest.raises(ServerError, match=r"must show log-probabilities of the whole law, got .*; "),
    ):
        answer(models, server, tokenizer=models[0])


def test_a_greedy_draw_that_is_none_is_noticed(models):
    """Fails when a server that ignores temperature 0 is believed."""

    class Deaf(ModelServer):
        def law(self, logits, temperature):
            return super().law(logits, 1.0)

    with (
        Deaf(models[1], models[0]) as server,
        pytest.raises(ServerError, match="must write its likeliest token at temperature 0"),
    ):
        answer(models, server, tokenizer=models[0], temperature=0.0)


def test_another_models_name_is_refused_with_those_that_there_are(models):
    """Fails when the server's own words, or none, are all that is told."""
    with (
        ModelServer(models[1], models[0]) as server,
        pytest.raises(ServerError, match=r"model must be one that http.* serves, base, got 'bass'"),
    ):
        answer(models, server, model="bass")


def test_an_end_without_its_log_probability_is_refused(models):
    """Fails when the end of a text is kept without a look at the rule."""
    tokenizer, base, _ = models

    class Silent(ModelServer):
        def choices(self, body):
            for choice in super().choices(body):
                if choice["logprobs"] and choice["logprobs"]["tokens"] == ["<end>"]:
                    continue
                yield choice

        def law(self, logits, temperature):
            return super().law(logits + 12.0 * (torch.arange(len(logits)) == 0), temperature)

    import torch

    with (
        Silent(base, tokenizer, "openai") as server,
        pytest.raises(ServerError, match="must show the log-probability"),
    ):
        answer(models, server)


@pytest.mark.parametrize("listed", [[1, 2], "none", {"data": 5}, {"data": [None]}], ids=str)
def test_a_list_of_models_that_is_none_names_none(listed):
    """Fails when what a server answers beside completions ends the run with an error from inside."""
    base = pa.ServedBase("http://127.0.0.1:9", "base")
    server = meet(SimpleNamespace(base=base, get=lambda _: listed))
    assert server.dialect.owner == ""
    assert server.n_slots is None
