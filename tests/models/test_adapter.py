"""Adapters as models of a pair: added to the weights of the model that they name, or told why they cannot be."""

import json

import pytest
import torch
from tiny_models import llama, word_tokenizer

from proxyalign.errors import InputError
from proxyalign.models import load_pair
from proxyalign.models.adapter import find_adapter

peft = pytest.importorskip("peft")
IDS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def sources(tmp_path):
    """A base, a parent, and a LoRA adapter of the parent whose change is not zero, without a tokenizer."""
    for name, seed in (("base", 0), ("parent", 1)):
        llama(10, seed, layers=2, width=64).save_pretrained(tmp_path / name)
        word_tokenizer(10, eos_token="t9").save_pretrained(tmp_path / name)
    parent = llama(10, 1, layers=2, width=64)
    parent.name_or_path = str(tmp_path / "parent")
    torch.manual_seed(2)
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False
    )
    adapted = peft.get_peft_model(parent, settings)
    adapted.save_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        expected = adapted.eval()(IDS).logits
    return tmp_path, expected


def load(folder, **options):
    return load_pair(base=folder / "base", proxy=folder / "adapter", dtype="float32", offline=True, **options)


def change(folder, **entries):
    path = folder / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_the_proxy_may_be_an_adapter(sources):
    """Fails when its change is left out or stays beside the weights, or its tokenizer is not its parent's."""
    folder, expected = sources
    pair = load(folder)
    assert type(pair.proxy).__name__ == "LlamaForCausalLM"
    assert not any("lora" in name for name, _ in pair.proxy.named_modules())  # merged: a pass costs no more
    assert not any(weight.requires_grad for weight in pair.proxy.parameters())
    torch.testing.assert_close(pair.proxy(IDS).logits, expected)
    assert (pair.proxy(IDS).logits - llama(10, 1, layers=2, width=64)(IDS).logits).abs().max() > 0.01
    assert pair.proxy_tokenizer.name_or_path == str(folder / "parent")


def test_an_adapter_s_own_tokenizer_counts(sources):
    """Fails when the chat template that came with the training of an adapter is lost."""
    folder, _ = sources
    own = word_tokenizer(10, eos_token="t9")
    own.chat_template = "{{ messages[0].content }} t5"
    own.save_pretrained(folder / "adapter")
    assert load(folder).chat_text("t1") == "t1 t5"


def test_an_adapter_of_packed_weights_stays_beside_them(sources):
    """Fails when packed weights are unpacked and rounded anew to take in the change."""
    pytest.importorskip("bitsandbytes")
    folder, expected = sources
    pair = load(folder, bits={"proxy": 4})
    assert type(pair.proxy).__name__ == "PeftModelForCausalLM"
    assert (pair.proxy(IDS).logits - expected).abs().mean() < expected.abs().mean()


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"base_model_name_or_path": None}, "must name the model that it was trained on, got no base_model_name"),
        ({"base_model_name_or_path": "/no/such"}, "'/no/such' is not a folder"),
        ({"peft_type": "NONSENSE"}, "must hold an adapter that peft can read"),
        ({"target_modules": ["nowhere"]}, "must fit its model .*, got one that does not; .*peft says"),
        ({"r": 3}, "must fit its model .*, got one that does not"),
        ({"target_modules": ["q_proj", "up_proj", "down_proj"]}, "must hold every weight that its adapter"),
        (
            {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2},
            "must change weights, as LoRA does, got PROMPT_TUNING",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_that_cannot_be_used_is_told_in_a_sentence(sources, entries, told):
    """Fails when a half adapter passes for a whole one, or peft's own error reaches the caller."""
    folder, _ = sources
    change(folder, **entries)
    with pytest.raises(InputError, match=f"^load_pair: .*{told}") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_an_adapter_without_weights_or_without_peft_is_told(sources, monkeypatch):
    """Fails when either ends in a traceback."""
    folder, _ = sources
    with monkeypatch.context() as patched:
        patched.setitem(__import__("sys").modules, "peft", None)
        with pytest.raises(InputError, match="holds an adapter, which peft must be installed to read"):
            load(folder)
    (folder / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"must hold an adapter's weights, got no adapter_model\.safetensors"):
        load(folder)


def test_a_whole_model_is_no_adapter(sources):
    """Fails when a model is asked for another one to belong to."""
    folder, _ = sources
    for source in (folder / "base", "/no/such/folder", "nobody/nothing"):
        assert find_adapter("owner", str(source), True, revision=None, subfolder="") is None
