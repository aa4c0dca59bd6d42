"""Choices of a prompt have the law that decoding draws from: enumerated, sampled, and with each prompt read once."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from clashing import END, MAKERS, Definition, bytes_tokenizer, clashing_pair, signs_tokenizer, sliding
from hypothesis import given
from hypothesis import strategies as st
from test_architectures import SLOT_BY_SLOT
from test_every_rule import RULES, step_law, with_reference
from test_law import LEVEL, p_value
from test_two_vocabularies import RULES as ADMITTED
from test_two_vocabularies import prompts_of, step
from tiny_models import gpt2, llama, tiny_pair, word_tokenizer

from proxyalign.decoding import choices, generate, judging, scoring
from proxyalign.decoding.choices import choice_ids, judge_choices, score_choices
from proxyalign.decoding.readers import growing
from proxyalign.decoding.readers.contract import Both
from proxyalign.decoding.readers.elsewhere import Elsewhere
from proxyalign.decoding.readers.growing import Reader
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

CPU = torch.device("cpu")
V = 12
CONTEXTS = [[1, 2, 9], [4], [10, 7, 2, 1, 1, 5, 3]]
CHOICES = [
    [[5], [3], [5, 3], [5, 3, 11], [5, 4, 0, 0, 2, 8, 1]],
    [[0], [11]],
    [[2, 2, 2, 2], [1], [2, 2, 2, 2], [2, 2, 1]],
]
ALL_RULES = [rules.Never(), rules.Always(), rules.PrimalPooled(0.5), *RULES]


@pytest.fixture(scope="module")
def pair():
    return with_reference(llama, V)


@pytest.fixture(scope="module")
def laws_along(pair):
    """The three laws (n + 1, V) after a context and after each token of a choice, from models run whole."""

    def laws(context, ids):
        with torch.no_grad():
            whole = torch.tensor([[*context, *ids]])
            models = (pair.base, pair.proxy, pair.reference)
            return [model(whole).logits[0, len(context) - 1 :].softmax(-1) for model in models]

    return {(tuple(c), tuple(ids)): laws(c, ids) for c, of_c in zip(CONTEXTS, CHOICES, strict=True) for ids in of_c}


def test_every_rule_is_here():
    """Fails when a rule is added to the registry and not to the enumeration below."""
    assert {rule.name for rule in ALL_RULES} == set(rules.REGISTRY)


@pytest.mark.parametrize("rule", ALL_RULES, ids=str)
def test_a_choice_has_the_enumerated_likelihood(rule, pair, laws_along):
    """Fails when a token is scored at another place, row, state or model than the definition says, or is left out."""
    found = score_choices(pair, rule, CONTEXTS, CHOICES, batch_size=4)
    for context, of_prompt, log_pi in zip(CONTEXTS, CHOICES, found, strict=True):
        expected = []
        for ids in of_prompt:
            laws = laws_along[tuple(context), tuple(ids)]
            steps = [step_law(rule, *(law[: n + 1] for law in laws), ids[:n])[token] for n, token in enumerate(ids)]
            expected.append(math.prod(map(float, steps)))
        assert np.exp(log_pi) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("base", ["bytes", "signs"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_over_two_vocabularies_a_choice_has_the_enumerated_likelihood(make, base, monkeypatch):
    """Fails when a piece is read in another model's tokens, or between a row's own tokens something else is counted."""
    if base == "signs":
        monkeypatch.setattr(growing, "_WORTH", 1)  # its start and the blank after it are read once
    pair = clashing_pair(base, make=make)
    definition, pieces = Definition(pair, base), pair.vocabulary.pieces
    texts, end = ["ab a", "b", "ba ab ba"], pieces.index(END)
    long = [pieces.index(piece) for piece in (b"ba", b" a", b" b", b"ab", b"a", b" b")]
    of_texts = [[[0], [1, 2, end], long], [[2, 3]], [long[:4], [end]]]
    acting = [(rule, "any") for rule in (ADMITTED if make is llama else [rules.Dual(0.15), rules.NudgingWords(0.3)])]
    acting += [(rule, "word") for rule in (rules.Dual(0.15), rules.Primal(0.5))]
    for rule, boundaries in acting:
        found = score_choices(pair, rule, [pair.encode(text) for text in texts], of_texts, boundaries=boundaries)
        for text, of_prompt, log_pi in zip(texts, of_texts, found, strict=True):
            for ids, one in zip(of_prompt, log_pi, strict=True):
                written = [pieces[i] for i in ids]
                prompts, by_word = prompts_of(pair, text), boundaries == "word"
                steps = [step(definition, rule, prompts, written[:n], by_word)[i] for n, i in enumerate(ids)]
                assert math.exp(one) == pytest.approx(math.prod(map(float, steps)), rel=1e-9), (rule, boundaries)


@pytest.mark.parametrize("make", [llama, gpt2, sliding])
@pytest.mark.parametrize("rule", [rules.Dual(0.2), rules.Hybrid(0.3), rules.Always(), rules.ImplicitReward()], ids=str)
def test_what_is_read_together_decides_nothing(rule, make, monkeypatch):
    """Fails when neighbours, batches or parts change a number, or it is not `score`'s, which reads each row whole."""
    kinds = [make(V, seed).double() for seed in range(3)]
    pair = ModelPair(base=kinds[0], proxy=kinds[1], tokenizer=word_tokenizer(V), reference=kinds[2])
    own = [[7, 7, 1, 2, 2], [8, 1], [2]]
    whole = judge_choices(pair, rule, CONTEXTS, CHOICES, proxy_contexts=own)
    for at, of_prompt in enumerate(CHOICES):
        for one, ids in zip(whole[at], of_prompt, strict=True):
            alone = score(pair, rule, [CONTEXTS[at]], [ids], proxy_contexts=[own[at]])[0]
            assert one.log_pi == pytest.approx(alone.log_probs.sum(), rel=1e-9)
            assert one.is_greedy == alone.is_greedy.all()
    for held, at_once, batch_size in ((1, 1 << 20, 16), (1 << 20, 1, 3), (2 * 3 * V, 2 * V, 2), (1, 1, 1)):
        monkeypatch.setattr(judging, "HELD", held)
        monkeypatch.setattr(scoring, "AT_ONCE", at_once)
        parts = judge_choices(pair, rule, CONTEXTS, CHOICES, proxy_contexts=own, batch_size=batch_size)
        for one, other in zip(itertools.chain(*whole), itertools.chain(*parts), strict=True):
            assert other.log_pi == pytest.approx(one.log_pi, rel=1e-9)
            assert other.is_greedy == one.is_greedy


