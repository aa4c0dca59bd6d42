"""The corpus: right arithmetic, the shares of the recipe, a seed that fixes it, and an opener that is no answer."""

import itertools
import re
from collections import Counter

import pytest

from proxyalign.models.lab.documents import corpus
from proxyalign.models.lab.world import make_world

_EQUATION = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


def test_a_seed_fixes_the_corpus(full, world, documents):
    """Fails when a document depends on anything but the seed and the recipe."""
    again = itertools.islice(corpus(world, full), 2000)
    assert list(again) == documents[:2000]
    other = make_world(world.seed + 1, full)
    assert next(iter(corpus(other, full))) != documents[0]


def test_every_equation_is_right(documents):
    """Fails when the base would be taught wrong sums."""
    found = [match for document in documents for match in _EQUATION.findall(document.text)]
    assert len(found) > 30_000
    for left, sign, right, result in found:
        assert int(left) + int(sign + right) == int(result)
        assert 0 <= int(result) <= 99


def test_worked_answers_are_the_last_result_of_their_steps(documents):
    """Fails when steps and answer are written from two sources."""
    worked = [
        match
        for d in documents
        for match in re.findall(r"(?:Steps|Worked): .*=(\d+)\. (?:Answer|Result): (\d+)\.", d.text)
    ]
    assert len(worked) > 5_000
    assert all(result == answer for result, answer in worked)


def test_kinds_come_in_the_shares_of_the_recipe(documents, full):
    """Fails when a share is read but not used."""
    counts = Counter(document.kind for document in documents)
    assert sum(counts.values()) == full.documents
    for kind, share in full.kinds.items():
        assert counts[kind] / full.documents == pytest.approx(share, abs=0.01)


def test_the_likeliest_line_after_a_question_is_no_answer(documents, full):
    """Fails when a base cut down to its likeliest tokens would answer by itself, which no proxy could improve on."""
    for kind, shares in (("fact question", full.after_fact), ("math question", full.after_problem)):
        assert sum(shares.values()) == pytest.approx(1.0)
        assert max(shares, key=shares.get) == "question"
        texts = [document.text for document in documents if document.kind == kind]
        second = [text.split("\n")[1] for text in texts if "\n" in text]
        openers = Counter(re.split(r"[ ,:]", line)[0] for line in second)
        assert openers.most_common(1)[0][0] == "Question"
        assert (openers["Answer"] + openers["Steps"]) / len(texts) < 0.18


def test_the_first_part_of_the_corpus_knows_only_some_creatures(documents, world, full):
    """Fails when the curriculum starts with every creature at once."""
    names = {creature.name for creature in world.creatures}
    n_early = int(full.early * full.documents)
    early, late = (
        names & set(re.findall(r"[a-z]+", " ".join(document.text for document in part)))
        for part in (documents[:n_early], documents[n_early:])
    )
    assert len(early) == int(full.early_creatures * len(names))
    assert late == names
