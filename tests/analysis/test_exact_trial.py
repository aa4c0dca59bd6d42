"""The recorded trial of `exact`: a million knapsacks, most of a wide dynamic range, and no claim that failed."""

import json
from pathlib import Path

RECORD = Path(__file__).parents[2] / "analysis" / "recorded" / "exact_trial.json"


def test_no_claim_failed_in_a_million_cases_and_every_mutant_was_caught():
    """Fails when a trial is recorded that was cut short, or that found something."""
    record = json.loads(RECORD.read_text())
    (statement,) = record["statements"]
    assert (statement["statement"], statement["cases"]) == (2, 1_000_000)
    made = {claim["claim"]: claim["cases"] for claim in statement["claims"]}
    assert made["the set found <= OPT"] == made["OPT <= the set found's upper bound"] > 700_000
    assert sum(claim["violations"] for claim in statement["claims"]) == statement["violations"] == 0
    assert record["survivors"] == []
    assert len(record["mutants"]) > 50
