"""Pairs: what two models must have in common, what is cut off, and how a checkpoint that is not there is told."""

import pytest
import torch
import transformers
from tiny_models import gpt2, llama, tiny_pair, word_tokenizer
from tokenizers.processors import TemplateProcessing

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair, load_pair

PROCESSOR = ["_is_avx512_bf16_supported", "_is_amx_tile_supported"]  # what torch can be asked about it


def save(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A saved pair: base/ and proxy/, of two architectures over one vocabulary, the proxy in half precision."""
    where = tmp_path_factory.mktemp("pair")
    save(where / "base", llama(10, 0, layers=2), word_tokenizer(10, eos_token="t9"))
    save(where / "proxy", gpt2(10, 1, layers=1, context=32).half(), word_tokenizer(10, eos_token="t9"))
    return where


def test_a_saved_pair_loads_from_its_folder_or_its_parts(folder, monkeypatch):
    """Fails when a pair's folder is not a name, half precision stays half on a plain CPU, or weights keep gradients."""
    for question in PROCESSOR:
        monkeypatch.setattr(torch.cpu, question, lambda: False)
    for pair in (
        load_pair(str(folder), offline=True),
        load_pair(base=folder / "base", proxy=folder / "proxy", offline=True),
    ):
        assert type(pair.base).__name__ == "LlamaForCausalLM"
        assert type(pair.proxy).__name__ == "GPT2LMHeadModel"
        for model in (pair.base, pair.proxy):
            assert not model.training
            assert {(w.dtype, w.requires_grad) for w in model.parameters()} == {(torch.float32, False)}
        assert pair.vocab_size == 10
        assert pair.eos_token_ids == (9,)
        assert pair.context_length == 32
        assert pair.device == torch.device("cpu")
        assert len(generate(pair, ["t1 t2"], rules.Dual(0.3), max_new_tokens=4).texts) == 1


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


def test_a_dtype_may_be_chosen(folder):
    """Fails when the models ignore it."""
    assert load_pair(str(folder), dtype="float64", offline=True).base.dtype == torch.float64
    assert load_pair(str(folder), dtype=torch.bfloat16, offline=True).proxy.dtype == torch.bfloat16


@pytest.mark.parametrize("has", [*PROCESSOR, None])
def test_the_dtype_follows_the_processor_but_for_named_pairs(folder, monkeypatch, has):
    """Fails when a CPU without bfloat16 gets it, one with it does not, or a named pair does."""
    for question in PROCESSOR:
        monkeypatch.setattr(torch.cpu, question, lambda answer=question == has: answer)
    pair = load_pair(base=folder / "base", proxy=folder / "proxy", offline=True)
    expected = torch.bfloat16 if has else torch.float32
    assert {pair.base.dtype, pair.proxy.dtype} == {expected}
    answer = generate(pair, ["t1 t2"], rules.Dual(0.3), max_new_tokens=4, distributions=True)
    assert answer.traces[0].distributions.sum(1) == pytest.approx(1.0, abs=1e-6)  # float32, whatever the weights are
    assert {model.dtype for name in ("lab", str(folder)) for model in _models(load_pair(name, offline=True))} == {
        torch.float32
    }


def test_a_torch_without_the_question_gives_float32(folder, monkeypatch):
    """Fails when loading breaks on a release that cannot be asked about the processor."""
    for question in PROCESSOR:
        monkeypatch.delattr(torch.cpu, question, raising=False)
    assert load_pair(base=folder / "base", proxy=folder / "proxy", offline=True).base.dtype == torch.float32


def _models(pair):
    return pair.base, pair.proxy


def test_vocabularies_that_differ_are_told_by_their_first_tokens(folder, tmp_path):
    """Fails when equal sizes pass for equal vocabularies."""
    other = word_tokenizer(10)
    swapped = other.backend_tokenizer.to_str().replace('"t3":3', '"x":3').replace('"t7":7', '"t3":7')
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=type(other.backend_tokenizer).from_str(swapped), eos_token="t9"
    )
    save(tmp_path / "proxy", gpt2(10, 1, layers=1), tokenizer)
    with pytest.raises(InputError) as told:
        load_pair(base=folder / "base", proxy=tmp_path / "proxy", offline=True)
    assert "2 ids that differ (id 3: base 't3', proxy 'x', id 7: base 't7', proxy 't3')" in str(told.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "labb"}, "name must be lab, or a folder with base/ and proxy/ in it, got 'labb'"),
        ({"name": "lab", "base": "x"}, "name or base and proxy must be given, not both"),
        ({"base": "x"}, "base and proxy must both be given, got no proxy"),
        ({"proxy": "x"}, "base and proxy must both be given, got no base"),
        ({}, "base and proxy must both be given, got no base"),
        ({"base": "/no/such/folder", "proxy": "x"}, "'/no/such/folder' is not a folder"),
        (
            {"base": "nobody/nothing", "proxy": "x"},
            "'nobody/nothing' holds no checkpoint that can be read on this machine",
        ),
        ({"name": "lab", "dtype": "int8"}, "dtype must be auto, float32"),
    ],
)
def test_a_source_that_cannot_be_used_is_told_in_a_sentence(arguments, told):
    """Fails when transformers' own pages of advice reach the user, or a hub is asked although offline."""
    with pytest.raises(InputError, match=told) as error:
        load_pair(**arguments, offline=True)
    assert "\n" not in str(error.value)


def test_a_folder_that_holds_no_model_is_told(tmp_path):
    """Fails when an empty folder ends in a traceback."""
    for part in ("base", "proxy"):
        (tmp_path / part).mkdir()
    with pytest.raises(InputError, match="holds no checkpoint that can be read"):
        load_pair(str(tmp_path), offline=True)


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


def test_models_on_several_devices_are_refused():
    """Fails when torch tells of it in the middle of the first pass."""
    with pytest.raises(InputError, match="must be on one device, got base on cpu, proxy on meta; move them"):
        ModelPair(base=llama(10, 0), proxy=llama(10, 1).to("meta"), tokenizer=word_tokenizer(10))


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
