"""The weights that ship: small, half precision, plain checkpoints, and made by the recipe that the code holds."""

import json

import pytest
from safetensors import safe_open

from proxyalign.models.lab import WEIGHTS
from proxyalign.models.lab.train import _plain


def test_both_models_and_the_tokenizer_are_under_25_megabytes():
    """Fails when a checkpoint, an optimizer's state or a second copy is shipped with the weights."""
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6
    assert {path.suffix for path in files} == {".json", ".safetensors"}


def test_the_shipped_pair_was_made_by_the_full_preset(shipped, full):
    """Fails when the recipe was changed after the weights were trained."""
    assert shipped["finished"]
    assert shipped["recipe"] == _plain(full)


@pytest.mark.parametrize("role", ["base", "proxy"])
def test_a_model_is_a_plain_checkpoint_in_half_precision(role, shipped):
    """Fails when a folder needs this package to be read, or is twice as large as it should be."""
    with safe_open(WEIGHTS / role / "model.safetensors", "pt") as weights:
        tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118 (not a dictionary)
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"torch.float16"}
    assert sum(tensor.numel() for tensor in tensors.values()) == shipped["parameters"][role]
    config = json.loads((WEIGHTS / role / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["eos_token_id"] == 0
    assert (WEIGHTS / role / "tokenizer.json").read_bytes() == (WEIGHTS / "base" / "tokenizer.json").read_bytes()
