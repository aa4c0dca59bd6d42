"""Models in wrappers: what they take, where they are and what they end with is found through each of them."""

import copy
import functools

import pytest
import torch
import transformers
from tiny_models import gpt2, llama, word_tokenizer

from proxyalign.errors import InputError
from proxyalign.models import ModelPair
from proxyalign.models.wrapped import config_of, device_of, end_ids_of, layers_of, logit_width, takes

N_TOKENS = 12


class Holder(torch.nn.Module):
    """Holds a model and passes calls on, but no attributes."""

    def __init__(self, model):
        super().__init__()
        self.held = model

    def forward(self, *args, **kwargs):
        return self.held(*args, **kwargs)


class Tuner(Holder):
    """Passes attributes on too."""

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.held, name)


class Adapter(Tuner):
    """As adapters do it: the model is two layers down, beside modules of the adapter's own."""

    def __init__(self, model):
        super().__init__(Tuner(model))
        self.prompts = torch.nn.ModuleDict({"default": torch.nn.Dropout()})

    def get_base_model(self):
        return self.held.held


class Logged(transformers.LlamaForCausalLM):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)


class Object:
    """No module: it is called itself."""

    def __init__(self, model):
        self.model = model

    def __call__(self, *args, **kwargs):
        return self.model(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.__dict__["model"], name)


def compiled(model):
    return torch.compile(model, backend="eager")


def with_forward(change):
    def apply(model):
        model.forward = change(model.forward)
        return model

    return apply


def passing_on(forward):
    return lambda *args, **kwargs: forward(*args, **kwargs)


def timed(forward):
    return functools.wraps(forward)(passing_on(forward))


def logged(model):
    model.__class__ = Logged
    return model


WRAPPERS = [
    lambda model: model, compiled, Holder, Tuner, Adapter, Object, logged, torch.nn.DataParallel,
    with_forward(passing_on), with_forward(timed), with_forward(compiled), with_forward(functools.partial),
    lambda model: compiled(Adapter(model)), lambda model: Adapter(compiled(model)), lambda model: Holder(Holder(model)),
]  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_wrapped_model_says_what_it_would_say_alone(wrap):
    """Fails when a pair cannot be made of it, or an argument that it passes on is taken not to be there."""
    model = llama(N_TOKENS, 0, eos_token_id=7, context=32)
    model.train()
    wrapped = wrap(model)
    assert [takes(wrapped, name) for name in ("position_ids", "logits_to_keep", "token_type_ids")] == [
        True,
        True,
        False,
    ]
    assert config_of(wrapped) is model.config
    assert device_of(wrapped) == torch.device("cpu")
    assert logit_width(wrapped) == N_TOKENS
    assert end_ids_of(wrapped) == [7]
    pair = ModelPair(wrapped, llama(N_TOKENS, 1), word_tokenizer(N_TOKENS))
    assert (pair.vocab_size, pair.eos_token_ids, pair.context_length) == (N_TOKENS, (7,), 32)
    assert not any(module.training for module in model.modules())
    model.train()
    with pair.evaluating():
        assert not any(module.training for layer in layers_of(wrapped)[1:] for module in layer.modules())
    assert all(module.training for module in model.modules())


def test_what_a_forward_does_not_pass_on_is_not_taken():
    """Fails when the classes below, or a wrapped model, are asked although the forward above takes no more."""

    class Narrow(transformers.LlamaForCausalLM):
        def forward(self, input_ids, past_key_values=None, use_cache=None):
            return super().forward(input_ids=input_ids, past_key_values=past_key_values, use_cache=use_cache)

    model = llama(N_TOKENS, 0)
    assert not takes(Narrow(model.config), "position_ids")
    assert not takes(Holder(Narrow(model.config)), "position_ids")
    bloom = transformers.BloomConfig(vocab_size=N_TOKENS, hidden_size=16, n_layer=1, n_head=2)
    assert not takes(transformers.BloomForCausalLM(bloom), "position_ids")
    assert takes(gpt2(N_TOKENS, 0), "position_ids")


def packed(model):
    """With a head whose weight is bytes in another shape, as four-bit quantisers keep it."""
    model.lm_head.weight = torch.nn.Parameter(torch.zeros(N_TOKENS * 8, 1, dtype=torch.uint8), requires_grad=False)
    return model


def in_two(model):
    model.lm_head = torch.nn.Sequential(torch.nn.Linear(16, 3), torch.nn.Linear(3, N_TOKENS))
    return model


def without_head(model):
    model.get_output_embeddings = lambda: None
    return model


def misnumbered(model):
    model.config.vocab_size = N_TOKENS + 1  # of which the model's own pass knows nothing
    return without_head(model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", [packed, in_two, without_head, misnumbered, "dynamic"])
def test_logits_are_counted_whatever_the_head_is(change):
    """Fails when a head without a plain weight, or none, stops a pair or is miscounted."""
    model = llama(N_TOKENS, 0)
    if change == "dynamic":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
        assert callable(model.lm_head.weight)
    else:
        model = change(model)
    assert logit_width(model) == N_TOKENS
    assert ModelPair(model, llama(N_TOKENS, 1), word_tokenizer(N_TOKENS)).vocab_size == N_TOKENS


def test_a_model_that_cannot_read_ids_has_as_many_logits_as_its_configuration_says():
    """Fails when the pass that is tried reaches the caller."""
    model = without_head(llama(N_TOKENS, 0))
    model.forward = lambda inputs_embeds: None
    assert logit_width(model) == N_TOKENS


def test_a_model_without_weights_of_its_own_is_on_the_cpu():
    """Fails when packed weights, which are no parameters, leave a model nowhere."""
    model = copy.deepcopy(llama(N_TOKENS, 0))
    for module in model.modules():
        module._parameters.clear()
        module._buffers.clear()
    assert device_of(model) == torch.device("cpu")


@pytest.mark.parametrize("other", ["org/model", word_tokenizer(N_TOKENS), torch.nn.Linear(2, 2), 3])
def test_what_is_no_model_is_told(other):
    """Fails when a name or another thing in a model's place ends in an AttributeError."""
    with pytest.raises(InputError, match=f"proxy must be a causal language model.*, got {type(other).__name__}; load"):
        ModelPair(llama(N_TOKENS, 0), other, word_tokenizer(N_TOKENS))
