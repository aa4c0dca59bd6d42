"""How large a checkpoint is: exactly what its files hold, what the hub says, or what was recorded, and told which."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from tiny_models import gpt2, llama

from proxyalign.errors import InputError
from proxyalign.models.sizes import Size, size_of

RECORD = {
    "parameters": 1000, "stored": "float32", "layers": 3, "kv_heads": 2, "head_dim": 8, "context": 99,
    "source": "a card",
}  # fmt: skip


@pytest.fixture
def online(monkeypatch):
    """A hub that answers with what is put into it, or raises it."""
    answer = {}

    def model_info(self, name, revision=None, files_metadata=False):
        assert files_metadata
        if isinstance(answer["info"], Exception):
            raise answer["info"]
        return answer["info"]

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    return answer


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("shards", [1, 3])
def test_a_folder_is_counted_exactly(tmp_path, make, shards):
    """Fails when a shard or a tensor is left out, or a tied weight is counted twice."""
    model = make(10, 0, layers=3)
    size = sum(weight.nbytes for weight in model.parameters())
    model.save_pretrained(tmp_path, max_shard_size=size if shards == 1 else size // shards)
    found = size_of("owner", str(tmp_path))
    assert found.n_parameters == sum(weight.numel() for weight in model.parameters())
    assert found.n_bytes == sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    kv_heads = 1 if make is llama else 2
    assert (found.n_layers, found.n_kv_heads, found.head_dim, found.context) == (3, kv_heads, 8, 64)
    assert (found.revision, found.commit, found.source) == ("-", None, "its files")


def test_bytes_follow_the_dtype():
    """Fails when keys are counted without values, or a cache is packed with the weights that it stands beside."""
    size = Size("x", "-", None, 1000, 0, n_layers=3, n_kv_heads=2, head_dim=8, context=None, source="")
    weights = [size.weights(dtype) for dtype in ("float64", "float32", "bfloat16", "8 bits", "4 bits")]
    assert weights == [8000, 4000, 2000, 1000, 500]
    assert [size.cache(5, dtype) for dtype in ("float32", "bfloat16", "4 bits")] == [1920, 960, 960]


def test_the_cache_of_a_model_has_the_bytes_that_are_said(tmp_path):
    """Fails when a head or a layer is left out of what a model keeps of each token."""
    import torch
    from transformers import DynamicCache

    model, cache = llama(10, 0, layers=3), DynamicCache()
    model.save_pretrained(tmp_path)
    model(input_ids=torch.zeros(2, 7, dtype=torch.int64), past_key_values=cache)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert size_of("owner", str(tmp_path)).cache(2 * 7, "float32") == held


def test_the_hub_is_asked_first_and_nothing_but_the_configuration_is_fetched(online, monkeypatch, tmp_path):
    """Fails when weights of another folder are counted, or the record is taken where the hub answers."""
    files = [("model-1.safetensors", 300), ("model-2.safetensors", 200), ("old/model.safetensors", 999), ("x.bin", 7)]
    siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in files]
    online["info"] = SimpleNamespace(sha="c0ffee", siblings=siblings, safetensors=SimpleNamespace(total=250))
    asked = []

    def load_config(owner, name, offline, **options):
        asked.append((name, offline, options))
        return llama(10, 0).config

    monkeypatch.setattr("proxyalign.models.sizes.load_config", load_config)
    found = size_of("owner", "org/model", revision="v1", recorded=RECORD)
    assert asked == [("org/model", False, {"subfolder": "", "revision": "v1"})]
    assert (found.revision, found.commit, found.source) == ("v1", "c0ffee", "the hub")
    assert (found.n_parameters, found.n_bytes, found.n_layers) == (250, 500, 2)


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_hub_the_record_counts_and_is_named(online, offline):
    """Fails when a missing network ends in a trace, or passes for an answer of the hub."""
    online["info"] = ConnectionError("no route\nat all")
    found = size_of("owner", "org/model", offline=offline, recorded=RECORD)
    reason = "no hub was asked" if offline else "the hub could not be asked: no route"
    assert found.source == f"the profile's record (a card), as {reason}"
    assert (found.n_parameters, found.n_bytes, found.n_layers, found.context) == (1000, 4000, 3, 99)
    with pytest.raises(InputError, match=f"^owner: the size of 'org/model' must be .* got none here .{reason}") as told:
        size_of("owner", "org/model", offline=offline)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("shut", ["page", "config"])
def test_a_gate_is_no_unknown_name(online, monkeypatch, shut):
    """Fails when a model whose terms one has yet to accept cannot be planned for although its size is recorded."""
    if shut == "page":
        online["info"] = GatedRepoError("403: accept the terms", response=SimpleNamespace(headers={}, request=None))
    else:
        siblings = [SimpleNamespace(rfilename="model.safetensors", size=1)]
        online["info"] = SimpleNamespace(sha="c0ffee", siblings=siblings, safetensors=SimpleNamespace(total=1))

        def load_config(*_, **__):
            raise InputError("owner: no config.json")

        monkeypatch.setattr("proxyalign.models.sizes.load_config", load_config)
    found = size_of("owner", "org/model", recorded=RECORD)
    assert found.source.startswith("the profile's record (a card), as the hub could not be asked: ")
    with pytest.raises(InputError, match="the size of 'org/model' must be in its files, on the hub or recorded"):
        size_of("owner", "org/model")


def test_a_name_that_the_hub_does_not_know_is_told_although_a_size_is_recorded(online):
    """Fails when a misspelt name is planned for as if it were there."""
    online["info"] = RepositoryNotFoundError("404: no such", response=SimpleNamespace(headers={}, request=None))
    with pytest.raises(InputError, match="'org/model' must be a folder or a name that the hub knows"):
        size_of("owner", "org/model", recorded=RECORD)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\2\0\0\0\0\0\0\0[]", b"\4\0\0\0\0\0\0\0null"])
def test_files_that_are_no_safetensors_are_told(tmp_path, content):
    """Fails when half a download is counted, or ends in a trace."""
    llama(10, 0).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="must be safetensors, got a file without their header"):
        size_of("owner", str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="must hold its weights as safetensors"):
        size_of("owner", str(tmp_path))
