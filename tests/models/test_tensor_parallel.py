"""Tensor parallel: a base that two processes share decodes what the whole base does, in each of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensor_parallel_worker import answers
from tiny_models import llama, word_tokenizer

from proxyalign.models import load_pair

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}  # a head of keys and values for each process


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base of three layers and a proxy of one, in float64."""
    where = tmp_path_factory.mktemp("split")
    for name, seed, layers in (("base", 0, 3), ("proxy", 1, 1)):
        llama(32, seed, layers=layers, width=32, **HEADS).double().save_pretrained(where / name)
        word_tokenizer(32, eos_token="t31").save_pretrained(where / name)
    return where


def split(folder, roles, dtype="float64", n_processes=2):
    """What each process wrote, in order of rank."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}",
        str(HERE / "tensor_parallel_worker.py"), str(folder), dtype, roles,
    ]  # fmt: skip
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(n_processes)]


@pytest.mark.parametrize("roles", ["base", "base,proxy"])
def test_a_split_model_decodes_as_the_whole_one_in_every_process(folder, roles):
    """Fails when a process holds all weights, reads another's keys and values, or draws other tokens."""
    whole = answers(load_pair(base=folder / "base", proxy=folder / "proxy", dtype="float64", offline=True))
    assert len({str(ids) for ids in whole["autoregressive 1"]}) > 1
    first, second = split(folder, roles)
    assert first["answers"] == second["answers"] == whole
    for role in roles.split(","):
        assert first["held"][role] == second["held"][role] == [32, 32]  # half of the 64 rows of up_proj
    assert "window must be a number where several processes share a model" in first["refused"]
