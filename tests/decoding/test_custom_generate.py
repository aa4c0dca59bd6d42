"""The engine as a method of transformers: the same answers, its shapes and its padding, and what is refused."""

from functools import partial

import pytest
import torch
import transformers
from tiny_models import gpt2, llama, tiny_pair, word_tokenizer
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import BPE
from transformers.generation import StopStringCriteria, TopKLogitsWarper, TopPLogitsWarper

import proxyalign as pa
from proxyalign.deferral import rules
from proxyalign.errors import InputError

PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0]]
N_NEW = 9


@pytest.fixture(scope="module")
def models():
    return llama(12, 0, layers=3).double(), gpt2(12, 1).double()


def padded(prompts):
    """The prompts as ids and their mask, both (B, T), padded on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[5] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {"input_ids": ids, "attention_mask": mask}


def letters():
    """The letters from a to l, one token each, written without blanks."""
    tokenizer = Tokenizer(BPE({letter: i for i, letter in enumerate("abcdefghijkl")}, []))
    tokenizer.decoder = Fuse()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def decode(models, prompts=PROMPTS, **settings):
    base, proxy = models
    usual = {"custom_generate": pa.generate_kad, "proxy": proxy, "rule": rules.Dual(0.4), "max_new_tokens": N_NEW}
    return base.generate(**padded(prompts), **(usual | settings))


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("rule", [rules.Dual(0.4), rules.Never(), rules.Always(), rules.ConfidenceBet(0.2)], ids=str)
def test_greedy_answers_are_those_of_generate(models, rule, mode):
    """Fails when padding is read as text, or a setting gets lost on its way through transformers."""
    base, proxy = models
    pair = pa.ModelPair(base=base, proxy=proxy, tokenizer=word_tokenizer(12))
    expected = pa.generate(pair, PROMPTS, rule, temperature=0, max_new_tokens=N_NEW).token_ids
    out = decode(models, rule=rule, mode=mode, window=3)
    assert out.dtype == torch.int64
    assert out[:, :6].equal(padded(PROMPTS)["input_ids"])
    assert out[:, 6:].tolist() == expected


def test_a_rule_may_read_a_reference(models):
    """Fails when the reference does not reach the pair, or a rule that needs it decodes without."""
    base, proxy = models
    reference = llama(12, 5).double()
    pair = pa.ModelPair(base=base, proxy=proxy, tokenizer=word_tokenizer(12), reference=reference)
    expected = pa.generate(pair, PROMPTS, rules.ImplicitReward(), temperature=0, max_new_tokens=N_NEW).token_ids
    assert decode(models, rule=rules.ImplicitReward(), reference=reference)[:, 6:].tolist() == expected
    with pytest.raises(InputError, match="reference"):
        decode(models, rule=rules.ImplicitReward())


@pytest.mark.parametrize("named", [True, False])
def test_short_answers_are_padded_as_transformers_pads(models, named):
    """Fails when an end of text is not obeyed, or the rest of the row is not pad_token_id: compared with the base."""
    base = llama(12, 0, layers=3, **({} if named else {"eos_token_id": 6})).double()
    settings = {"max_new_tokens": 20, "pad_token_id": 7} | ({"eos_token_id": 6} if named else {})
    theirs = base.generate(**padded(PROMPTS), do_sample=False, **settings)
    mine = decode((base, models[1]), rule=rules.Never(), **settings)
    assert mine.equal(theirs)
    assert (mine[:, 6:] == 6).any()
    assert (mine[:, 6:] == 7).any()


def test_the_proxys_end_of_text_counts_unless_the_call_names_one(models):
    """Fails when an aligned proxy says that it has done, and the text goes on."""
    proxy = gpt2(12, 1, eos_token_id=9).double()
    free = decode((models[0], proxy), rule=rules.Always(), eos_token_id=[11])
    ended = decode((models[0], proxy), rule=rules.Always())
    assert (free[:, 6:-1] == 9).any()
    for row in ended[:, 6:].tolist():
        assert 9 not in row or set(row[row.index(9) :]) == {9}


def test_sampling_follows_torchs_global_seed(models):
    """Fails when two calls share their numbers, or a seeded run cannot be repeated."""
    sampled = {"do_sample": True, "top_k": 0, "num_return_sequences": 4, "max_new_tokens": 20}
    transformers.set_seed(3)
    first, second = decode(models, **sampled), decode(models, **sampled)
    transformers.set_seed(3)
    assert decode(models, **sampled).equal(first)
    assert not second.equal(first)
    assert first.shape == (12, 26)
    assert len({tuple(row) for row in first.tolist()}) == 12
    cold = decode(models, do_sample=True, top_k=0, temperature=1e-6)
    assert cold.equal(decode(models))


def test_greedy_decoding_draws_no_seed(models):
    """Fails when a greedy call moves torch's generator, which transformers' own does not."""
    before = torch.get_rng_state()
    decode(models)
    assert torch.get_rng_state().equal(before)


def test_the_default_top_k_is_dropped_aloud(models):
    """Fails when transformers' own default stops every call that samples, or goes without a word."""
    with pytest.warns(UserWarning, match="default top_k=50 is not applied"):
        decode(models, do_sample=True)


