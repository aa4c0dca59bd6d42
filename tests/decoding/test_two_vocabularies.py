"""Statement 16: over two vocabularies the engine has the law of pieces that is written out in `clashing.Definition`.

Level: as in test_law. With 4,000 answers of a rule in one way, which fall into about 80 kinds that are not rare, a law
whose chi-square distance from the rule's is 0.17 (0.08 in total variation at most) is told in 99 of 100 cases.
"""

import inspect
import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch
from clashing import END, MAKERS, Definition, bytes_tokenizer, clashing_pair
from scipy import stats as scipy_stats
from test_every_rule import runs_of, step_law
from test_law import LEVEL, p_value
from tiny_models import gpt2, llama, longrope
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from proxyalign.decoding import generate
from proxyalign.decoding.scoring import score
from proxyalign.deferral import policy, rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

RULES = [
    rules.Never(),
    rules.Always(),
    rules.Dual(0.15),
    rules.Primal(0.5),
    rules.NearOptimal(0.5, eps=0.05),
    rules.Exact(0.5),
    rules.Hybrid(0.4, step=1.5),
    rules.Nudging(0.3),
    rules.NudgingWords(0.3),
    rules.Chow(0.4),
    rules.Gap(0.2),
    rules.EntropyGate(1.8),
    rules.TopK(3, min_keep=0),
    rules.TopP(0.6, min_keep=0),
    rules.MinP(0.5),
    rules.Epsilon(0.1, min_keep=0),
    rules.Eta(0.3, min_keep=0),
    rules.Typical(0.5),
    rules.TopH(0.6),
    rules.TopNSigma(0.9),
    rules.StaticMixture(0.3),
    rules.Truncated(rules.Dual(0.1)),
    rules.Truncated(rules.Primal(0.1)),
    rules.WSD(0.15, window=2),
]
FOLLOWING = [rules.Hybrid(0.4, step=1.5), rules.NudgingWords(0.3), rules.WSD(0.15, window=2)]
WAYS = [("autoregressive", 1), ("speculative", 1), ("speculative", 2), ("speculative", 4)]
TEXTS = ["ab a", "b", "ba ab", "a"]
LENGTH, N_DRAWS = 3, 4_000  # of each rule in each way, 800,000 in all


def prompts_of(pair, text):
    return {role: pair.encode(text, role) for role in ("base", "proxy")}


def begins_a_word(piece):
    return piece is not END and piece.startswith((b" ", b"\n"))


def is_inside(piece):
    """Whether a word goes on after a piece: here every letter and every half of one is of a word."""
    return piece is not END and not piece.endswith(b" ")


def goes_on(piece):
    return piece is not END and not piece.startswith(b" ")


def step(definition, rule, prompts, answer, word=False):
    """pi (U,) after an answer of pieces; rules that follow a text are written out, and so are words."""
    pieces = definition.pair.vocabulary.pieces
    p = [definition.law("base", prompts["base"], answer[:n]) for n in range(len(answer) + 1)]
    if word:
        deferred, pen = None, "free"
        continues = torch.tensor([goes_on(piece) for piece in pieces])
        for n, law in enumerate(p):
            deferred = rule.defer(law)
            if pen != "free":
                deferred = torch.where(continues, pen == "proxy", deferred)
            if n < len(answer):
                by_proxy = bool(deferred[pieces.index(answer[n])])
                pen = ("proxy" if by_proxy else "base") if is_inside(answer[n]) else "free"
        return definition.step(rule, prompts, answer, defer=lambda _: deferred)
    q = [definition.law("proxy", prompts["proxy"], answer[:n]) for n in range(len(answer) + 1)]
    if isinstance(rule, rules.NudgingWords):
        is_end = torch.tensor([piece is END for piece in pieces])
        by_proxy = True
        for base, proxy in zip(p[1:], q[1:], strict=True):
            in_word = by_proxy and not begins_a_word(pieces[int(proxy.argmax())])
            agrees = by_proxy and base.argmax() == proxy.argmax()
            by_proxy = in_word or not (base.max() >= rule.alpha or agrees)
        return policy.cascade(p[-1], q[-1], is_end | by_proxy)
    return step_law(rule, p, q, [None], [pieces.index(piece) for piece in answer])


@cache
def defined(base):
    return Definition(clashing_pair(base), base)


@cache
def enumerated(base, rule, boundaries):
    definition = defined(base)
    prompts, pieces = prompts_of(definition.pair, TEXTS[0]), definition.pair.vocabulary.pieces
    law = {(): 1.0}
    for _ in range(LENGTH):
        longer = {}
        for answer, weight in law.items():
            if answer and pieces[answer[-1]] is END:
                longer[answer] = weight
                continue
            pi = step(definition, rule, prompts, [pieces[i] for i in answer], boundaries == "word")
            longer |= {(*answer, x): weight * float(pi[x]) for x in range(len(pieces))}
        law = longer
    return law


