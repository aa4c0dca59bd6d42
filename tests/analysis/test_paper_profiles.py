"""The profiles of real pairs: valid, each under its own name, the sizes of all models recorded, loaded as they say."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from analysis import pairs
from analysis.profile import check, expand

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "analysis" / "config" / "paper").glob("*.yaml"))


def read(path):
    return yaml.safe_load(path.read_text())


def test_there_is_a_profile_for_each_pair_of_the_paper():
    """Fails when one is lost, and for a base or proxy that no other profile could tell apart."""
    asked = {(pair["base"]["name"], pair["proxy"]["name"]) for pair in (read(path)["pair"] for path in FILES)}
    assert asked == {
        ("allenai/OLMo-2-1124-13B", "allenai/OLMo-2-0425-1B-Instruct"),
        ("Qwen/Qwen3-14B-Base", "Qwen/Qwen3-1.7B"),
        ("HuggingFaceTB/SmolLM2-1.7B", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("HuggingFaceTB/SmolLM2-1.7B", "HuggingFaceTB/SmolLM2-360M-Instruct"),
        ("google/gemma-3-4b-pt", "Qwen/Qwen3-0.6B"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_valid_and_every_rule_that_reads_a_reference_has_one(path):
    """Fails for a profile that the schema refuses, that writes under another's name, or that would stop half way."""
    profile = read(path)
    check(profile)
    assert profile["name"] == f"paper_{path.stem}"
    assert "figures" not in profile
    assert all("params" in model for model in profile["pair"].values())
    rules = [rule for grid in profile["grids"].values() for rule in expand(grid["rules"])]
    assert any(rule.reads("q0") for rule in rules) == ("reference" in profile["pair"])
    families = {profile["pair"][role]["name"].split("/")[0] for role in ("base", "proxy")}
    assert len(families) == 1 or not any(rule.compares_tokens for rule in rules)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_workflow_plans_all_of_it(path):
    """Fails when a hub pair is not something that the Snakefile's rules can be given."""
    command = [sys.executable, "-m", "snakemake", "-s", "analysis/Snakefile", "--cores", "1", "--dry-run"]
    done = subprocess.run([*command, "--configfile", str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = (done.stdout + done.stderr).splitlines()
    n_runs = sum(len(list(expand(grid["rules"]))) for grid in read(path)["grids"].values())
    assert ["decode", str(n_runs)] in [line.split() for line in told]


def test_a_pair_of_models_is_loaded_with_each_one_s_own_options(monkeypatch):
    """Fails when an option reaches another model, or the recorded size is taken for one."""
    monkeypatch.setattr("proxyalign.models.load_pair", lambda *names, **given: (names, given))
    assert pairs.load("lab") == (("lab",), {"offline": True, "dtype": "auto"})
    pair = {
        "base": {"name": "org/big", "revision": "v1", "bits": 4, "params": {"parameters": 1}},
        "proxy": {"name": "org/small", "device": "cuda:1", "bits": 8},
    }
    options = {"revision": {"base": "v1"}, "device": {"proxy": "cuda:1"}, "bits": {"base": 4, "proxy": 8}}
    assert pairs.load(pair) == ((), {"base": "org/big", "proxy": "org/small", **options})
    assert pairs.called(pair) == "org/big@v1 + org/small"
    assert pairs.called("lab") == "lab"
