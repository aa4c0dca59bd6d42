"""`proxyalign lab train` as it is typed: a miniature, JSON alone, one sentence for a mistake."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """A folder with the miniature of seed 3, and what the command said."""
    out = tmp_path_factory.mktemp("command") / "pair"
    code = "from proxyalign.cli import main; main()"
    words = ["lab", "train", "--out", str(out), "--seed", "3", "--preset", "smoke", "--json"]
    return out, subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_the_smoke_preset_trains_a_pair_and_tells_its_stages(smoke):
    """Fails when the miniature learns nothing, stdout holds more than JSON, or a log file would stay empty."""
    out, said = smoke
    assert said.returncode == 0, said.stderr
    record = json.loads(said.stdout)
    assert record == json.loads((out / "lab.json").read_text())
    assert record["losses"]["base"] < 3.5  # a uniform guess costs 6.0 nats
    assert sorted(path.name for path in out.iterdir()) == ["base", "lab.json", "proxy"]
    lines = said.stderr.splitlines()
    for stage in ("base", "proxy", "tuning"):
        n_steps = record["steps"][stage]
        told = [line.split(",")[0] for line in lines if line.startswith(f"{stage}: ")]
        assert told == [f"{stage}: step 1 of {n_steps}", f"{stage}: step {n_steps} of {n_steps}"]


def test_the_miniature_is_a_pair_that_loads(smoke):
    """Fails when the folder lacks what a pair needs."""
    from proxyalign.models import load_pair

    assert load_pair(str(smoke[0])).vocab_size == 400


def test_the_same_command_again_finds_the_pair_finished(command, smoke):
    """Fails when a second call trains anew or cannot say what the folder holds."""
    code, out, _ = command("lab", "train", "--out", smoke[0], "--seed", 3, "--preset", "smoke")
    assert code == 0
    assert out.startswith("lab pair of seed 3 (smoke)")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--seed", 4, "--preset", "smoke"), "holds the pair of seed 3, preset smoke"),
        (("--seed", 3, "--preset", "full"), "choose another folder"),
        (("--seed", 3, "--preset", "large"), "got 'large'"),
    ],
)
def test_a_mistake_ends_with_code_2_and_one_sentence(command, smoke, words, sentence):
    """Fails when a folder would be overwritten or a traceback shown."""
    code, _, err = command("lab", "train", "--out", smoke[0], *words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