GREEDY_SETTINGS = {
    "min_new_tokens": {"min_new_tokens": 5, "eos_token_id": 6},
    "min_length": {"min_length": 9, "eos_token_id": 6},
    "sequence_bias": {"sequence_bias": {(1,): 4.0, (6,): -9.0}},
    "bad_words_ids": {"bad_words_ids": [[1], [6]]},
    "an end as bad word": {"bad_words_ids": [[6]], "eos_token_id": 6, "suppress_tokens": [1]},
    "suppress_tokens": {"suppress_tokens": [1, 6, 99], "sequence_bias": {(2,): 3.0}},
}


@pytest.mark.parametrize("settings", GREEDY_SETTINGS.values(), ids=GREEDY_SETTINGS)
def test_settings_of_transformers_do_what_they_do_there(models, settings):
    """Fails when one is dropped, or means something else: under Never, compared with the base's own generate."""
    usual = {"max_new_tokens": 20, "pad_token_id": 7}
    theirs = models[0].generate(**padded(PROMPTS), do_sample=False, **usual, **settings)
    mine = decode(models, rule=rules.Never(), pair_tokenizer=word_tokenizer(12), **usual, **settings)
    assert mine.equal(theirs)
    without = models[0].generate(
        **padded(PROMPTS), do_sample=False, **usual, **{k: v for k, v in settings.items() if k == "eos_token_id"}
    )
    assert not without.equal(theirs)


def test_a_least_length_holds_the_proxys_end_back_too(models):
    """Fails when transformers, which knows of the base's ends alone, decides whether there is a least length."""
    proxy = gpt2(12, 1, eos_token_id=9).double()
    usual = {"rule": rules.Always(), "max_new_tokens": 20, "pad_token_id": 7}
    free = decode((models[0], proxy), **usual)[:, 6:]
    held = decode((models[0], proxy), min_new_tokens=15, **usual)[:, 6:]
    assert (free[:, :15] == 9).any()
    assert not (held[:, :15] == 9).any()


def test_a_text_ends_with_a_stop_string(models):
    """Fails when it goes on, or ends elsewhere than transformers ends it."""
    strings = ["lll", "jb"]
    # Without an end of text, transformers writes on in a row that has ended, until all have.
    usual = {"max_new_tokens": 20, "pad_token_id": 7, "eos_token_id": 8}
    theirs = models[0].generate(**padded(PROMPTS), do_sample=False, stop_strings=strings, tokenizer=letters(), **usual)
    stops = {"stopping_criteria": [StopStringCriteria(letters(), one) for one in strings], "pair_tokenizer": letters()}
    assert decode(models, rule=rules.Never(), **usual, **stops).equal(theirs)
    assert not decode(models, rule=rules.Never(), **usual).equal(theirs)


@pytest.mark.parametrize("cut", [{"top_k": 2}, {"top_k": 0, "top_p": 0.5}], ids=str)
def test_truncations_cut_both_laws(models, cut):
    """Fails when tokens come that the truncated law of the model that writes does not hold, or none is cut."""
    for model, rule in ((models[0], rules.Never()), (models[1], rules.Always())):
        out = decode(models, prompts=[[1, 2, 3]] * 200, rule=rule, do_sample=True, max_new_tokens=1, **cut)
        with torch.no_grad():
            law = model(torch.tensor([[1, 2, 3]])).logits[0, -1].softmax(-1)
        order = law.argsort(descending=True)
        n = cut["top_k"] or 1 + int((law[order].cumsum(0) < cut["top_p"]).sum())
        assert 1 < n < 12
        assert set(out[:, -1].tolist()) == set(order[:n].tolist())


def test_the_proxy_may_read_other_prompts(models):
    """Fails when they do not reach it, or are not repeated as the prompts are."""
    own = [[5, 1], [2, 2, 9, 1], [0]]
    pair = pa.ModelPair(*models, tokenizer=word_tokenizer(12))
    expected = pa.generate(
        pair, PROMPTS, rules.Dual(0.4), temperature=0, max_new_tokens=N_NEW, proxy_prompts=own
    ).token_ids
    assert decode(models, proxy_prompts=own)[:, 6:].tolist() == expected
    assert decode(models)[:, 6:].tolist() != expected
    repeated = decode(models, proxy_prompts=own, do_sample=True, top_k=0, temperature=1e-6, num_return_sequences=2)
    assert repeated[::2, 6:].tolist() == expected


def test_a_dictionary_is_returned_on_request(models):
    """Fails when return_dict_in_generate is ignored."""
    out = decode(models, return_dict_in_generate=True)
    assert isinstance(out, transformers.generation.GenerateDecoderOnlyOutput)
    assert out.sequences.equal(decode(models))


