"""`--verifier` and `--delta`: a lossy test of drafts on the command line, whose distance from pi is told."""

import json
import re

import pytest

from proxyalign.evaluation import read_records

GENERATE = ("generate", "--pair", "lab", "--rule", "never", "--max-new-tokens", "12", "--json")
EVALUATE = ("evaluate", "--task", "lab-math", "--rule", "dual", "--alpha", "0.4", "--limit", "4")
SPECULATIVE = ("--mode", "speculative", "--window", "3", "--max-new-tokens", "16")
LOSSY = ("--verifier", "mentored", "--delta", "2")


def test_an_answer_tells_how_far_its_law_is_from_the_rules(command):
    """Fails when the verifier does not reach the decoder, or its distance is told where there is none."""
    words = ("Where does the bexsur live?", "--mode", "speculative", "--num-return-sequences", "4")
    exact, lossy, same = (
        json.loads(command(*GENERATE, *words, *more)[1])
        for more in ((), ("--verifier", "cactus", "--delta", "3"), ("--verifier", "cactus", "--delta", "0"))
    )
    assert exact["verifier"] is None
    assert exact["stats"]["distance_from_pi"] is None
    assert lossy["verifier"] == "cactus(delta=3)"
    assert 0 < lossy["stats"]["distance_from_pi"] <= 1
    assert lossy["stats"]["acceptance_rate"] > exact["stats"]["acceptance_rate"]
    assert same["stats"]["distance_from_pi"] == pytest.approx(0, abs=1e-6)
    told = command(*GENERATE[:-1], *words, "--verifier", "cactus", "--delta", "3")[2]
    assert f"{lossy['stats']['distance_from_pi']:.3g} from the rule's law in total variation" in told


def test_a_run_with_a_verifier_is_another_run_and_measures_its_distance(command, tmp_path):
    """Fails when two verifiers share a folder, a run without one gets a distance, or the records say of none."""
    exact = command(*EVALUATE, *SPECULATIVE, "--out", tmp_path / "exact", "--json")[1]
    code, out, _ = command(*EVALUATE, *SPECULATIVE, *LOSSY, "--out", tmp_path / "lossy", "--json")
    assert code == 0
    summary, (run,) = json.loads(out), json.loads(out)["runs"]
    assert (summary["settings"]["verifier"], summary["settings"]["delta"]) == ("mentored", 2.0)
    assert "-mentored2.0_" in run["folder"]
    assert json.loads(exact)["settings"]["verifier"] is None
    assert "distance_from_pi" not in json.loads(exact)["runs"][0].get("measures", {})
    records = read_records(tmp_path / "lossy" / run["folder"] / "records.jsonl")
    parts = [record["measures"]["distance_from_pi"] for record in records]
    assert [n for _, n in parts] == [record["n_tokens"] for record in records]
    assert {record["verifier"] for record in records} == {"mentored"}
    distance = run["measures"]["distance_from_pi"]["value"]
    assert distance == pytest.approx(sum(far for far, _ in parts) / sum(n for _, n in parts))
    assert 0 < distance < 1
    code, out, _ = command(*EVALUATE, *SPECULATIVE, *LOSSY, "--out", tmp_path / "lossy")  # goes on
    assert code == 0
    assert "mentored(delta=2)" in out.splitlines()[0]
    assert "distance_from_pi" in out
    code, _, err = command(*EVALUATE, *SPECULATIVE, *LOSSY[:3], "1", "--out", tmp_path / "lossy")
    assert (code, "delta 2.0 there and 1.0 here" in err) == (2, True)


REFUSED = [
    (LOSSY, "verifier must go with mode=.speculative., since token by token no draft is tested, got mentored"),
    (("--mode", "speculative", "--verifier", "mentored"), "must come together, got the verifier mentored alone"),
    (("--mode", "speculative", "--delta", "0.1"), "must come together, got delta = 0.1 alone"),
    (("--mode", "speculative", "--verifier", "strict", "--delta", "1"), "one of cactus, mentored, got 'strict'"),
    (
        ("--mode", "speculative", "--verifier", "cactus", "--delta", "-1"),
        "delta must be a finite number .* 0, got -1",
    ),
    (
        ("--mode", "speculative", "--verifier", "cactus", "--delta", "nan"),
        "delta must be a finite number .* 0, got nan",
    ),
]


@pytest.mark.parametrize(("options", "told"), REFUSED)
def test_a_verifier_that_cannot_be_used_is_refused_in_a_sentence(command, tmp_path, options, told):
    """Fails when it is ignored, reaches the models of an evaluation, or ends in a traceback."""
    asked = [(*GENERATE, "Where?"), (*EVALUATE, "--out", tmp_path / "out")]
    for words in asked:
        code, out, err = command(*words, *options)
        assert (code, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
        assert re.search(told, err)
    assert not (tmp_path / "out").exists()


def test_choices_are_read_without_a_verifier(command, tmp_path):
    """Fails when a run of likelihoods takes one, which changes nothing there."""
    code, _, err = command("evaluate", "--task", "mmlu", "--rule", "never", "--out", tmp_path / "out", *LOSSY)
    assert code == 2
    assert "verifier must be None for mmlu, whose choices are read and not decoded, got 'mentored'" in err
