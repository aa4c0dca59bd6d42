"""`tune`'s choices, over runs that answer at once: the same again, the same after a kill, and only what is promised."""

import json
import random
from dataclasses import replace

import pytest
from tiny_models import llama, tiny_pair

from proxyalign.errors import InputError
from proxyalign.evaluation.metrics import summarise
from proxyalign.evaluation.tuning.development import Development
from proxyalign.evaluation.tuning.harm import bound_harm
from proxyalign.evaluation.tuning.search import ranked, search
from proxyalign.evaluation.tuning.space import Setting, Space, spaced
from proxyalign.evaluation.tuning.under_guarantee import Promises, guaranteed, promises

DEV = Development("two", "lab-facts", limit=120)
SPACE = Space(("dual", "primal"), spaced(0.0, 1.0, 51), spaced(0.1, 0.9, 5), windows=(0, 3), temperatures=(0.0, 1.0))


def chance(settings):
    """How often a setting is right: best for dual near 0.4."""
    return 0.9 - abs(settings.parameters.get("alpha", 0.9) - 0.4)


class Runs:
    """Stands in for `evaluation.run`: question i is right where its own number is below `worth`; kept as records."""

    def __init__(self, worth=chance):
        self.worth, self.decoded, self.killed_before = worth, [], None

    def __call__(self, pair, settings, out, *, data, batch_size, progress):
        path = out / settings.slug / "records.jsonl"
        if not path.exists():
            if len(self.decoded) == self.killed_before:
                raise KeyboardInterrupt
            self.decoded.append(settings.slug)
            path.parent.mkdir(parents=True)
            rows = [self.record(settings, index) for index in range(settings.limit)]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return summarise(rows)

    def record(self, settings, index):
        right = random.Random(index).random() < self.worth(settings)
        counts = dict.fromkeys(("n_cycles", "n_tested", "n_accepted", "deferral_mass"), 0)
        seconds = 0.1 if settings.mode == "autoregressive" else 0.04
        row = {"index": index, "correct": right, "strict": right, "extracted": "x", "n_tokens": 1, "seconds": seconds}
        return {**row, **counts, "meta": {}, "id": str(index)}


@pytest.fixture(scope="module")
def pair():
    return tiny_pair(llama, 11)


@pytest.fixture
def runs(monkeypatch):
    stand_in = Runs()
    monkeypatch.setattr("proxyalign.evaluation.tuning.development.run", stand_in)
    return stand_in


def tried(rows):
    return [(row["label"], row["accuracy"]) for row in rows]


def test_two_searches_of_one_seed_try_the_same_and_learn_from_it(runs, pair, tmp_path):
    """Fails where the sampler draws from anything but the seed, or what trials were worth never reaches it."""
    one, other = (search(pair, DEV, SPACE, tmp_path / name, n_trials=16) for name in "ab")
    assert tried(one) == tried(other)
    seeded = search(pair, replace(DEV, seed=1), SPACE, tmp_path / "c", n_trials=3)
    assert tried(seeded) != tried(one)[:3]
    early, late = one[:10], one[10:]  # TPE begins with ten settings at random
    assert sum(row["accuracy"] for row in late) / len(late) > sum(row["accuracy"] for row in early) / len(early)


@pytest.mark.parametrize(("objective", "kills"), [("accuracy", (1, 10)), ("pareto", (10,))])
def test_a_search_that_is_killed_goes_on_to_the_same_end(runs, pair, tmp_path, objective, kills):
    """Fails where a kill between two trials, or amid one, changes what is tried after it or loses what was before."""
    whole = search(pair, DEV, SPACE, tmp_path / "whole", objective=objective, n_trials=13)
    n_decoded = len(runs.decoded)
    for killed_before in kills:
        runs.decoded, runs.killed_before = [], killed_before
        out = tmp_path / f"{objective}{killed_before}"
        with pytest.raises(KeyboardInterrupt):
            search(pair, DEV, SPACE, out, objective=objective, n_trials=13)
        runs.killed_before = None
        assert tried(search(pair, DEV, SPACE, out, objective=objective, n_trials=13)) == tried(whole)
        assert len(runs.decoded) == n_decoded  # nothing twice
    again = search(pair, DEV, SPACE, out, objective=objective, n_trials=12)
    assert (tried(again), len(runs.decoded)) == (tried(whole)[:12], n_decoded)