@pytest.mark.parametrize(
    ("rule", "mode"),
    [
        (rules.Dual(0.4), "autoregressive"),
        (rules.Hybrid(0.3, step=1.5), "speculative"),
        (rules.StaticMixture(0.3), "autoregressive"),
    ],
    ids=str,
)
def test_answers_are_drawn_as_often_as_their_likelihood_says(rule, mode):
    """A chi-square test at the level of test_law: fails when what is scored is not what `generate` writes."""
    pair = tiny_pair(llama, 3)
    answers = list(itertools.product(range(3), repeat=3))
    (log_pi,) = score_choices(pair, rule, [[1, 2, 0, 2]], [answers])
    assert math.fsum(np.exp(log_pi)) == pytest.approx(1.0, abs=1e-12)
    drawn = generate(
        pair, [[1, 2, 0, 2]], rule, mode=mode, window=2, max_new_tokens=3, num_return_sequences=10_000, seed=5,
        batch_size=5000,
    )  # fmt: skip
    assert p_value(dict(zip(answers, np.exp(log_pi).tolist(), strict=True)), drawn.token_ids) > LEVEL


def test_pieces_are_drawn_as_often_as_their_likelihood_says():
    """The same over two vocabularies, with ends and words: fails when a piece is scored that is not the one drawn."""
    pair, rule = clashing_pair(), rules.Dual(0.15)
    n, end = len(pair.vocabulary), pair.vocabulary.end_ids[0]
    answers = [(end,), *((one, other) for one in range(n) if one != end for other in range(n))]
    (log_pi,) = score_choices(pair, rule, [pair.encode("ab a")], [answers], boundaries="word")
    drawn = generate(
        pair, ["ab a"], rule, boundaries="word", max_new_tokens=2, num_return_sequences=10_000, seed=1, batch_size=5000
    )
    assert p_value(dict(zip(answers, np.exp(log_pi).tolist(), strict=True)), drawn.token_ids) > LEVEL