def test_every_rule_is_admitted_or_refused():
    """Fails when a rule that compares p with q token by token decodes over two vocabularies, or another does not."""
    admitted = {rule.name for rule in RULES} | {"primal-pooled"}
    assert admitted == {name for name in rules.REGISTRY if not one_of(name).compares_tokens}
    for name in set(rules.REGISTRY) - admitted:
        with pytest.raises(InputError, match=f"must not compare p with q token by token, .*, got {name}; take"):
            generate(clashing_pair(), ["a"], one_of(name), max_new_tokens=2)


def one_of(name):
    """A rule of this name; 1 is in the domain of every parameter without a default."""
    parameters = inspect.signature(rules.REGISTRY[name]).parameters.values()
    return rules.make(name, **{one.name: 1 for one in parameters if one.default is inspect.Parameter.empty})


@pytest.mark.slow
@pytest.mark.parametrize("base", ["bytes", "signs"])
@pytest.mark.parametrize(("mode", "window"), WAYS)
def test_the_sampled_law_of_pieces_is_the_enumerated_one(mode, window, base, solved_once):
    """Fails when one id counts for several, a context is encoded anew, a rollback counts pieces for tokens.

    The p-values of all rules have to be uniform too; in batches of one and of three the same keys give the same pieces.
    """
    pair, found = defined(base).pair, {}
    for seed, (rule, boundaries) in enumerate([*((rule, "any") for rule in RULES), (rules.Dual(0.15), "word")]):
        law = enumerated(base, rule, boundaries)
        assert math.isclose(sum(law.values()), 1.0, abs_tol=1e-9)
        asked = {"mode": mode, "window": window, "max_new_tokens": LENGTH, "seed": seed, "boundaries": boundaries}
        answers = generate(pair, TEXTS[:1], rule, num_return_sequences=N_DRAWS, batch_size=N_DRAWS, **asked).token_ids
        found[f"{rule} {boundaries}"] = p_value(law, answers)
        small = (1, 3)[(seed + WAYS.index((mode, window))) % 2]  # over the ways, each rule has both
        few = generate(pair, TEXTS[:1], rule, num_return_sequences=7, batch_size=small, **asked)
        assert few.token_ids == answers[:7], (rule, small)
    print("\n".join(f"{p:.3f} {rule}" for rule, p in found.items()))
    assert min(found.values()) > LEVEL / 10, found
    assert scipy_stats.kstest(list(found.values()), "uniform").pvalue > LEVEL, found


