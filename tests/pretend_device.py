"""A device that is not there: tensors on it are a processor's, marked, and what a real one would refuse is refused.

It finds on a machine without an accelerator what would fail on one: operations between two devices, results turned into
NumPy arrays where they lie, and how often the host waits for the device. It says nothing about kernels or speed.
"""

from collections import Counter
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("cuda")
_WAITS = {"cpu", "item", "tolist", "__bool__", "__int__", "__float__", "nonzero", "__index__"}
_MAY_MIX = {"__getitem__", "__setitem__", "copy_", "index_put_"}  # an index may lie on the host, and so may a source


class OnDevice(torch.Tensor):
    """A tensor that is said to lie on the device."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)


class PretendDevice(TorchFunctionMode):
    """While it is active, `cuda` is a device. waits: how often the host asked for a result, by function."""

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        there = [isinstance(x, OnDevice) for x in tensors]
        is_named = [d for d in (kwargs.get("device"), *args[1:2]) if isinstance(d, str | torch.device)]
        goes_there = any(torch.device(d).type == "cuda" for d in is_named)
        if any(there) and name not in _MAY_MIX:
            lost = [tuple(x.shape) for x, is_there in zip(tensors, there, strict=True) if not is_there and x.dim()]
            assert not lost, f"{name} mixes devices: tensors of shapes {lost} lie on the host"
        if any(there) and name in ("numpy", "__array__"):
            raise AssertionError(f"{name} of a tensor on the device")
        if name in ("__getitem__", "__setitem__", "copy_"):
            assert name == "copy_" or there[0] or not any(there), (
                f"{name}: the index lies on the device, its tensor not"
            )
        if any(there) and name in _WAITS:
            self.waits[name] += 1
        if goes_there:
            kwargs.pop("device", None)
            args = tuple(x for i, x in enumerate(args) if i != 1 or not isinstance(x, str | torch.device))
            if name == "to" and len(args) == 1 and not kwargs:
                return args[0].as_subclass(OnDevice)
        leaves = name == "cpu" or (name == "to" and any(torch.device(d).type == "cpu" for d in is_named))
        plain = tree_map(lambda x: x.as_subclass(torch.Tensor) if isinstance(x, OnDevice) else x, (args, kwargs))
        out = func(*plain[0], **plain[1])
        if name in ("copy_", "__setitem__") or (name.endswith("_") and not name.startswith("__")):
            return args[0]
        if (any(there) or goes_there) and not leaves:
            return tree_map(lambda x: x.as_subclass(OnDevice) if isinstance(x, torch.Tensor) else x, out)
        return out


@contextmanager
def on_device(*models):
    """Put these models on the pretended device for as long as it is there, and give the mode that counts."""
    before = []
    for model in models:
        for module in model.modules():
            for store in (module._parameters, module._buffers):
                for name, tensor in store.items():
                    if tensor is not None:
                        before.append((store, name, tensor))
                        store[name] = tensor.detach().as_subclass(OnDevice)
    try:
        with PretendDevice() as mode:
            yield mode
    finally:
        for store, name, tensor in before:
            store[name] = tensor
