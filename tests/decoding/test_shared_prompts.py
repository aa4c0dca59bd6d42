"""What the prompts of a batch begin with, such as examples, is read once, and nobody can tell from the answers."""

import pytest
from clashing import MAKERS, clashing_pair
from test_choice_likelihoods import read_by
from tiny_models import tiny_pair

from proxyalign.decoding import generate
from proxyalign.decoding.readers import growing
from proxyalign.deferral import rules

SHOTS = [149, 1, 2, 2, 3, 1, 2, 3, 3, 1, 1, 2]
ASKED = [[100], [101, 5, 6, 6], [102, 5], [103, 6, 6, 6, 6], [104, 5], [105, 7, 7]]
MODES = ["autoregressive", "speculative"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [rules.Dual(0.02), rules.Hybrid(0.3), rules.Always()], ids=str)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_examples_before_each_question_are_read_once(make, rule, mode, monkeypatch):
    """Fails when each row reads them for itself, or a row sees, forgets or goes on with another's tokens."""
    pair = tiny_pair(make, 150)
    settings = {"mode": mode, "window": 3, "max_new_tokens": 12, "num_return_sequences": 2, "seed": 4}
    settings["eos_token_ids"] = list(range(40, 60))  # so that rows end, and others join
    prompts = [SHOTS + one for one in ASKED]
    alone = generate(pair, prompts, rule, batch_size=1, **settings)
    monkeypatch.setattr(growing, "_WORTH", 4 * len(SHOTS))
    passes = read_by(pair)
    for batch_size in (5, 12):
        for of_role in passes.values():
            of_role.clear()
        together = generate(pair, prompts, rule, batch_size=batch_size, **settings)
        assert together.token_ids == alone.token_ids
        if batch_size == 12:
            asked = {role: of_role for role, of_role in passes.items() if of_role}
            assert asked
            for of_role in asked.values():
                assert of_role[0].tolist() == [SHOTS]


@pytest.mark.parametrize("mode", MODES)
def test_a_prompt_is_read_once_for_all_of_its_samples(mode, monkeypatch):
    """Fails when sixteen answers to one question read it sixteen times, or the last token of it is lost."""
    pair = tiny_pair(MAKERS["llama"], 150)
    settings = {"mode": mode, "max_new_tokens": 6, "num_return_sequences": 16, "seed": 1}
    apart = generate(pair, [SHOTS], rules.Dual(0.02), **settings)
    monkeypatch.setattr(growing, "_WORTH", 1)
    passes = read_by(pair)
    assert generate(pair, [SHOTS], rules.Dual(0.02), **settings).token_ids == apart.token_ids
    for role in ("base", "proxy"):
        assert [list(tokens.shape) for tokens in passes[role][:1]] == [[1, len(SHOTS) - 1]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_pieces_go_on_from_a_beginning_that_was_read_once(make, mode, monkeypatch):
    """Fails when places of pieces are counted from another row's, where two vocabularies are read."""
    pair = clashing_pair(make=make)
    prompts = [f"ab ba é ab {one}" for one in ("b", "ab a b", "é", "a")]
    settings = {"mode": mode, "window": 3, "max_new_tokens": 10, "num_return_sequences": 3, "seed": 2}
    settings["eos_token_ids"] = [*pair.eos_token_ids, pair.vocabulary.index[b"a"]]  # so that rows end, and others join
    alone = generate(pair, prompts, rules.Dual(0.2), batch_size=1, **settings)
    assert len({len(ids) for ids in alone.token_ids}) > 1
    monkeypatch.setattr(growing, "_WORTH", 1)
    for batch_size in (4, 12):
        together = generate(pair, prompts, rules.Dual(0.2), batch_size=batch_size, **settings)
        assert together.token_ids == alone.token_ids


def test_prompts_that_share_little_are_read_in_one_pass(monkeypatch):
    """Fails when a beginning is read apart although that saves less than it costs."""
    pair = tiny_pair(MAKERS["llama"], 150)
    monkeypatch.setattr(growing, "_WORTH", 5 * len(SHOTS) + 1)
    passes = read_by(pair)
    generate(pair, [SHOTS + one for one in ASKED], rules.Never(), max_new_tokens=1)
    assert [list(tokens.shape) for tokens in passes["base"]] == [[6, len(SHOTS) + 5]]