def test_the_best_comes_first_and_each_setting_once():
    """Fails where a beaten setting is on the front, an unbeaten one is not, or ties change their order."""
    rows = [
        {"label": label, "accuracy": accuracy, "tokens_per_second": speed}
        for label, accuracy, speed in [("a", 0.5, 9), ("b", 0.7, 5), ("c", 0.7, 4), ("b", 0.7, 5), ("d", 0.9, 1)]
    ]
    assert [row["label"] for row in ranked(rows, "accuracy")] == ["d", "b", "c", "a"]
    assert [row["label"] for row in ranked(rows, "speed")] == ["a", "b", "c", "d"]
    assert [row["label"] for row in ranked(rows, "pareto")] == ["d", "b", "a"]
    with pytest.raises(InputError, match="'best'"):
        ranked(rows, "best")


def test_a_folder_is_one_search_s_and_one_process_s(runs, pair, tmp_path):
    """Fails where another space goes on in a used folder, or two processes write one study."""
    search(pair, DEV, SPACE, tmp_path / "a", n_trials=1)
    with pytest.raises(InputError, match="made with other settings, got windows"):
        search(pair, DEV, replace(SPACE, windows=(0,)), tmp_path / "a", n_trials=1)
    inside = []

    def second(what, done, n):
        with pytest.raises(InputError, match="another process"):
            search(pair, DEV, SPACE, tmp_path / "b", n_trials=1)
        inside.append(what)

    search(pair, DEV, SPACE, tmp_path / "b", n_trials=1, progress=second)
    assert "trials" in inside