def test_a_tokenizer_cuts_padding_ids_and_lets_rules_read_words(models):
    """Fails when it does not arrive; also when it is bound beforehand."""
    words = word_tokenizer(5)
    cut = decode(models, pair_tokenizer=words, prompts=[[1, 2], [3]])
    assert int(cut.max()) < 5 or (cut == 5).sum() == 1  # 5 is the prompts' padding
    by_words = {"rule": rules.NudgingWords(0.4), "custom_generate": partial(pa.generate_kad, pair_tokenizer=words)}
    assert decode(models, **by_words, prompts=[[1, 2]]).shape == (1, 2 + N_NEW)


REFUSED = [
    ({"num_beams": 2}, "must decode greedily or sample, got settings for beam_search"),
    ({"prompt_lookup_num_tokens": 3}, "must decode greedily or sample, got settings for assisted_generation"),
    ({"do_sample": True, "top_k": 0, "min_p": 0.1}, "biases of single tokens make, got MinPLogitsWarper"),
    ({"repetition_penalty": 1.2}, "biases of single tokens make, got RepetitionPenaltyLogitsProcessor"),
    ({"sequence_bias": {(1, 2): -5.0}}, r"must be of single tokens, got one of the tokens \[1, 2\] in a row"),
    ({"stopping_criteria": [StopStringCriteria(letters(), "d")]}, r"\['d'\] and no pair_tokenizer"),
    ({"proxy_prompts": [[1]]}, "a list of token ids for each of the 3 prompts, got 1 lists"),
    ({"proxy_prompts": []}, "a list of token ids for each of the 3 prompts, got 0 lists"),
    ({"proxy_prompts": ["t1"] * 3}, "a list of token ids for each of the 3 prompts, got texts"),
    ({"logits_processor": [TopPLogitsWarper(0.5, min_tokens_to_keep=2)]}, "must have min_tokens_to_keep 1, got 2"),
    (
        {"logits_processor": [TopPLogitsWarper(0.5)], "do_sample": True, "top_k": 0, "temperature": 0.5},
        "once each and in this order, got TemperatureLogitsWarper after TopPLogitsWarper",
    ),
    (
        {"logits_processor": [TopKLogitsWarper(3)], "do_sample": True, "top_k": 2},
        "once each and in this order, got TopKLogitsWarper after TopKLogitsWarper",
    ),
    ({"max_time": 3.0}, "must be lengths, ends of text and stop strings, got MaxTimeCriteria"),
    (
        {"stopping_criteria": [lambda ids, scores: False]},
        "lengths, ends of text and stop strings, got function",
    ),
    ({"output_scores": True}, "output_scores must be False, got True"),
    ({"position_ids": torch.arange(6).expand(3, 6)}, "position_ids must count the tokens of each prompt from 0"),
    ({"output_router_logits": True}, "got output_router_logits too; leave it out"),
    ({"proxy": None}, "got no proxy; pass both to model.generate"),
    ({"rule": "dual"}, "got rule 'dual'; pass both to model.generate"),
    ({"rule": rules.NudgingWords(0.4)}, "reads what tokens spell, got no pair_tokenizer"),
    ({"mode": "beam"}, "mode must be autoregressive or speculative"),
    ({"max_new_tokens": 60}, r"must fit the models' context of 64 tokens, got 6 \+ 60"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_the_engine_does_not_do_is_refused(models, change, told):
    """Fails when a setting of transformers is dropped without a word."""
    with pytest.raises(InputError, match=told):
        decode(models, **change)


def test_a_cache_that_holds_text_is_refused(models):
    """Fails when the proxy would go on from a text that it has not read."""
    cache = transformers.DynamicCache()
    with torch.no_grad():
        models[0](torch.tensor([[1, 2]]), past_key_values=cache)
    with pytest.raises(InputError, match="past_key_values must be empty, got 2 tokens"):
        decode(models, prompts=[[1, 2, 3]], past_key_values=cache)


def test_an_end_of_minus_one_is_none():
    """Fails when what transformers takes for "never end" is refused."""
    pair = tiny_pair(llama, 10)
    settings = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "eos_token_id": -1}
    ids = torch.tensor([[1, 2, 3]])
    theirs = pair.base.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    kad = {"custom_generate": pa.generate_kad, "proxy": pair.proxy, "rule": rules.Never()}
    assert pair.base.generate(ids, attention_mask=torch.ones_like(ids), **kad, **settings).tolist() == theirs.tolist()


def test_embeddings_are_refused_in_a_sentence():
    """Fails when inputs that are no ids end in an error about shapes."""
    pair = tiny_pair(llama, 10, double=False)
    embedded = pair.base.get_input_embeddings()(torch.tensor([[1, 2, 3]]))
    with pytest.raises(InputError, match="must be input_ids and attention_mask, got inputs_embeds too"):
        pair.base.generate(
            inputs_embeds=embedded, custom_generate=pa.generate_kad, proxy=pair.proxy, rule=rules.Never(),
            do_sample=False, max_new_tokens=4, pad_token_id=0,
        )  # fmt: skip