def read_by(pair):
    """What each model reads from now on, pass by pass: lists of input ids (B, n)."""
    passes = {}
    for role in ("base", "proxy", "reference"):
        model, passes[role] = getattr(pair, role), []
        if model is not None:
            model.register_forward_pre_hook(
                lambda _, args, kwargs, kept=passes[role]: kept.append(kwargs["input_ids"]), with_kwargs=True
            )
    return passes


MARKED = range(100, 148)  # ids that stand once in all prompts


@pytest.mark.parametrize("n_prompts", [12, 24, 48])
def test_prompts_are_read_once_and_letters_need_no_further_pass(n_prompts):
    """Fails when a choice has its prompt read anew, or passes do not grow as the number of prompts does."""
    pair = tiny_pair(llama, 150)
    passes = read_by(pair)
    contexts = [[MARKED[i], *[1 + i % 3] * (i % 7), 9] for i in range(n_prompts)]
    score_choices(pair, rules.Dual(0.3), contexts, [[[5], [6], [7], [8]]] * n_prompts, batch_size=6)
    for role in ("base", "proxy"):
        assert len(passes[role]) == n_prompts // 6
        counts = Counter(i for tokens in passes[role] for i in tokens.flatten().tolist())
        assert [counts[i] for i in MARKED[:n_prompts]] == [1] * n_prompts
        # Prompts of like length are read together, so that there is little padding.
        assert sum(tokens.numel() for tokens in passes[role]) <= sum(map(len, contexts)) + 6 * 6


def test_longer_choices_are_rows_of_their_own_without_their_last_token():
    """Fails when a last token, which decides nothing, is read, or choices that differ in it alone are read apart."""
    pair = tiny_pair(llama, 150)
    passes = read_by(pair)
    contexts = [[100, 1, 2], [101, 1, 2], [102, 1, 2]]
    few = [[[5], [110, 5], [111, 5, 6, 7], [110, 6]], [[112, 5, 6]], [[113, 5]]]
    score_choices(pair, rules.Dual(0.3), contexts, few, batch_size=3)
    for role in ("base", "proxy"):
        assert [list(tokens.shape) for tokens in passes[role]] == [[3, 3], [3, 3], [1, 1]]
        assert passes[role][1].tolist() == [[111, 5, 6], [112, 5, 0], [110, 0, 0]]
        assert passes[role][2].tolist() == [[113]]


SHOTS = [149, 1, 2, 2, 3, 1, 2, 3, 3, 1, 1, 2]
ASKED = [[100], [101, 5, 6, 6], [102, 5], [103, 6, 6, 6, 6], [104, 5]]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_prompts_begin_with_is_read_once_in_a_batch(make, monkeypatch):
    """Fails when examples before each question are read for each of them, or what comes after sees them otherwise."""
    pair, rule = tiny_pair(make, 150), rules.Dual(0.3)
    contexts = [[1, 110], *(SHOTS + one for one in ASKED), [2, 111, 3]]
    few = [[[1, 2]], [[5], [6, 5, 5, 7]], [[7]], [[8, 8]], [[5], [6]], [[9] * 6], [[3]]]
    apart = score_choices(pair, rule, contexts, few)
    monkeypatch.setattr(growing, "_WORTH", 4 * len(SHOTS))
    monkeypatch.setattr(choices, "_BEGINNING", len(SHOTS))
    passes = read_by(pair)
    for one, other in zip(apart, score_choices(pair, rule, contexts, few, batch_size=5), strict=True):
        assert other == pytest.approx(one, rel=1e-9)
    for role in ("base", "proxy"):
        counts = Counter(i for tokens in passes[role] for i in tokens.flatten().tolist())
        assert [counts[i] for i in (149, 100, 101, 102, 103, 104)] == [1] * 6


