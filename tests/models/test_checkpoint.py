"""Checkpoints: every weight comes from the file or none does, and what is wrong with a file is told in a sentence."""

import json
import os

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import gpt2, llama, word_tokenizer

from proxyalign.errors import InputError
from proxyalign.models import load_pair
from proxyalign.models.causal import load_causal
from proxyalign.models.checkpoint import load_model, load_tokenizer

N_TOKENS = 10
LAYER = "model.layers.1.mlp"
SCALES = {f"{LAYER}.up_proj.weight_scale": torch.ones(1)}


def save(folder, model):
    model.save_pretrained(folder)
    word_tokenizer(N_TOKENS).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A Llama of two layers with its tokenizer."""
    return save(tmp_path / "model", llama(N_TOKENS, 0))


def set_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def set_weights(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def drop(part):
    return lambda folder: set_weights(folder, lambda all_: {k: v for k, v in all_.items() if part not in k})


def add(weights):
    return lambda folder: set_weights(folder, lambda all_: all_ | weights)


def config(**changes):
    return lambda folder: set_config(folder, **changes)


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-50])


def remove(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def told(source, pattern, load=load_model):
    with pytest.raises(InputError, match=pattern) as error:
        load("owner", str(source), True)
    assert str(error.value).startswith("owner: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (drop("layers.1.mlp"), f"must hold every weight .*none for {LAYER}.down_proj.weight, .*up_proj.weight; copy"),
        (drop("lm_head"), "none for lm_head.weight; copy"),
        (drop("layers"), "none for .* and 15 more; copy"),
        (config(num_hidden_layers=3), "none for model.layers.2.input_layernorm.weight, .* and 6 more; copy"),
        (config(attention_bias=True), "none for model.layers.0.self_attn.k_proj.bias"),
        (config(hidden_size=32), r"of the shapes .*got \(10, 16\) in place of \(10, 32\) for lm_head.weight"),
        (config(vocab_size=12), r"got \(10, 16\) in place of \(12, 16\) for lm_head.weight \(2 such weights\)"),
        (config(num_hidden_layers=1), "no weights beyond .*got model.layers.1.input_layernorm.weight.* and 6 more"),
        (add({f"{LAYER}.up_proj.bias": torch.ones(32)}), f"got {LAYER}.up_proj.bias, which LlamaForCausalLM would"),
        (add({f"{LAYER}.up_proj.lora_A.default.weight": torch.ones(2, 16)}), "lora_A.default.weight, which"),
        (add(SCALES), "up_proj.weight_scale, which"),
    ],
)
def test_weights_that_are_not_the_models_are_told_by_name(folder, change, pattern):
    """Fails when transformers fills a weight at random, or leaves one out, without a word."""
    change(folder)
    told(folder, pattern)


def test_weights_that_the_model_does_not_miss_are_no_mistake(folder, caplog):
    """Fails for tied heads, other tasks' heads, and buffers that old releases saved; nor is a table logged."""
    set_config(folder, tie_word_embeddings=True)
    drop("lm_head")(folder)
    add({"score.weight": torch.ones(2, 16), "v_head.summary.weight": torch.ones(1, 16)})(folder)
    add({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})(folder)
    model = load_model("owner", str(folder), True)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert "LOAD REPORT" not in caplog.text


def test_the_masks_and_names_of_old_gpt2_files_are_no_mistake(tmp_path):
    """Fails when a file without the model's prefix, but with its masks, is refused, or one with a layer more is not."""
    folder = save(tmp_path / "old", gpt2(N_TOKENS, 0))
    bare = {"wte.weight": torch.ones(N_TOKENS, 16)}

    def old(weights):
        named = {name.removeprefix("transformer."): value for name, value in weights.items() if "lm_head" not in name}
        return named | {"h.0.attn.bias": torch.ones(1, 1, 64, 64), "h.0.attn.masked_bias": torch.ones(())} | bare

    set_weights(folder, old)
    assert load_model("owner", str(folder), True).lm_head.weight.eq(1).all()
    set_config(folder, n_layer=1)
    told(folder, r"no weights beyond .*h\.1\.attn")


@pytest.mark.parametrize("role", ["base", "proxy", "reference"])
def test_every_role_must_have_its_weights(tmp_path, role):
    """Fails when one of the loaders fills up what is missing."""
    sources = {each: save(tmp_path / each, llama(N_TOKENS, 0)) for each in ("base", "proxy", "reference")}
    drop("layers.1")(sources[role])
    with pytest.raises(InputError, match=rf"load_pair: '.*{role}' must hold every weight"):
        load_pair(**sources, offline=True)
    with pytest.raises(InputError, match=r"load_causal: .* must hold every weight"):
        load_causal(str(sources[role]), offline=True)


