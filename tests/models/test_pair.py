"""Pairs: what two models must have in common, what is cut off, what ends a text, and whose template counts."""

import pytest
import torch
import transformers
from tiny_models import llama, tiny_pair, word_tokenizer
from tokenizers.processors import TemplateProcessing

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair, load_pair


def save(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_chats_are_written_in_the_proxys_template(tmp_path):
    """Fails when the base's template is taken, an answer is not opened or not gone on with, or none is no mistake."""
    for role, template in (("base", None), ("proxy", "{% for m in messages %}t1 {{ m.content }} {% endfor %}t2")):
        tokenizer = word_tokenizer(10)
        tokenizer.chat_template = template
        save(tmp_path / role, llama(10, 0), tokenizer)
    pair = load_pair(str(tmp_path), offline=True)
    assert pair.chat_text("t5") == "t1 t5 t2"
    assert pair.chat("t5") == [1, 5, 2]
    assert pair.chat([{"role": "user", "content": "t5"}, {"role": "user", "content": "t6"}]) == [1, 5, 1, 6, 2]
    begun = [{"role": "user", "content": "t5"}, {"role": "assistant", "content": "t6"}]
    assert pair.chat_text(begun, goes_on=True) == "t1 t5 t1 t6"
    pair.proxy_tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InputError, match=r"must take the messages, got user and assistant.*roles must alternate"):
        pair.chat(begun)
    with pytest.raises(InputError, match="tokenizer must have a chat template, got none"):
        ModelPair(pair.base, pair.proxy, pair.tokenizer).chat("t5")


def test_a_text_gets_no_second_first_token():
    """Fails when what a chat template wrote begins with two of them, or with one that it did not write."""
    tokenizer = word_tokenizer(10, bos_token="t9")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="t9 $A", special_tokens=[("t9", 9)])
    pair = ModelPair(llama(10, 0), llama(10, 1), tokenizer)
    assert pair.encode("t1 t2") == pair.encode("t9 t1 t2") == [9, 1, 2]
    for template, ids in (("t9 {{ messages[0].content }}", [9, 1]), ("t7 {{ messages[0].content }}", [7, 1])):
        tokenizer.chat_template = template
        assert pair.chat("t1") == ids


def widened(model, width):
    """The model with columns of padding, which it likes best of all."""
    torch.manual_seed(0)
    wide = type(model)(type(model.config)(**(model.config.to_dict() | {"vocab_size": width})))
    weights = model.state_dict()
    for name, value in wide.state_dict().items():
        value[: weights[name].shape[0]] = weights[name]
    with torch.no_grad():
        wide.get_output_embeddings().weight[model.config.vocab_size :] = 9.0
    return wide.double()


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_padding_columns_are_cut_off_and_the_rest_renormalised(mode):
    """Fails when a padding id can be sampled, or its mass is missing: greedy and sampled answers do not change."""
    narrow = tiny_pair(llama, 10)
    padded = ModelPair(base=widened(narrow.base, 16), proxy=widened(narrow.proxy, 12), tokenizer=narrow.tokenizer)
    assert padded.vocab_size == 10
    for temperature in (0, 1):
        settings = {"mode": mode, "temperature": temperature, "max_new_tokens": 10, "num_return_sequences": 4}
        mine, theirs = (generate(pair, [[1, 2]], rules.Dual(0.3), **settings) for pair in (padded, narrow))
        assert mine.token_ids == theirs.token_ids
        assert mine.traces[0].p_y == pytest.approx(theirs.traces[0].p_y)


def test_a_model_that_misses_tokens_is_refused():
    """Fails when a proxy that cannot give the tokenizer's last tokens is cut to the rest in silence."""
    with pytest.raises(InputError, match="share the tokenizer's 10 tokens, got vocabularies of base 10, proxy 8"):
        ModelPair(base=llama(10, 0), proxy=llama(8, 1), tokenizer=word_tokenizer(10))


def test_a_recurrent_model_is_refused():
    """Fails when a state that no crop can take back would be decoded from."""
    config = transformers.MambaConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1)
    mamba = transformers.MambaForCausalLM(config)
    with pytest.raises(InputError, match="proxy must be a decoder of full or sliding attention"):
        ModelPair(base=llama(10, 0), proxy=mamba, tokenizer=word_tokenizer(10))


def test_every_end_of_text_counts():
    """Fails when a text goes on after an end that one of the models or the tokenizer knows."""
    pair = ModelPair(
        base=llama(10, 0, eos_token_id=[3, 700]),
        proxy=llama(10, 1, eos_token_id=4),
        tokenizer=word_tokenizer(10, eos_token="t5"),
    )
    assert pair.eos_token_ids == (3, 4, 5)


@pytest.mark.parametrize("role", ["base", "proxy", "reference"])
@pytest.mark.parametrize("where", ["settings", "configuration", "none"])
def test_the_end_of_every_tokenizer_and_every_model_counts_after_loading(tmp_path, role, where):
    """Fails when an end is known to one file of one role alone and a text goes on after it."""
    for each in ("base", "proxy", "reference"):
        is_it = each == role
        model = llama(10, 0, eos_token_id=3 if where == "configuration" and is_it else None)
        model.generation_config.eos_token_id = [4, 5] if where == "settings" and is_it else None
        save(tmp_path / each, model, word_tokenizer(10, eos_token="t6" if is_it else "t7"))
        if where == "configuration":
            (tmp_path / each / "generation_config.json").unlink()
    sources = {each: tmp_path / each for each in ("base", "proxy", "reference")}
    ends = {"settings": (4, 5), "configuration": (3,), "none": ()}[where]
    assert load_pair(**sources, offline=True).eos_token_ids == (*ends, 6, 7)


def test_a_configuration_names_the_end_where_the_settings_name_none():
    """Fails when settings without an end hide that of the configuration, or settings with one do not come first."""
    models = [llama(10, seed, eos_token_id=[2, 3]) for seed in range(2)]
    models[0].generation_config.eos_token_id = None
    models[1].generation_config.eos_token_id = torch.tensor([5])
    assert ModelPair(*models, word_tokenizer(10)).eos_token_ids == (2, 3, 5)
    models[0].generation_config = None  # as a model of one's own may have it
    assert ModelPair(*models, word_tokenizer(10)).eos_token_ids == (2, 3, 5)
