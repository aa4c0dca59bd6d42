"""Loading: where a pair comes from, in which dtype, over one vocabulary, and how a source that is none is told."""

import pytest
import torch
from tiny_models import gpt2, llama, word_tokenizer

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import load_pair

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


def test_tokenizers_that_differ_are_handed_on_to_the_pair(folder, tmp_path, monkeypatch):
    """Fails when loading judges two vocabularies itself, or gives the pair one tokenizer for both models."""
    save(tmp_path / "proxy", gpt2(12, 1, layers=1), word_tokenizer(12, eos_token="t11"))
    monkeypatch.setattr("proxyalign.models.loading.ModelPair", lambda **given: given)
    given = load_pair(base=folder / "base", proxy=tmp_path / "proxy", reference=tmp_path / "proxy", offline=True)
    sizes = [len(given[name].get_vocab()) for name in ("tokenizer", "proxy_tokenizer", "reference_tokenizer")]
    assert sizes == [10, 12, 12]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "labb"}, "name must be lab, smol, gemma-smol, or a folder with base/ and proxy/ in it, got 'labb'"),
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