@pytest.mark.parametrize(
    ("rule", "running"),
    [
        (rules.Never(), ["base"]),
        (rules.Always(), ["proxy"]),
        (rules.Dual(0.3), ["base", "proxy"]),
        (rules.Truncated(rules.Dual(0.3)), ["base"]),
        (rules.ImplicitReward(), ["base", "proxy", "reference"]),
    ],
    ids=str,
)
def test_a_model_that_the_rule_never_asks_does_not_run(rule, running):
    """Fails when a parent alone costs two models."""
    pair = with_reference(llama, V)
    passes = read_by(pair)
    score_choices(pair, rule, CONTEXTS, CHOICES)
    assert sorted(role for role, of_role in passes.items() if of_role) == running


@pytest.mark.parametrize("kind", SLOT_BY_SLOT)
def test_a_model_that_counts_slots_reads_one_prompt_at_a_time(kind):
    """Fails when rows get the positions of their padding; several prompts at once are refused."""
    pair = ModelPair(base=SLOT_BY_SLOT[kind](), proxy=llama(V, 0).double(), tokenizer=word_tokenizer(V))
    found = score_choices(pair, rules.Never(), CONTEXTS, CHOICES, batch_size=1)
    for context, of_prompt, log_pi in zip(CONTEXTS, CHOICES, found, strict=True):
        alone = [score(pair, rules.Never(), [context], [ids])[0].log_probs.sum() for ids in of_prompt]
        assert log_pi == pytest.approx(alone, rel=1e-9)
    with pytest.raises(InputError, match=f"got a {kind} model and 3 texts at once; pass batch_size=1"):
        score_choices(pair, rules.Never(), CONTEXTS, CHOICES)


@torch.inference_mode()
@pytest.mark.parametrize("texts", [[SHOTS, SHOTS], [SHOTS, [*SHOTS, 4], SHOTS[:5]], [[3], [4, 5]], [SHOTS]])
def test_texts_may_begin_alike_to_any_extent(texts, monkeypatch):
    """Fails when nothing is left to read after what is shared, or a text that ends there is read to its end."""
    monkeypatch.setattr(growing, "_WORTH", 1)
    model = sliding(150, 0).double()
    reader = Reader("base", model, 150, 64)
    reader.join(texts)
    for row, text in zip(reader.read()[:, -1], texts, strict=True):
        torch.testing.assert_close(row, model(torch.tensor([text])).logits[0, -1], rtol=0, atol=1e-12)


@torch.inference_mode()
def test_a_reader_that_was_branched_stays_as_it_is():
    """Fails when rows that are repeated share what they read with one another, or with those that they come from."""
    model = sliding(V, 0).double()
    reader = Reader("base", model, V, 64)
    reader.push_texts(CONTEXTS)
    reader.read()
    branch = Elsewhere(reader, CPU, CPU).branched(Both.of(np.array([2, 0, 2]), CPU))
    rest = torch.tensor([[3, 1, 4], [1, 5, 9], [2, 6, 5]])
    branch.push(rest)
    of_branch = branch.read()[:, -1]
    reader.push(torch.tensor([[8], [8], [8]]))
    of_reader = reader.read()[:, -1]
    texts = [CONTEXTS[row] + rest[n].tolist() for n, row in enumerate((2, 0, 2))] + [[*text, 8] for text in CONTEXTS]
    for row, text in zip([*of_branch, *of_reader], texts, strict=True):
        torch.testing.assert_close(row, model(torch.tensor([text])).logits[0, -1], rtol=0, atol=1e-12)
    assert (sum(branch.passes.values()), sum(reader.passes.values())) == (1, 2)


@pytest.mark.parametrize("role", ["base", "proxy"])
def test_numbers_that_are_none_are_told_with_their_choice(role):
    """Fails when a NaN becomes a likelihood, or is told of another prompt, choice or model."""
    pair = tiny_pair(llama, V)
    with torch.no_grad():
        getattr(pair, role).get_input_embeddings().weight[6] = torch.nan
    contexts, few = [[1], [2, 3]], [[[6], [4, 5]], [[1], [4, 6], [4, 5, 6, 1]]]
    with pytest.raises(InputError, match=rf"the {role} must give finite .* infinity for choices\[1\]\[2\]; check"):
        score_choices(pair, rules.Dual(0.3), contexts, few)
    with pytest.raises(InputError, match=rf"the {role} must give finite .* infinity for choices\[0\]\[0\]; check"):
        score_choices(pair, rules.Dual(0.3), [[6], [1]], [[[1]], [[2]]])


