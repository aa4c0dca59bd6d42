"""Drawn pairs of tokenizers: the library agrees with what is written down of them, and they clash in every way."""

from dataclasses import replace

import numpy as np
import pytest

from proxyalign.verify.cases.clashing import ROWS, clash, is_permuted, tokens_of
from proxyalign.verify.reference.piece_laws import PieceLaws, all_pieces, is_of_word

NUMBERS = range(300)
DRAWN = [tokens_of(number) for number in NUMBERS]


def shared(base, proxy):
    """The strings of both, and their ids in each."""
    ids = [{string: i for i, string in one.strings.items()} for one in (base, proxy)]
    return [(ids[0][string], ids[1][string]) for string in ids[0].keys() & ids[1].keys()]


CLASHES = {
    "one string under different ids": lambda base, proxy: any(i != j for i, j in shared(base, proxy)),
    "strings of one side alone": lambda base, proxy: bool(set(proxy.strings.values()) - set(base.strings.values())),
    "several ids for one string": lambda base, _: len(set(base.strings.values())) < len(base.strings),
    "three ids for one string": lambda base, _: list(base.strings.values()).count(b" ") == 3,
    "half characters in longer pieces": lambda base, _: any(
        len(string) > 1 and "\ufffd" in string.decode("utf-8", "replace") for string in base.strings.values()
    ),
    "byte tokens": lambda base, _: not base.by_letter,
    "different merges": lambda base, proxy: base.merges != proxy.merges,
    "a start token on one side": lambda base, proxy: base.starts != proxy.starts,
    "a dummy blank on one side": lambda base, proxy: base.has_blank != proxy.has_blank,
    "two ends beside one or none": lambda base, proxy: len(base.ends) == 2 > len(proxy.ends),
    "a string that one side cannot read": lambda base, proxy: base.reads(b"\1") != proxy.reads(b"\1"),
    "no end at all": lambda base, proxy: not base.ends and not proxy.ends,
    "ids without a token": lambda base, _: len(base.ids) < max(base.ids.values()) + 1,
    "a token without a column": lambda base, proxy: any(max(one.ids.values()) >= one.width for one in (base, proxy)),
    "columns beyond the tokens": lambda base, _: base.width > max(base.ids.values()) + 1,
    "a piece that the other reads as several": lambda base, proxy: any(
        proxy.reads(string) and len(PieceLaws(proxy, (string,)).ids(0)) > 1 for string in base.strings.values()
    ),
}


@pytest.mark.parametrize("clashes", CLASHES.values(), ids=CLASHES)
def test_many_pairs_clash_in_this_way(clashes):
    """Fails when cases no longer have what goes wrong between vocabularies."""
    assert sum(clashes(*pair) for pair in DRAWN) > len(DRAWN) / 20


def test_the_library_reads_texts_as_the_tokens_and_merges_say():
    """Fails when merges by hand are not the library's, which would make a wrong reading the definition's."""
    texts = ["a", "ab", "ba", " ab b", "bé a", "é b", "ééa", "aab\nba é"]
    for base, _ in DRAWN[:100]:
        tokenizer = base.tokenizer()
        for text in texts:
            whole = PieceLaws(replace(base, width=99), ()).made_of(text.encode())
            before = tokenizer("\n", add_special_tokens=False)["input_ids"]  # a text begins anew after a new line
            assert tokenizer("\n" + text, add_special_tokens=False)["input_ids"] == [*before, *whole]
            assert b"".join(replace(base, width=99).strings[i] for i in whole) == text.encode()


def test_ids_in_two_orders_are_one_vocabulary():
    """Fails when a pair that is to have one vocabulary has not, or has it in one order."""
    turned = [number for number in range(200) if is_permuted(number)]
    for base, proxy in map(tokens_of, turned):
        assert base.merges == proxy.merges
        assert sorted(base.ids) == sorted(proxy.ids)
        assert sorted(base.strings.values()) == sorted(proxy.strings.values())
        assert base.ids != proxy.ids
        assert all_pieces(base) == all_pieces(base, proxy)


def test_every_law_has_mass_on_what_its_model_can_write():
    """Fails when a law over pieces is none, since all that it has is special."""
    for seed in range(300):
        case = clash(np.random.default_rng(seed))
        for tokens, laws in zip(tokens_of(case.tokenizers), (case.p, case.q), strict=True):
            text = [i for i, string in tokens.strings.items() if string != b"\1"]
            assert laws.shape == (ROWS, tokens.width)
            assert (laws[:, [*text, *tokens.end_ids]].sum(1) > 1e-3).all()


@pytest.mark.parametrize(
    ("piece", "begins", "ends"),
    [(b"a", True, True), (b" a", False, True), (b"a\n", True, False), (b"\xc3", True, True), (b"\xa9 ", True, False)],
)
def test_letters_and_halves_of_characters_are_of_words(piece, begins, ends):
    """Fails when words by hand end elsewhere than they do."""
    assert (is_of_word(piece, 0), is_of_word(piece, -1)) == (begins, ends)
