"""A GGUF file out of packages becomes a checkpoint that computes what the file's model did, and is kept."""

import json
import os

import pytest
import torch
from tiny_gguf import install, write_gemma3, write_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from proxyalign.errors import InputError
from proxyalign.models import converted as conversion
from proxyalign.models.converted import converted
from proxyalign.models.gguf_package import GGUFPackage

pytest.importorskip("gguf", reason="the package gguf writes the files")
pytest.importorskip("accelerate", reason="transformers reads GGUF files with accelerate")

GEMMA = GGUFPackage(model="gemma", packages=("tiny-gemma-part1", "tiny-gemma-part2"), install="pip install tiny-gemma")
SMOL = GGUFPackage(model="smol", packages=("tiny-smol",), install="pip install tiny-smol", splits_digits=True)
TEXT = "hello  ab\n\n<b>é a ab 1 hello abcd"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where packages are installed; the cache folder is another."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PROXYALIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def install_gemma(site, seed=0):
    model = write_gemma3(site / "whole", seed)
    content = (site / "whole").read_bytes()
    for number, part in enumerate((content[:5000], content[5000:])):
        install(site, GEMMA.packages[number], {f"tiny.gguf.part{number:02}": part})
    return model


def install_smol(site):
    model = write_llama(site / "whole")
    install(site, "tiny-smol", {"tiny.gguf": (site / "whole").read_bytes()})
    return model


def loaded(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(("package", "put"), [(GEMMA, install_gemma), (SMOL, install_smol)], ids=["gemma3", "llama"])
def test_a_checkpoint_has_the_weights_and_the_law_of_its_file(site, package, put):
    """Fails when a norm keeps Gemma's 1, a window, a base of positions or the order of a head's rows is lost, or the
    numbers are rounded: every weight and every logit, further back than a window reads, is the written model's."""
    written = put(site)
    model, tokenizer = loaded(converted("owner", package))
    assert not hasattr(model.config, "quantization_config")
    weights, expected = model.state_dict(), written.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    assert ids.shape[1] > 12
    with torch.no_grad():
        assert torch.equal(model(ids).logits, written(ids).logits)


def test_gemmas_tokenizer_reads_pieces_bytes_and_runs(site):
    """Fails when a start token or a dummy blank is added or lost, or a run of line feeds or a tag falls into bytes."""
    install_gemma(site)
    _, tokenizer = loaded(converted("owner", GEMMA))
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(TEXT)["input_ids"])
    assert tokens[:11] == ["<bos>", "hello", "▁▁", "ab", "\n\n", "<b>", "<0xC3>", "<0xA9>", "▁a", "▁ab", "▁"]
    assert tokenizer.decode(tokenizer(TEXT, add_special_tokens=False)["input_ids"]) == TEXT
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 1, 0)


def test_smollms_tokenizer_reads_each_digit_by_itself(site):
    """Fails when blanks before a digit are split as GPT-2's pattern does, or the template of chats is lost."""
    install_smol(site)
    model, tokenizer = loaded(converted("owner", SMOL))
    spelled = tokenizer.convert_ids_to_tokens(tokenizer("a\n\n1  2")["input_ids"])
    assert spelled == ["a", "ĊĊ", "1", "ĠĠ", "2"]
    assert tokenizer.apply_chat_template([{"content": "a"}], tokenize=False) == "<|im_start|>a<|im_end|>"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 2


def test_a_file_is_read_once(site, monkeypatch, capsys):
    """Fails when the second load converts again, another file of the same name is taken for the first, or transformers'
    own bars come between."""
    install_gemma(site)
    folder = converted("owner", GEMMA)
    said = capsys.readouterr()
    assert said.out == ""
    assert "kept for the next time" in said.err
    assert "GGUF tensors" not in said.err
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "load_model", lambda *_, **__: pytest.fail("the file was read again"))
        assert converted("owner", GEMMA) == folder
    install_gemma(site, seed=1)
    other = converted("owner", GEMMA)
    assert other != folder
    monkeypatch.setattr("transformers.__version__", "5.99")
    assert converted("owner", GEMMA) not in (folder, other)


def test_a_damaged_checkpoint_is_converted_again(site):
    """Fails when weights of which a byte changed on the disk are loaded."""
    install_smol(site)
    weights = converted("owner", SMOL) / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    converted("owner", SMOL)
    assert weights.read_bytes() == content


def test_a_file_that_cannot_be_read_leaves_nothing(site):
    """Fails when another kind of file ends in a traceback, or in a folder that is taken for a checkpoint."""
    install(site, "tiny-smol", {"tiny.gguf": b"GGUF but no more"})
    with pytest.raises(InputError, match=r"^owner: the GGUF file of model smol must .*it says: .*\)$"):
        converted("owner", SMOL)
    assert os.listdir(site / "cache") == [".lock"]


def test_a_cached_checkpoint_needs_no_reader_of_gguf_files(site, monkeypatch):
    """Fails when what only the conversion needs is asked for at each load."""
    install_smol(site)
    folder = converted("owner", SMOL)
    monkeypatch.setattr("proxyalign.models.gguf_package.READERS", ("a_reader_that_is_not_there",))
    assert converted("owner", SMOL) == folder
    (folder / "files.json").write_text(json.dumps({"gone": ""}))
    with pytest.raises(InputError, match=r"owner: a_reader_that_is_not_there must be installed to read tiny"):
        converted("owner", SMOL)