@pytest.mark.parametrize("base", ["bytes", "signs"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_step_sees_the_law_that_the_definition_has(make, base):
    """Fails when the cache of a batch that is refilled is out of step, at windows of attention and without any."""
    pair = clashing_pair(base, make=make)
    definition, rule = Definition(pair, base), rules.Dual(0.15)
    pieces = pair.vocabulary.pieces
    for (mode, window), batch_size in itertools.product(WAYS, (1, 3)):
        out = generate(
            pair, TEXTS, rule, mode=mode, window=window, max_new_tokens=12, batch_size=batch_size,
            num_return_sequences=4, distributions=True,
        )  # fmt: skip
        for at, trace in enumerate(out.traces):
            base_ids, answer = prompts_of(pair, TEXTS[at // 4])["base"], []
            for i, p_y, mass, seen in zip(
                trace.token_ids, trace.p_y, trace.deferral_mass, trace.distributions, strict=True
            ):
                p = definition.law("base", base_ids, answer)
                assert p_y == pytest.approx(float(p[i]), abs=1e-12)
                assert mass == pytest.approx(float(p[rule.defer(p)].sum()), abs=1e-12)
                assert seen == pytest.approx(p.numpy(), abs=1e-6)
                answer.append(pieces[i])


@pytest.mark.parametrize("boundaries", ["any", "word"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_greedy_decoding_is_the_same_in_all_ways(make, boundaries):
    """Fails when a rejected draft leaves tokens in a cache, or a state that its word gave the rule."""
    acting = [rules.Dual(0.15), rules.Primal(0.5)]
    chosen = acting if boundaries == "word" else [*acting, *FOLLOWING] if make is not llama else RULES
    for at, (base, rule) in enumerate(itertools.product(["bytes", "signs"], chosen)):
        pair, answers = clashing_pair(base, make=make), set()
        for (mode, window), batch_size in runs_of(at):
            out = generate(
                pair, TEXTS, rule, mode=mode, window=window, batch_size=batch_size, temperature=0, max_new_tokens=13,
                boundaries=boundaries,
            )  # fmt: skip
            answers.add(str(out.token_ids))
        assert len(answers) == 1, (base, rule)


def test_texts_are_the_bytes_of_their_pieces():
    """Fails when pieces are shown by a tokenizer that blanks or cleans them up, or halves of a character are lost."""
    pair = clashing_pair()
    out = generate(pair, ["ab"], rules.Dual(0.15), num_return_sequences=200, max_new_tokens=6)
    for text, ids in zip(out.texts, out.token_ids, strict=True):
        spelt = b"".join(pair.vocabulary.pieces[i] or b"" for i in ids)
        assert text == spelt.decode("utf-8", "replace")
    assert any("é" in text for text in out.texts)
    assert any("�" in text for text in out.texts)
    assert "title=" in out.traces[0]._repr_html_()


def test_equal_vocabularies_given_as_different_ones_have_the_same_law():
    """Fails when what a piece's law is depends on its ids: the proxy's are in another order, its weights with them."""
    one = ModelPair(base=plain(0), proxy=plain(1), tokenizer=bytes_tokenizer())
    assert not one.has_two_vocabularies
    order = torch.tensor([0, 1, 8, 6, 2, 7, 3, 5, 4])  # of the old ids, by the new ones
    names = bytes_tokenizer().get_vocab()
    turned = {name: int((order == i).nonzero()) for name, i in names.items()}
    proxy = plain(1)
    for weights in (proxy.get_input_embeddings().weight, proxy.lm_head.weight):
        weights.data[:] = weights.data[order].clone()
    two = ModelPair(base=plain(0), proxy=proxy, tokenizer=bytes_tokenizer(), proxy_tokenizer=renumbered(turned))
    assert two.has_two_vocabularies
    assert {*two.vocabulary.pieces} == {*one.vocabulary.pieces} - {b""}
    ids = [2, 7, 8, 4, 5, 6, 3, 1]
    pieces = [two.vocabulary.pieces.index(one.vocabulary.pieces[i]) for i in ids]
    for rule in (rules.Dual(0.2), rules.Primal(0.4), rules.Always(), rules.Hybrid(0.3), rules.StaticMixture(0.5)):
        # <bos>, which spells nothing, may not come in the one either.
        texts = [one.encode("ab")]
        of_one = score_without_start(one, rule, texts, ids)
        (of_two,) = score(two, rule, texts, [pieces])
        assert of_two.log_probs == pytest.approx(of_one, abs=1e-9), rule


def score_without_start(pair, rule, texts, ids):
    from proxyalign.decoding.shaping import Shaping

    bias = torch.zeros(pair.vocab_size, dtype=torch.float64)
    bias[0] = -torch.inf
    shaping = Shaping(1.0, 1.0, bias=bias, ends=(), min_new_tokens=0, truncations={})
    (found,) = score(pair, rule, texts, [ids], shaping=shaping)
    return found.log_probs


def plain(seed):
    return llama(9, seed, eos_token_id=1).double()


def renumbered(vocabulary):
    """The tokenizer of bytes with other ids."""
    import json

    settings = json.loads(bytes_tokenizer().backend_tokenizer.to_str())
    settings["model"]["vocab"] = vocabulary
    for token in settings["added_tokens"]:
        token["id"] = vocabulary[token["content"]]
    settings["post_processor"]["special_tokens"]["<bos>"]["ids"] = [vocabulary["<bos>"]]
    backend = Tokenizer.from_str(json.dumps(settings))
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>")


@pytest.mark.parametrize("boundaries", ["any", "word"])
def test_a_text_that_is_there_has_the_law_of_the_definition(boundaries):
    """Fails when the score of a piece is read where its model has read too little of it, or of another row."""
    for base, rule in itertools.product(["bytes", "signs"], [rules.Dual(0.15), rules.Primal(0.5)]):
        pair = clashing_pair(base)
        definition, rng = Definition(pair, base), np.random.default_rng(3)
        n = len(pair.vocabulary) - 1
        answers = [rng.integers(0, n, size=size).tolist() for size in (5, 1, 8, 0)]
        found = score(pair, rule, [pair.encode(text) for text in TEXTS], answers, boundaries=boundaries)
        for text, ids, one in zip(TEXTS, answers, found, strict=True):
            pieces = [pair.vocabulary.pieces[i] for i in ids]
            laws = [
                step(definition, rule, prompts_of(pair, text), pieces[:at], boundaries == "word")
                for at in range(len(ids))
            ]
            assert np.exp(one.log_probs) == pytest.approx([float(pi[i]) for pi, i in zip(laws, ids, strict=True)])


def test_a_stop_string_may_end_inside_a_piece():
    """Fails when the text goes on after a piece that completes the string and spells more."""
    pair = clashing_pair()
    out = generate(pair, ["a"], rules.Dual(0.15), stop=["b"], num_return_sequences=100, max_new_tokens=9)
    assert any(pair.vocabulary.pieces[ids[-1]] == b"ba" for ids in out.token_ids)
    for text, ids in zip(out.texts, out.token_ids, strict=True):
        assert "b" not in "".join(pair.vocabulary.decode([i]) for i in ids[:-1])
        assert len(ids) == 9 or "b" in text or pair.vocabulary.pieces[ids[-1]] is END


def test_settings_speak_of_pieces():
    """Fails when a bias, a minimum length or a truncation acts on ids of one model."""
    pair = clashing_pair(seed=1)
    (end,) = pair.eos_token_ids
    ab = pair.vocabulary.pieces.index(b"ab")
    settings = {"num_return_sequences": 100, "max_new_tokens": 5, "mode": "speculative", "window": 2}
    out = generate(pair, ["a"], rules.Dual(0.15), min_new_tokens=5, logit_bias={ab: -math.inf}, **settings)
    assert {len(ids) for ids in out.token_ids} == {5}
    assert not any(end in ids[:-1] or ab in ids for ids in out.token_ids)
    greedy = generate(pair, ["a"], rules.Never(), temperature=0, max_new_tokens=5)
    assert generate(pair, ["a"], rules.Never(), top_k=1, max_new_tokens=5).token_ids == greedy.token_ids


def test_prompts_of_ids_are_read_by_the_proxy_as_text():
    """Fails when the proxy reads the base's ids, or a start token of the base as text."""
    pair = clashing_pair()
    settings = {"max_new_tokens": 6, "num_return_sequences": 5}
    of_text = generate(pair, ["ab a"], rules.Always(), **settings).token_ids
    assert generate(pair, [pair.encode("ab a")], rules.Always(), **settings).token_ids == of_text
    own = pair.encode("ab a", "proxy")
    assert generate(pair, [[2]], rules.Always(), proxy_prompts=[own], **settings).token_ids == of_text
    with pytest.raises(InputError, match=r"prompts\[0\] must be a text that .*, got id 1, which spells nothing; pass"):
        generate(pair, [[0, 2, 1, 2]], rules.Dual(0.3), max_new_tokens=2)
    with pytest.raises(InputError, match="got half a character"):
        generate(pair, [[0, 2, 5]], rules.Dual(0.3), max_new_tokens=2)


@pytest.mark.parametrize("make", [llama, gpt2, longrope])
def test_a_text_ends_where_a_models_context_does(make):
    """Fails when a piece is drawn from a law that was read past the last position, or past the one where rotary angles
    change, or the run dies there."""
    for base in ("bytes", "signs"):
        pair = clashing_pair(base, make=make, context=12)
        assert pair.context_of("base") == pair.context_of("proxy") == 12
        answers = []
        for (mode, window), batch_size in itertools.product(WAYS, (1, 3)):
            out = generate(
                pair, ["a", "ab"], rules.Dual(0.15), mode=mode, window=window, max_new_tokens=6, batch_size=batch_size,
                temperature=0, eos_token_ids=(), min_new_tokens=0,
            )  # fmt: skip
            answers.append(out.token_ids)
        assert all(one == answers[0] for one in answers)
        for text, ids in zip(["a", "ab"], answers[0], strict=True):
            for role in ("base", "proxy"):
                side = pair.vocabulary.sides[role]
                room = 12 - len(pair.encode(text, role))
                assert sum(len(side.ids[i]) for i in ids[:-1]) <= room


def test_who_holds_the_pen_must_be_asked_of_rules_that_defer():
    """Fails when boundaries are dropped in silence, or a state of the rule's own is."""
    pair = clashing_pair()
    for rule in (rules.Hybrid(0.3), rules.StaticMixture(0.3), rules.NudgingWords(0.4), rules.WSD(0.4)):
        with pytest.raises(InputError, match='boundaries="word" must go with a rule that defers each token by itself'):
            generate(pair, ["a"], rule, boundaries="word", max_new_tokens=2)
    with pytest.raises(InputError, match="boundaries must be any or word, got 'words'"):
        generate(pair, ["a"], rules.Dual(0.3), boundaries="words", max_new_tokens=2)


def test_bytes_that_a_model_cannot_write_are_refused():
    """Fails when a tokenizer without bytes loses what the other model writes."""
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    words.pre_tokenizer, words.decoder = pre_tokenizers.Whitespace(), decoders.WordPiece()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    for tokenizers, role in (((tokenizer, bytes_tokenizer()), "base"), ((bytes_tokenizer(), tokenizer), "proxy")):
        with pytest.raises(InputError, match=f"the {role}'s tokenizer must be able to write every piece of the other"):
            ModelPair(base=llama(12, 0), proxy=llama(12, 1), tokenizer=tokenizers[0], proxy_tokenizer=tokenizers[1])