def only_config(kind):
    """Leaves the folder without a tokenizer, its configuration that of an architecture."""

    def change(folder):
        remove("tokenizer.json", "tokenizer_config.json")(folder)
        write("config.json", json.dumps({"model_type": kind}).encode())(folder)

    return change


EMPTY = ("gpt2", "qwen2", "opt", "bert", "gemma", "gpt_neox")  # whose tokenizers transformers makes of nothing
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 9\n"


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (write("model.safetensors", POINTER), "Git LFS pointer for .*model.safetensors'; run git lfs pull"),
        (write("tokenizer.json", POINTER), "Git LFS pointer for .*tokenizer.json'"),
        (cut("model.safetensors"), "no checkpoint that can be read.*SafetensorError: .*incomplete"),
        (write("model.safetensors", b""), "no checkpoint that can be read.*SafetensorError"),
        (remove("model.safetensors"), "no checkpoint that can be read.*no file named model.safetensors"),
        (remove("config.json"), "no checkpoint that can be read"),
        (write("config.json", b"{nope"), "config.json' must be JSON"),
        (write("config.json", b"\xff\xfe"), "config.json' must be JSON"),
        (write("config.json", b"[1]"), "config.json' must hold a JSON object, got list"),
        (write("generation_config.json", b"{"), "generation_config.json' must be JSON"),
        (write("model.safetensors.index.json", b""), "index.json' must be JSON"),
        (config(model_type="zork"), "model type `zork`"),
        (config(model_type="t5"), "T5Config"),
        (config(hidden_size="many"), "'hidden_size': TypeError: Field 'hidden_size' expected int, got str"),
        (config(num_attention_heads=3), "is not a multiple of the number of attention heads"),
        (config(hidden_act="zork"), "KeyError: 'zork'"),
        (config(quantization_config={"quant_method": "gptq", "bits": 4}), "requires optimum"),
        (config(auto_map={"AutoConfig": "a.B"}, model_type="zork"), "trust_remote_code must be True for"),
        (write("adapter_config.json", b"{}"), "holds an adapter, which peft must be installed to read"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_files_that_cannot_be_read_are_told_in_a_sentence(folder, monkeypatch, change, pattern):
    """Fails when a library's own error reaches the caller, a broken file is passed over, or a question is asked."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("proxyalign.models.checkpoint.util.find_spec", lambda name: None)
    change(folder)
    told(folder, pattern)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (remove("tokenizer.json"), "no checkpoint that can be read"),
        (cut("tokenizer.json"), "AutoTokenizer says: JSONDecodeError"),
        (write("tokenizer.json", b"{}"), "AutoTokenizer says: KeyError: 'added_tokens'"),
        (write("tokenizer_config.json", b"{"), "tokenizer_config.json' must be JSON"),
        *((only_config(kind), "must hold a tokenizer, got one without words") for kind in EMPTY),
    ],
)
def test_tokenizers_that_are_none_are_told(folder, change, pattern):
    """Fails when transformers makes up an empty tokenizer for a folder that has none."""
    change(folder)
    told(folder, pattern, load_tokenizer)


def test_a_file_and_a_name_of_nothing_are_no_folder(folder, monkeypatch):
    """Fails when a path is taken for the name of a repository, or a home folder's sign is not read."""
    monkeypatch.chdir(folder.parent)
    for source in (folder / "config.json", "model/config.json", "./nowhere", "a/b/c"):
        told(source, f"'{source}' is not a folder; pass the folder")
    monkeypatch.setenv("HOME", str(folder.parent))
    assert type(load_model("owner", "~/model", True)).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize("closed", [".", "model.safetensors"])
def test_a_file_without_permission_is_told(folder, monkeypatch, closed):
    """Fails when it is taken to be absent; the one who runs the tests may be allowed everything."""
    path = os.path.normpath(folder / closed)
    monkeypatch.setattr(os, "access", lambda asked, mode: os.fspath(asked) != path)
    told(folder, f"must be readable, got no permission for '{path}'; give it")


def test_a_lack_of_memory_is_no_mistake_of_the_caller(folder, monkeypatch):
    """Fails when it is told as a checkpoint that cannot be read."""

    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", exhausted)
    with pytest.raises(MemoryError):
        load_model("owner", str(folder), True)