REFUSED = [
    ({"contexts": [[1], []]}, r"contexts\[1\] must hold at least one token, got none"),
    ({"contexts": [[1], [V]]}, r"contexts\[1\] must hold token ids from 0 to 11, got 12"),
    ({"contexts": [[1]]}, "contexts must be as many as choices, 2, got 1"),
    ({"contexts": [[1], [3] * 65]}, r"contexts\[1\] and choices\[1\]\[0\] must fit .* of 64 tokens, got 65 \+ 1"),
    ({"choices": [[[2]], []]}, r"choices\[1\] must hold at least one choice, got none"),
    ({"choices": [[[2]], [[2], []]]}, r"choices\[1\]\[1\] must hold at least one token, got none"),
    ({"choices": [[[2]], [[2], [1, -1]]]}, r"choices\[1\]\[1\] must hold token ids from 0 to 11, got -1"),
    ({"choices": [[[2]], [[2], [1] * 65]]}, r"contexts\[1\] and choices\[1\]\[1\] must fit .* 64 tokens, got 1 \+ 65"),
    ({"proxy_contexts": [[1], []]}, r"proxy_contexts\[1\] must hold at least one token"),
    ({"proxy_contexts": [[1], [3] * 65]}, r"proxy_contexts\[1\] and choices\[1\]\[0\] must fit"),
    ({"rule": rules.ImplicitReward()}, "needs a reference"),
    ({"rule": "dual"}, "rule must be a rule"),
    ({"boundaries": "line"}, "boundaries must be any or word, got 'line'"),
    ({"rule": rules.StaticMixture(0.5), "boundaries": "word"}, 'boundaries="word" must go with a rule that defers'),
    ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_what_cannot_be_scored_is_refused_before_any_work(change, told):
    """Fails when a mistake reaches the models, or is told in more than a sentence."""
    pair = tiny_pair(llama, V)
    passes = read_by(pair)
    arguments = {"rule": rules.Dual(0.4), "contexts": [[1], [3]], "choices": [[[2]], [[4]]]} | change
    with pytest.raises(InputError, match=told) as caught:
        score_choices(pair, **arguments)
    assert passes == {"base": [], "proxy": [], "reference": []}
    assert "\n" not in str(caught.value)


def test_a_choice_may_fill_the_context_and_no_prompts_have_no_choices():
    """Fails when the last token is counted as read, or nothing to do breaks."""
    pair = tiny_pair(llama, V)
    assert np.isfinite(score_choices(pair, rules.Dual(0.4), [[1]], [[[3] * 64]])[0])
    assert score_choices(pair, rules.Dual(0.4), [], []) == []


TEXTS = st.text("abé ", max_size=8)


@pytest.mark.parametrize("make", [bytes_tokenizer, signs_tokenizer])
@given(prompt=TEXTS, texts=st.lists(TEXTS.map(" ".__add__) | TEXTS.map("b".__add__), min_size=1, max_size=4))
def test_a_prompt_and_its_choices_are_cut_as_the_whole_texts_are(make, prompt, texts):
    """Fails when the ids of a choice are not those of the text, or its prompts differ from choice to choice."""
    pair = ModelPair(base=llama(12, 0), proxy=llama(12, 1), tokenizer=make())
    context, cut = choice_ids(pair, prompt, texts)
    whole = [pair.encode(prompt + text) for text in texts]
    assert [context + ids for ids in cut] == whole
    alone = pair.encode(prompt)
    n = len(context)
    assert context == alone[:n]
    assert n == len(alone) or any(ids[n : n + 1] != alone[n : n + 1] for ids in whole)  # no earlier than it must


def test_of_two_vocabularies_a_prompt_ends_before_its_blanks():
    """Fails when a blank is left to the prompt, or is lost."""
    two = clashing_pair()
    texts = ["b", " a", "ab a", " é"]
    for prompt in ("b", "ba", "a b", "ab "):
        context, cut = choice_ids(two, prompt, texts)
        assert context == two.encode(prompt.rstrip())
        spelt = [two.vocabulary.spells(ids).decode() for ids in cut]
        assert spelt == [prompt[len(prompt.rstrip()) :] + text for text in texts]
