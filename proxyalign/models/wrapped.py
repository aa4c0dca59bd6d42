"""What a model says of itself, also from within wrappers: compiled ones, adapters, and forwards that pass all on."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch

_Kinds = Mapping[str, Any]  # a function's parameters, by name: positional, of keywords, ...


def layers_of(model: Any) -> list[Any]:
    """The model and what it wraps, from the outside in; a model that wraps none is alone.

    A wrapper is torch.compile's, an adapter's (PEFT) or any object that holds one model and is none of transformers.
    """
    layers = [model]
    while (inner := _wrapped_by(layers[-1])) is not None and all(inner is not layer for layer in layers):
        layers.append(inner)
    return layers


def takes(model: Any, argument: str) -> bool:
    """Whether a call of the model may name this argument of its forward pass.

    A forward with **kwargs that does not name it is taken to pass it on, to the classes that its own inherits from and
    then to the model that it wraps.
    """
    for kinds in _forwards(model):
        if argument in kinds:
            return True
        if inspect.Parameter.VAR_KEYWORD not in kinds.values():
            return False
    return False


def config_of(model: Any) -> Any:
    """The configuration of transformers, of the outermost layer that has one; None where none has."""
    found = (getattr(layer, "config", None) for layer in layers_of(model))
    return next((config for config in found if hasattr(config, "get_text_config")), None)


def text_config_of(model: Any) -> Any:
    """The configuration of the decoder that writes text."""
    return config_of(model).get_text_config(decoder=True)


def context_of(model: Any) -> int | None:
    """The most tokens that the model can read; None where it does not say."""
    return getattr(text_config_of(model), "max_position_embeddings", None)


def rotary_turn(model: Any) -> int | None:
    """The most tokens that it reads with its short rotary angles; None of one that has no longer ones ("longrope")."""
    text = text_config_of(model)
    settings = getattr(text, "rope_parameters", None) or {}
    for one in (settings, *(part for part in settings.values() if isinstance(part, dict))):
        if "longrope" in (one.get("rope_type"), one.get("type")):
            first = getattr(text, "original_max_position_embeddings", None)
            return int(one.get("original_max_position_embeddings") or first or text.max_position_embeddings)
    return None


def steady_context_of(model: Any) -> int | None:
    """The most tokens that it reads with one set of rotary angles, and so without reading any key anew."""
    return min((n for n in (context_of(model), rotary_turn(model)) if n is not None), default=None)


def device_of(model: Any) -> torch.device:
    """Where the model's input goes; the CPU for a model whose weights are all packed away in its modules."""
    for layer in layers_of(model):
        try:
            return torch.device(layer.device)
        except (AttributeError, StopIteration):  # a wrapper that passes no attributes on, and a model without weights
            continue
    inner = layers_of(model)[-1]
    weights = [*inner.parameters(), *inner.buffers()]
    return weights[0].device if weights else torch.device("cpu")


def id_list(ids: Any) -> list[int]:
    """None, one id or many, as transformers keeps them, as a list."""
    if ids is None:
        return []
    plain = ids.tolist() if hasattr(ids, "tolist") else ids
    return [plain] if isinstance(plain, int) else [int(i) for i in plain]


def end_ids_of(model: Any) -> list[int]:
    """The ids that end the model's texts: its generation settings', or its configuration's where those name none."""
    settings = next((s for s in (getattr(layer, "generation_config", None) for layer in layers_of(model)) if s), None)
    sources = (settings, text_config_of(model), config_of(model))
    return next((ids for source in sources if (ids := id_list(getattr(source, "eos_token_id", None)))), [])


def ends_of(model: Any, *tokenizers: Any) -> list[int]:
    """The ids that end the texts of a model with these tokenizers, in rising order; None is no tokenizer."""
    named = (getattr(tokenizer, "eos_token_id", None) for tokenizer in tokenizers)
    return sorted({*end_ids_of(model), *(i for ids in named for i in id_list(ids))})


def logit_width(model: Any) -> int:
    """How many logits the model gives at each position."""
    head = _head(model)
    weight = getattr(head, "weight", None)
    # A packed weight is no tensor, or one of integers in another shape than that of the numbers it stands for.
    if isinstance(weight, torch.Tensor) and weight.is_floating_point() and isinstance(head, torch.nn.Linear):
        return int(weight.shape[0])
    width = getattr(head, "out_features", None)
    return width if isinstance(width, int) else _width_of_a_pass(model)


def _head(model: Any) -> Any:
    """The module that gives the logits; None where no layer names one."""
    for layer in reversed(layers_of(model)):
        try:
            return layer.get_output_embeddings()
        except (AttributeError, NotImplementedError):
            continue
    return None


def _width_of_a_pass(model: Any) -> int:
    """How many logits come of reading one token; what the configuration says where none can be read like this."""
    try:
        with torch.no_grad():
            logits = model(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=device_of(model))).logits
        return int(logits.shape[-1])
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return int(text_config_of(model).vocab_size)


def _wrapped_by(model: Any) -> Any:
    """The model that this one hands its calls to; None where it is the last."""
    from transformers import GenerationMixin, PreTrainedModel

    if callable(getattr(type(model), "get_base_model", None)):  # an adapter's
        return model.get_base_model()
    own = getattr(model, "__dict__", {})  # not what a wrapper would look up in the model that it wraps
    modules = list(own.get("_modules", {}).values())
    if isinstance(model, PreTrainedModel):  # whose parts are no models, unless its only one writes by itself
        return modules[0] if len(modules) == 1 and isinstance(modules[0], GenerationMixin) else None
    parts = {id(part): part for part in [*modules, *own.values()] if isinstance(part, torch.nn.Module)}
    models = [part for part in parts.values() if isinstance(part, PreTrainedModel)] or list(parts.values())
    return models[0] if len(models) == 1 else None


def _forwards(model: Any) -> Iterator[_Kinds]:
    """The parameters of the forwards that a call may go through, those that are called first before the rest."""
    for layer in layers_of(model):
        own = getattr(layer, "__dict__", {}).get("forward")  # put on the object itself, as compiling and hooks do
        if own is not None:
            yield _kinds(own)
        for kind in type(layer).__mro__:
            if kind is not torch.nn.Module and "forward" in vars(kind):
                yield _kinds_in_class(vars(kind)["forward"])


def _kinds(function: Callable[..., Any]) -> _Kinds:
    """The parameters of a function; one that cannot be inspected is taken to pass all on."""
    try:
        return {name: parameter.kind for name, parameter in inspect.signature(function).parameters.items()}
    except (TypeError, ValueError):
        return {"kwargs": inspect.Parameter.VAR_KEYWORD}


# To look them up costs a tenth of a small model's pass. Functions of an object would keep their model alive in here.
_kinds_in_class = cache(_kinds)
