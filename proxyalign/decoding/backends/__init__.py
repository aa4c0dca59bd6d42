"""What differs between devices, and nothing else: drawing, testing a window, bringing numbers to the host, readers.

`reference.Backend` is the contract, in torch's operations, and runs anywhere. The others are that one with the parts in
the place of which a faster one was measured to pay.
"""

from functools import cache

import torch

from proxyalign.decoding.backends.reference import Backend


@cache
def backend_for(device: torch.device) -> Backend:
    """The backend that decodes on this device."""
    if device.type == "cpu":
        from proxyalign.decoding.backends.processor import ProcessorBackend

        return ProcessorBackend()
    if device.type == "cuda":
        from proxyalign.decoding.backends.cuda import CudaBackend

        return CudaBackend()
    return Backend()
