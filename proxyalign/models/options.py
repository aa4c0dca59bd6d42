"""How one checkpoint of a pair is to be read, and where it goes: what the caller asks for, by role, and its checks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from typing import Any, TypeAlias, TypeVar

import torch

from proxyalign.errors import InputError

T = TypeVar("T")
ByRole: TypeAlias = T | Mapping[str, T]  # one value for all models, or some roles' own: {"base": ..., "proxy": ...}
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BITS = (4, 8)


@dataclass(frozen=True)
class Options:
    """What is asked of one checkpoint; as `load_pair` describes them.

    Raises InputError for a value that none can have, and for two that exclude one another.
    """

    revision: str | None = None
    subfolder: str = ""
    trust_remote_code: bool = False
    device: str | torch.device = "cpu"
    dtype: str | torch.dtype = "auto"
    bits: int | None = None
    device_map: str | None = None
    tp_plan: str | None = None

    def __post_init__(self) -> None:
        for name in ("device_map", "tp_plan"):
            if getattr(self, name) not in (None, "auto"):
                raise InputError(
                    f"load_pair: {name} must be 'auto' or left out, got {getattr(self, name)!r}; pass 'auto'"
                )
        if self.bits not in (None, *_BITS):
            raise InputError(f"load_pair: bits must be 4, 8 or left out, got {self.bits!r}; choose one of these")
        if self.dtype != "auto" and not isinstance(self.dtype, torch.dtype) and self.dtype not in _DTYPES:
            raise InputError(
                f"load_pair: dtype must be auto, {', '.join(_DTYPES)}, got {self.dtype!r}; choose one of these"
            )
        given = [name for name in ("tp_plan", "device_map", "bits") if getattr(self, name) is not None]
        if "tp_plan" in given and len(given) > 1:
            raise InputError(
                f"load_pair: tp_plan must stand without device_map and bits, got it beside {given[1]}; drop one of them"
            )
        if given and given != ["bits"] and str(self.device) != "cpu":
            raise InputError(
                f"load_pair: device must be left out where {given[0]} places the model, got {str(self.device)!r}; drop "
                "one of them"
            )
        if self.device_map is not None:
            _check_installed("device_map 'auto'", "accelerate")
        if self.bits is not None:
            _check_installed(f"bits {self.bits}", "bitsandbytes", "accelerate")
        if self.tp_plan is not None:
            _check_processes()

    def is_for_a_checkpoint(self) -> bool:
        """Whether something is asked for that only a checkpoint of files has, beyond a device and a dtype."""
        default = Options()
        return any(getattr(self, name) != getattr(default, name) for name in vars(self) if name not in _PLACES)

    def where(self) -> torch.device:
        """The device that the model's input will go to, as far as it can be known before the model is read.

        Raises InputError for one that torch cannot use here.
        """
        if self.device_map is not None or self.tp_plan is not None:  # which take accelerators where there are any
            return torch.accelerator.current_accelerator() or torch.device("cpu")
        try:
            return torch.empty(0, device=self.device).device
        except (RuntimeError, AssertionError) as error:  # an unknown name, and a kind that this torch was built without
            raise InputError(
                f"load_pair: device must be one that torch can use on this machine, such as cpu, got "
                f"{str(self.device)!r}; pass one of those"
            ) from error

    def numbers(self, is_named: bool) -> Any:
        """The dtype of the weights, or "auto" for the checkpoint's own.

        is_named: whether the pair has a name, so that recorded numbers depend on it.
        """
        if isinstance(self.dtype, torch.dtype):
            return self.dtype
        if self.dtype != "auto":
            return _DTYPES[self.dtype]
        if is_named:
            return torch.float32
        if self.where().type == "cpu":
            return torch.bfloat16 if multiplies_bfloat16() else torch.float32
        return "auto"

    def for_files(self) -> dict[str, Any]:
        """What says which files of a repository are meant, as `from_pretrained` takes it."""
        named = {} if self.revision is None else {"revision": self.revision}
        return {**named, "subfolder": self.subfolder, "trust_remote_code": self.trust_remote_code}

    def for_weights(self, is_named: bool) -> dict[str, Any]:
        """What says how weights are kept and where, as `from_pretrained` takes it; no place where it is `device`."""
        dtype = self.numbers(is_named)
        asked: dict[str, Any] = {"dtype": dtype}
        if self.device_map is not None:
            asked["device_map"] = self.device_map
        if self.bits is not None:
            asked["quantization_config"] = _packed(self.bits, dtype)
            asked.setdefault("device_map", {"": self.where()})  # packed weights are made where they stay
        if self.tp_plan is not None:
            from transformers.distributed import DistributedConfig

            asked["distributed_config"] = DistributedConfig(tp_plan=self.tp_plan)
        return asked

    @property
    def is_placed(self) -> bool:
        """Whether reading the checkpoint places it, so that it must not be moved afterwards."""
        return self.device_map is not None or self.bits is not None or self.tp_plan is not None


_PLACES = ("device", "dtype")


def options_by_role(roles: Sequence[str], given: Mapping[str, Any]) -> dict[str, Options]:
    """The options of each role, of the keyword arguments of `load_pair` by name.

    A plain value is all roles', but for tp_plan, which is the base's alone: a small proxy gains nothing from being
    split, and each process holds it whole. Raises InputError for a role that there is not, and what Options refuses.
    """
    asked: dict[str, dict[str, Any]] = {role: {} for role in roles}
    for name, value in given.items():
        if isinstance(value, Mapping):
            for role in value:
                if role not in asked:
                    raise InputError(
                        f"load_pair: {name} must name models that are loaded, {', '.join(roles)}, got {role!r}; drop "
                        "it or pass that model"
                    )
            own = dict(value)
        else:
            own = dict.fromkeys(["base"] if name == "tp_plan" else roles, value)
        for role, one in own.items():
            asked[role][name] = one
    return {role: Options(**values) for role, values in asked.items()}


def multiplies_bfloat16() -> bool:
    """Whether this machine's processor has instructions for products of bfloat16, without which they are slow."""
    # Torch says so in private functions alone; a release without them is taken to say no.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, lambda: False)() for question in questions)


def _packed(bits: int, dtype: Any) -> Any:
    """The quantisation of bitsandbytes; four bits as normal floats, which lose least (QLoRA, 2305.14314, section 3)."""
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    computes = dtype if isinstance(dtype, torch.dtype) else torch.bfloat16
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=computes)


def _check_installed(what: str, *packages: str) -> None:
    for package in packages:
        if util.find_spec(package) is None:
            raise InputError(
                f"load_pair: {package} must be installed for {what}, got none; run pip install {' '.join(packages)}"
            )


def _check_processes() -> None:
    """Raise InputError where a model is to be split and there are no processes to split it over."""
    from transformers.distributed import DistributedConfig

    if "tp_plan" not in DistributedConfig.__dataclass_fields__:
        raise InputError(
            "load_pair: tp_plan must be known to the DistributedConfig of transformers, got a release without it; run "
            "pip install --upgrade transformers"
        )
    if "WORLD_SIZE" not in os.environ:
        raise InputError(
            "load_pair: tp_plan must be asked for by several processes, got one alone; start the program with torchrun "
            "--nproc-per-node 2 or more"
        )
