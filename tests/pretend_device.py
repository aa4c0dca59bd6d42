"""A device that is not there: tensors on it are a processor's, marked, and what a real one would refuse is refused.

It finds on a machine without an accelerator what would fail on one: operations between two devices, results turned into
NumPy arrays where they lie, how often the host waits for the device, and how often it brings something there. It says
nothing about kernels or speed. Graphs are pretended as well: they run what they recorded, and keep its place.
"""

import time
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

DEVICE = torch.device("cuda")
WAIT, UPLOAD, PASS, CAPTURE = "wait", "upload", "pass", "capture"
_WAITS = {
    "cpu", "item", "tolist", "__bool__", "__int__", "__float__", "__index__", "__contains__", "is_nonzero", "equal",
    "allclose", "nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount", "histc",
}  # fmt: skip
# What makes a tensor out of numbers of the host, unlike zeros, full or arange, which the device makes itself.
_FROM_HOST = {"tensor", "as_tensor", "asarray", "from_numpy"}
_MAY_MIX = {"__getitem__", "__setitem__", "copy_", "index_put_", "index_put"}  # which bring an index or a source there


class OnDevice(torch.Tensor):
    """A tensor that is said to lie on the device."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)


def _is_there(x):
    return isinstance(x, OnDevice)


def _flat(values):
    """What is in tuples, lists and dictionaries, however deep; called for every operation, so that it is plain."""
    for x in values:
        if isinstance(x, tuple | list):
            yield from _flat(x)
        elif isinstance(x, dict):
            yield from _flat(x.values())
        else:
            yield x


def _plain(x):
    if _is_there(x):
        return x.as_subclass(torch.Tensor)
    if type(x) in (tuple, list):
        return type(x)(map(_plain, x))
    return {key: _plain(value) for key, value in x.items()} if type(x) is dict else x


def _marked(x):
    if isinstance(x, torch.Tensor):
        return x.as_subclass(OnDevice)
    return tree_map(lambda one: one.as_subclass(OnDevice) if isinstance(one, torch.Tensor) else one, x)


def _indices(index):
    return [one for one in (index if isinstance(index, tuple) else (index,)) if one is not None and one is not Ellipsis]


class PretendDevice(TorchFunctionMode):
    """While it is active, `cuda` is a device. events: what the host asked of it or brought there, in order."""

    def __init__(self):
        super().__init__()
        self.events = []

    def count(self, kind):
        """How many events there were of a kind."""
        return sum(event[0] == kind for event in self.events)

    def cycles(self, role="base"):
        """The events after each pass of this model, up to the next one."""
        cycles = []
        for event in self.events:
            if event == (PASS, role):
                cycles.append([])
            elif cycles:
                cycles[-1].append(event)
        return cycles

    def _note(self, name, args, kwargs, tensors, there, goes_there, leaves):
        """Write down a wait or an upload that this call makes."""
        if any(there) and (name in _WAITS or (name == "to" and leaves)):
            self.events.append((WAIT, name))
        if name == "where" and len(args) == 1 and not kwargs and any(there):
            self.events.append((WAIT, "where"))
        if name == "repeat_interleave" and len(tensors) > 1 and kwargs.get("output_size") is None and any(there):
            self.events.append((WAIT, name))
        if goes_there and (name in _FROM_HOST or (name in ("to", "cuda") and not any(there))):
            self.events.append((UPLOAD, name))
        if name == "copy_" and any(there):
            target, source = _is_there(args[0]), _is_there(args[1])
            if target != source:
                self.events.append((UPLOAD if target else WAIT, name))
        if name in ("__getitem__", "__setitem__") and _is_there(args[0]):
            for index in _indices(args[1]):
                if isinstance(index, list | np.ndarray) or (isinstance(index, torch.Tensor) and not _is_there(index)):
                    self.events.append((UPLOAD, name))
                if isinstance(index, torch.Tensor) and index.dtype == torch.bool and _is_there(index):
                    self.events.append((WAIT, "boolean mask"))
            if name == "__setitem__" and isinstance(args[2], torch.Tensor) and not _is_there(args[2]):
                self.events.append((UPLOAD, name))
        if name in ("index_put", "index_put_") and _is_there(args[0]):
            self.events += [(UPLOAD, name) for x in tensors if not _is_there(x)]

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        tensors = [x for x in _flat((args, kwargs)) if isinstance(x, torch.Tensor)]
        there = [_is_there(x) for x in tensors]
        is_named = [d for d in (kwargs.get("device"), *args[1:2]) if isinstance(d, str | torch.device)]
        goes_there = any(torch.device(d).type == "cuda" for d in is_named) or name == "cuda"
        leaves = name == "cpu" or (name == "to" and any(torch.device(d).type == "cpu" for d in is_named))
        if any(there) and name not in _MAY_MIX:
            lost = [tuple(x.shape) for x, is_there in zip(tensors, there, strict=True) if not is_there and x.dim()]
            assert not lost, f"{name} mixes devices: tensors of shapes {lost} lie on the host"
        if any(there) and name in ("numpy", "__array__"):
            raise AssertionError(f"{name} of a tensor on the device")
        if name in ("__getitem__", "__setitem__"):
            assert there[0] or not any(there), f"{name}: the index lies on the device, its tensor not"
        self._note(name, args, kwargs, tensors, there, goes_there, leaves)
        if goes_there:
            kwargs.pop("device", None)
            args = tuple(x for i, x in enumerate(args) if i != 1 or not isinstance(x, str | torch.device))
            if name == "to" and len(args) == 1 and not kwargs:
                return args[0].as_subclass(OnDevice)
        out = func(*_plain(args), **_plain(kwargs)) if any(there) else func(*args, **kwargs)
        if name in ("copy_", "__setitem__") or (name.endswith("_") and not name.startswith("__")):
            return args[0]
        if (any(there) or goes_there) and not leaves:
            return _marked(out)
        return out


class _Graph:
    """A graph that is none: replayed, it runs what was recorded, and writes the result where it was."""

    def __init__(self, run):
        self._run = run
        self.result = run()

    def replay(self):
        self.result.copy_(self._run())


@contextmanager
def on_device(pair, roles=("base", "proxy", "reference"), *, is_half_full=False, seconds_of_a_capture=0.0):
    """Put a pair on the pretended device for as long as it is there, and give the mode that counts.

    roles: the models that go there. is_half_full: whether its memory is said to be. seconds_of_a_capture: that pass on
    the clock for it.
    """
    models = {role: getattr(pair, role) for role in roles if getattr(pair, role) is not None}
    before, hooks, spent, clock = [], [], [0.0], time.perf_counter
    pretended = {
        "time.perf_counter": lambda: clock() + spent[0],
        "proxyalign.decoding.backends.cuda._is_half_full": lambda device: is_half_full,
    }
    with PretendDevice() as mode:
        for role, model in models.items():
            for module in model.modules():
                for store in (module._parameters, module._buffers):
                    for name, tensor in store.items():
                        if tensor is not None:
                            before.append((store, name, tensor))
                            store[name] = tensor.detach().as_subclass(OnDevice)
            hooks.append(model.register_forward_pre_hook(lambda *_, role=role: mode.events.append((PASS, role))))

        def record(run, device):
            before = len(mode.events)
            graph = _Graph(run)
            mode.events[before:] = [(CAPTURE, str(device))]
            spent[0] += seconds_of_a_capture
            return graph, graph.result

        try:
            with ExitStack() as stack:
                for name, function in (pretended | {"proxyalign.decoding.readers.captured.recorded": record}).items():
                    stack.enter_context(mock.patch(name, function))
                yield mode
        finally:
            for hook in hooks:
                hook.remove()
            for store, name, tensor in before:
                store[name] = tensor
