"""What all tests share: seeded property tests, one torch thread, no hub, Triton on the CPU, commands in-process."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is imported, which transformers does unasked

settings.register_profile(
    "proxyalign",
    derandomize=True,  # a failure seen once is seen always
    deadline=None,  # shared machines are noisy; time is measured in benchmarks, not in tests
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
settings.load_profile("proxyalign")


@pytest.fixture
def command(monkeypatch, capsys):
    """`command("solve", ...)` runs the command line in this process and gives its exit code, stdout and stderr."""
    from proxyalign.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["proxyalign", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run