def test_test_questions_are_out_of_reach():
    """Fails where a caller, and not only the command, can choose on what is reported."""
    for split in ("test", "validation", ""):
        with pytest.raises(InputError, match="split must be dev"):
            Development("two", "lab-facts", split=split)
    assert all(question.id.startswith("dev") for question in DEV.questions())
    assert DEV.settings(Setting("never", None)).split == "dev"


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"rules": ()}, "rules must hold"),
        ({"rules": ("best",)}, "'best'"),
        ({"rules": ("top-k",)}, "top-k, which needs k"),
        ({"alpha": (0.5, 7.0)}, "7"),
        ({"alpha": ()}, "alpha must hold values for dual"),
        ({"windows": (-1,)}, "windows"),
        ({"temperatures": ()}, "temperatures"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_in_a_sentence(space, told):
    """Fails where the mistake shows after the first trials."""
    with pytest.raises(InputError, match=told):
        Space(**{"rules": ("dual",), "alpha": (0.1,), "budget": (), **space})


def sequence(*values):
    return [Setting("dual", value) for value in values]


@pytest.fixture
def harming(runs):
    """The base is right on seven of ten; up to alpha 0.3 some more are, from 0.5 on not even those."""

    def worth(settings):
        return 0.7 if settings.rule == "never" else 0.75 if settings.parameters["alpha"] < 0.5 else 0.4

    runs.worth = worth
    return runs


def test_harm_is_counted_where_the_reference_alone_is_right(harming, pair, tmp_path):
    """Fails where helps are counted for harms, settings after a failure are decoded, or another one is chosen."""
    found = bound_harm(pair, DEV, sequence(0.1, 0.3, 0.5, 0.7), tmp_path, eps=0.05, delta=0.1)
    assert (found.chosen, found.stopped, len(found.tested)) == (1, 2, 3)
    assert not any("0.7" in slug for slug in harming.decoded)
    numbers = [random.Random(index).random() for index in range(120)]
    helped, harmed = (sum(low <= number < high for number in numbers) for low, high in ((0.7, 0.75), (0.4, 0.7)))
    assert [(row["n_harms"], row["n_helps"]) for row in found.tested] == [(0, helped), (0, helped), (harmed, 0)]
    assert found.reference_accuracy == pytest.approx(sum(number < 0.7 for number in numbers) / 120)
    assert found.needed == {"without_harm": 45, "at_this_share": None}


def test_too_few_questions_are_told_before_anything_is_decoded(harming, pair, tmp_path):
    """Fails where time is spent on a promise that no outcome could give, or the number needed is left out."""
    found = bound_harm(pair, replace(DEV, limit=44), sequence(0.1), tmp_path, eps=0.05, delta=0.1)
    assert (found.chosen, found.n_questions, harming.decoded) == (None, 44, [])
    assert found.needed == {"without_harm": 45, "at_this_share": None}


def test_another_reference_may_be_harmed(harming, pair, tmp_path):
    """Fails where harm is counted against the base whatever is asked for."""
    found = bound_harm(
        pair, DEV, sequence(0.1), tmp_path, eps=0.05, delta=0.1, reference=Setting("dual", 0.9, temperature=0.0)
    )
    assert found.reference.startswith("dual(alpha=0.9), token by token, temperature 0")
    assert found.tested[0]["n_helps"] > 30


def test_what_is_chosen_keeps_both_promises(harming, pair, tmp_path, monkeypatch):
    """Fails where the larger of two thresholds wins, or a value that was never tested is taken for harmless."""
    region = {"alpha": 0.2}
    monkeypatch.setattr(
        "proxyalign.evaluation.tuning.under_guarantee.bound_distance", lambda *_, **__: type("Region", (), region)()
    )
    space, both = Space(("dual",), (0.1, 0.3, 0.5), ()), Promises(harm=(0.05, 0.1), tv=0.1)

    def chosen(asked, out):
        found = guaranteed(pair, DEV, space, tmp_path / out, asked).chosen
        return None if found is None else found.parameter

    assert chosen(both, "both") == 0.1
    assert chosen(replace(both, tv=None), "harm") == 0.3
    assert chosen(replace(both, harm=None), "tv") == 0.2
    region["alpha"] = 0.05
    assert chosen(both, "less") is None
    region["alpha"] = 0.9
    assert chosen(both, "more") == 0.3


def test_promises_are_read_as_they_are_written():
    """Fails where a confidence of 0.9 leaves a little less than 0.1, which is no longer 40 harms of 1,000."""
    assert promises(["harm<=0.05@0.9"]) == Promises(harm=(0.05, 0.1))
    assert promises([" tv <= .1 ", "harm<=1e-2@0.95"]) == Promises(harm=(0.01, 0.05), tv=0.1)
    for bad in ("harm<=0.05", "harm<0.05@0.9", "tv<=0.1@0.9", "tv<=x", "loss<=0.1", "tv<=1.5", "harm<=0@0.9", ""):
        with pytest.raises(InputError, match="--guarantee"):
            promises([bad])
    with pytest.raises(InputError, match="each once"):
        promises(["tv<=0.1", "tv<=0.2"])


@pytest.mark.parametrize(
    ("space", "asked", "told"),
    [
        (Space(("dual", "primal"), (0.1,), (0.1,)), Promises(harm=(0.05, 0.1)), "rules must be one"),
        (Space(("dual",), (0.1,), (), windows=(0, 3)), Promises(harm=(0.05, 0.1)), "windows must be one"),
        (Space(("dual",), (0.1,), (), temperatures=(0, 1)), Promises(tv=0.1), "temperatures must be one"),
        (Space(("primal",), (), (0.1,)), Promises(tv=0.1), "rules must be dual"),
        (Space(("dual",), (0.1,), ()), Promises(), "a guarantee must be asked for"),
    ],
)
def test_a_guarantee_of_a_search_is_refused_in_a_sentence(runs, pair, tmp_path, space, asked, told):
    """Fails where an order that was not fixed beforehand gets a promise."""
    with pytest.raises(InputError, match=told):
        guaranteed(pair, DEV, space, tmp_path / "out", asked)
    assert not (tmp_path / "out").exists()
