"""SmolLM2 alone on IFEval: what its record says of replies, and that the README says what the record does."""

import json
from pathlib import Path

import pytest
from written_runs import record

from analysis.experiments.real_ifeval import ASKED, PUBLISHED, scores

ROOT = Path(__file__).parent.parent.parent
RECORDED = json.loads((ROOT / "analysis" / "recorded" / "real" / "ifeval.json").read_text())


def reply(correct, n_strict, n_asked, n_tokens, **plain):
    """A record of a prompt with so many instructions, of which so many are followed strictly, and all loosely."""
    measures = {"prompt_loose": (1.0, 1.0), "instruction_strict": (n_strict, n_asked)}
    measures |= {"instruction_loose": (n_asked, n_asked), **plain}
    return record("q", correct, n_tokens=n_tokens, measures=measures)


def test_the_mean_is_of_prompts_and_instructions_and_a_cut_reply_has_not_ended():
    """Fails when instructions are averaged by prompt, or a reply of as many tokens as it may have counts as ended."""
    found = scores([reply(True, 3, 3, 4, prompt_strict_plain=(1.0, 1.0)), reply(False, 0, 1, 8)])
    assert found == {
        "n": 2, "prompt_strict": 0.5, "instruction_strict": 0.75, "prompt_loose": 1.0, "instruction_loose": 1.0,
        "prompt_strict_plain": 1.0, "ended": 0.5, "mean_strict": 0.625,
    }  # fmt: skip


def test_the_record_is_of_all_prompts_and_of_these_settings():
    """Fails when the record is of a part of the file, or of other settings than its command asks for."""
    assert RECORDED["scores"]["n"] == 541
    assert RECORDED["published"] == PUBLISHED
    asked = {name: RECORDED["profile"][name] for name in ("pair", "task", "rule", "temperature", "max_new_tokens")}
    assert asked == {name: getattr(ASKED, name) for name in asked}
    assert RECORDED["profile"]["limit"] is None
    found = RECORDED["scores"]
    assert found["mean_strict"] == pytest.approx((found["prompt_strict"] + found["instruction_strict"]) / 2)


def test_the_readme_says_what_the_record_does():
    """Fails when the record is made anew and the README's numbers are not."""
    said, found = " ".join((ROOT / "README.md").read_text().split()), RECORDED["scores"]
    assert f"follows {100 * found['prompt_strict']:.1f} % of IFEval's 541 prompts" in said
    assert f"{100 * found['instruction_strict']:.1f} % of their instructions strictly" in said
    assert f"{found['mean_strict']:.3f}".removeprefix("0") + " in the mean" in said
    assert f"{PUBLISHED['mean_strict']:.3f}".removeprefix("0") + " is published" in said
    assert f"cut at {ASKED.max_new_tokens} tokens, which {100 * (1 - found['ended']):.0f} % of them reach" in said
