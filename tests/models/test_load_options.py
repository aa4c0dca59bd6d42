"""What may be asked of each checkpoint: it reaches the model it is meant for, and what cannot be is told."""

import pytest
import torch
from tiny_models import gpt2, llama, word_tokenizer

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import load_pair
from proxyalign.models.options import Options, options_by_role

CODE = """
from transformers import LlamaConfig, LlamaForCausalLM
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def save(folder, model, n_tokens=10):
    model.save_pretrained(folder)
    word_tokenizer(n_tokens, eos_token="t9").save_pretrained(folder)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A base and a proxy in folders of their own, wide enough to be packed."""
    where = tmp_path_factory.mktemp("sources")
    save(where / "base", llama(10, 0, layers=2, width=64))
    save(where / "proxy", gpt2(10, 1, layers=1))
    return {"base": where / "base", "proxy": where / "proxy", "offline": True}


def answers(pair):
    return generate(pair, ["t1 t2", "t3"], rules.Dual(0.3), max_new_tokens=6).token_ids


def test_an_option_is_all_models_or_the_named_ones():
    """Fails when a role's own value reaches another, or the proxy is split where tensor parallel is asked for."""
    given = {"revision": "v1", "dtype": {"proxy": "float64"}, "subfolder": {"base": "a", "reference": "b"}}
    found = options_by_role(("base", "proxy", "reference"), given)
    assert found == {
        "base": Options(revision="v1", subfolder="a"),
        "proxy": Options(revision="v1", dtype="float64"),
        "reference": Options(revision="v1", subfolder="b"),
    }


def test_tensor_parallel_is_the_base_s_alone_unless_roles_are_named(monkeypatch):
    """Fails when a small proxy is split over the processes unasked."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    split = {role: one.tp_plan for role, one in options_by_role(("base", "proxy"), {"tp_plan": "auto"}).items()}
    assert split == {"base": "auto", "proxy": None}
    both = options_by_role(("base", "proxy"), {"tp_plan": {"base": "auto", "proxy": "auto"}})
    assert {one.tp_plan for one in both.values()} == {"auto"}


def test_heads_that_cannot_be_shared_out_are_told_before_anything_is_read(sources, monkeypatch):
    """Fails when they come out as a shape that does not fit, in the first pass."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        InputError, match="must give each process whole heads, got num_key_value_heads 1 of the base for 2"
    ):
        load_pair(**sources, tp_plan="auto")


def test_each_model_may_have_its_own_dtype_and_place(sources):
    """Fails when one model's dtype or device is given to the other, or what was placed is moved again."""
    pair = load_pair(**sources, dtype={"base": "float64", "proxy": "float32"}, device={"base": "cpu"})
    assert (pair.base.dtype, pair.proxy.dtype) == (torch.float64, torch.float32)
    models = options_by_role(("base", "proxy"), {"device": {"proxy": "meta"}})
    assert [one.where().type for one in models.values()] == ["cpu", "meta"]


def test_a_checkpoint_may_lie_in_a_subfolder(sources):
    """Fails when the folder above is read, or is checked in the subfolder's place."""
    above = sources["base"].parent
    pair = load_pair(base=above, proxy=above, subfolder={"base": "base", "proxy": "proxy"}, offline=True)
    assert answers(pair) == answers(load_pair(**sources))
    with pytest.raises(InputError, match="nowhere' is not a folder"):
        load_pair(base=above, proxy=sources["proxy"], subfolder={"base": "nowhere"}, offline=True)


