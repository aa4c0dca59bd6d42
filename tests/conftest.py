"""What all tests share: seeded property tests, one torch thread, no hub, Triton on the CPU, commands in-process."""

import gc
import os
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings

gc.disable()  # while tests are collected, whose imports make a million objects that all stay

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


def pytest_collection_finish():
    """Let no collection of garbage go through what was imported, again and again."""
    gc.freeze()
    gc.enable()


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


@pytest.fixture
def without_a_screen():
    """Draw into files alone, and close what was drawn."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; a test that asks for it is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()
