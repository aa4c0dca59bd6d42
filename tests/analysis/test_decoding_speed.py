"""The recorded speeds: of code that is kept, and the numbers that the README tells."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAIRS = ("smol", "lab")
ALPHAS = {"smol": "alpha=0.0002", "lab": "alpha=0.99"}


def recorded(name):
    return json.loads((ROOT / f"analysis/recorded/decoding_speed/{name}.json").read_text())


RECORDS = {pair: recorded(pair) for pair in PAIRS}
TENTH = {pair: recorded(f"{pair}_tenth") for pair in PAIRS}  # at thresholds at which about 10 percent are deferred


def run(record, name):
    return next(run for run in record["runs"] if run["name"] == name)


def in_batches(record, name):
    lines = record["batches"]
    return next(one["times_one"] for one in lines if (one["name"], one["temperature"], one["batch"]) == (name, 1.0, 16))


def share(record, rule, vocabulary):
    return next(s["share"] for s in record["steps"] if s["rule"].startswith(rule) and s["vocabulary"] == vocabulary)


def shown(one):
    """The ratio to the base alone, with its interval."""
    return f"{one['speedup']:.2f} [{one['speedup_low']:.2f}, {one['speedup_high']:.2f}]"


def speed(name):
    return lambda record: shown(run(record, name))


def gain(name):
    return lambda record: f"{in_batches(record, name):.1f}"


LINES = {
    "the base alone, transformers' `generate`": speed("transformers"),
    "dual, autoregressive": speed("dual(alpha=0.4) autoregressive"),
    "the same, both models at every step": speed("both-models-dual(alpha=0.4) autoregressive"),
    "transformers' assisted generation, 5 drafts": speed("transformers assisted, window 5"),
    "the base alone, speculative, 5 drafts": speed("never() speculative, window 5"),
    "dual, speculative, 5 drafts": speed("dual(alpha=0.4) speculative, window 5"),
    "16 texts at once, dual, autoregressive": gain("dual(alpha=0.4) autoregressive"),
    "16 texts at once, dual, speculative, 3 drafts": gain("dual(alpha=0.4) speculative, window 3"),
    "16 texts at once, dual, speculative, 5 drafts": gain("dual(alpha=0.4) speculative, window 5"),
}


@pytest.mark.parametrize("records", [RECORDS, TENTH], ids=["usual", "tenth"])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_record_says_where_it_comes_from(pair, records):
    """Fails when a record is of what no commit has, of another device than the README says, or of a few questions."""
    record = records[pair]
    assert record["commit"]
    assert "dirty" not in record["commit"]
    assert (record["pair"], record["device"]) == (pair, "cpu")
    assert record["dtype"] == {"smol": "bfloat16", "lab": "float32"}[pair]
    assert sum(run["n_tokens"] for run in record["runs"]) >= 4000


def test_the_readme_tells_the_recorded_speeds():
    """Fails when a record is made anew and the README's numbers are not."""
    said = (ROOT / "README.md").read_text()
    for what, number in LINES.items():
        assert f"| {what} | {number(RECORDS['smol'])} | {number(RECORDS['lab'])} |" in said
    spent = {(r, v): share(RECORDS["smol"], r, v) for r in ("dual", "primal") for v in (49_152, 150_000)}
    dual, primal = (
        f"{spent[r, 49_152]:.1%} and {spent[r, 150_000]:.1%}".replace("%", " %") for r in ("dual", "primal")
    )
    assert f"take {dual} of a verify pass of SmolLM2 for dual, {primal} for primal" in " ".join(said.split())
    bare = {
        (pair, window): run(RECORDS[pair], f"dual(alpha=0.4) speculative, window {window}")["share_of_bare_passes"]
        for pair in PAIRS
        for window in (3, 5)
    }
    five, three = (" and ".join(f"{bare[pair, window]:.2f}" for pair in PAIRS) for window in (5, 3))
    assert f"make up {five} of speculative dual's time with 5 drafts, {three} with 3" in " ".join(said.split())
    deferred = run(RECORDS["smol"], "dual(alpha=0.4) autoregressive")["deferral_rate"]
    assert f"defers {deferred:.0%} of its tokens".replace("%", " %") in " ".join(said.split())
    for line, name in (("dual", "dual"), ("both models", "both-models-dual")):
        smol, lab = (run(TENTH[pair], f"{name}({alpha}) autoregressive") for pair, alpha in ALPHAS.items())
        assert f"| {line} at about 10 % deferred, autoregressive | {shown(smol)} | {shown(lab)} |" in said
        assert 0.08 < smol["deferral_rate"] < 0.12
        assert 0.08 < lab["deferral_rate"] < 0.12
    held = [one for pair in PAIRS for one in RECORDS[pair]["memory"]]
    assert max(one["other_bytes"] for one in held) < 1000
    assert "less than 1 kB of each new token" in " ".join(said.split())