def test_code_of_a_checkpoint_runs_only_when_it_is_trusted(sources, tmp_path, monkeypatch):
    """Fails when a checkpoint's own code runs unasked, a question is asked, or trust does not reach the loader."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    save(tmp_path / "own", llama(10, 0, layers=1))
    config = (tmp_path / "own" / "config.json").read_text()
    named = (
        '"auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},\n "model_type": "own",'
    )
    (tmp_path / "own" / "config.json").write_text(config.replace('"model_type": "llama",', named))
    (tmp_path / "own" / "own.py").write_text(CODE)
    with pytest.raises(
        InputError, match=r"trust_remote_code must be True for .* code of its own, got False; read"
    ) as told:
        load_pair(base=tmp_path / "own", proxy=sources["proxy"], offline=True)
    assert "\n" not in str(told.value)
    pair = load_pair(base=tmp_path / "own", proxy=sources["proxy"], trust_remote_code={"base": True}, offline=True)
    assert type(pair.base).__name__ == "OwnModel"


def test_device_map_places_a_model_by_accelerate(sources):
    """Fails when it is not handed on, or the model is moved afterwards."""
    pytest.importorskip("accelerate")
    where = torch.accelerator.current_accelerator() or torch.device("cpu")
    pair = load_pair(**sources, device_map="auto", dtype="float32")
    assert (pair.base.device.type, pair.proxy.device.type) == (where.type, where.type)
    assert answers(pair) == answers(load_pair(**sources, dtype="float32"))


@pytest.mark.parametrize(("bits", "kind"), [(4, "Linear4bit"), (8, "Linear8bitLt")])
def test_weights_may_be_packed_in_bits(sources, bits, kind):
    """Fails when bits are not those of the model that they are asked for, or such a model cannot be decoded."""
    pytest.importorskip("bitsandbytes")
    pair = load_pair(**sources, bits={"base": bits}, dtype="float32")
    assert type(pair.base.model.layers[0].mlp.up_proj).__name__ == kind
    assert type(pair.proxy.transformer.h[0].mlp.c_fc).__name__ == "Conv1D"
    assert all(len(ids) == 6 or ids[-1] == 9 for ids in answers(pair))


@pytest.mark.parametrize(
    ("options", "package"), [({"bits": 4}, "bitsandbytes"), ({"device_map": "auto"}, "accelerate")]
)
def test_a_package_that_an_option_needs_is_named(sources, monkeypatch, options, package):
    """Fails when transformers' own page about it reaches the caller."""
    monkeypatch.setattr("proxyalign.models.options.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"load_pair: {package} must be installed for .*; run pip install {package}"):
        load_pair(**sources, **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"bits": 3}, "bits must be 4, 8 or left out, got 3"),
        ({"device_map": "balanced"}, "device_map must be 'auto' or left out, got 'balanced'"),
        ({"tp_plan": "auto"}, "tp_plan must be asked for by several processes, got one alone; start .* torchrun"),
        (
            {"tp_plan": {"base": "auto"}, "bits": 4},
            "tp_plan must stand without device_map and bits, got it beside bits",
        ),
        ({"device_map": "auto", "device": "meta"}, "device must be left out where device_map places the model"),
        ({"dtype": {"reference": "float32"}}, "dtype must name models that are loaded, base, proxy, got 'reference'"),
        ({"device": {"proxy": "nonsense"}}, "device must be one that torch can use on this machine"),
        ({"dtype": {"proxy": "int8"}}, "dtype must be auto, float32"),
        ({"revision": "v1"}, "revision must be left out for a folder, which has none, got 'v1'"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(sources, monkeypatch, options, told):
    """Fails when an option is passed over in silence, or ends in a library's own error."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(InputError, match=f"^load_pair: .*{told}") as error:
        load_pair(**sources, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options", [{"revision": "v1"}, {"bits": 8}, {"dtype": {"proxy": "float64"}}, {"reference": "x"}]
)
def test_a_pair_out_of_packages_takes_no_options_of_files(options):
    """Fails when an option is passed over where there is no checkpoint of files to read."""
    pytest.importorskip("bitsandbytes" if "bits" in options else "torch")
    with pytest.raises(InputError, match="the pair 'smol' takes a device and a dtype, the same for both models"):
        load_pair("smol", **options)
