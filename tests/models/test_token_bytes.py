"""What ids spell, for every kind of tokenizer, and how a model reads bytes in the middle of a text."""

import pytest
from clashing import bytes_tokenizer, signs_tokenizer
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import word_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from proxyalign.errors import InputError
from proxyalign.models import load_pair
from proxyalign.models.token_bytes import TokenBytes, same_vocabulary

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def fast(backend, **special):
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def whole_byte_level(*more):
    """Byte-level BPE with all 256 letters, as GPT-2's, and a few merges."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "Ġ"), ("â", "Ģ")]
    vocabulary = {token: i for i, token in enumerate([*letters, *("".join(merge) for merge in merges)])}
    backend = Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = fast(backend, eos_token="<|end|>")
    tokenizer.add_tokens(list(more))
    return tokenizer


def sentence_piece(blank="first", kind="bpe"):
    """BPE or Unigram with a sign for a blank, byte tokens, and the dummy blank of the kind that is named."""
    words = ["▁", "t", "h", "e", "th", "the", "▁the", "a", "\n", "é"]
    pieces = ["<unk>", "<s>", "</s>", *BYTES, *words]
    if kind == "bpe":
        merges = [("t", "h"), ("th", "e"), ("▁", "the")]
        model = models.BPE({token: i for i, token in enumerate(pieces)}, merges, byte_fallback=True, unk_token="<unk>")
    else:
        scores = [(token, -10.0 if token in BYTES else -float(9 - len(token))) for token in pieces]
        model = models.Unigram(scores, unk_id=0, byte_fallback=True)
    backend = Tokenizer(model)
    if blank == "legacy":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif blank == "none":
        backend.normalizer = normalizers.Replace(" ", "▁")
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=blank, split=False)
    strip = [] if blank == "none" else [decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return fast(backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def word_piece():
    words = ["[UNK]", "the", "##m", "##e", "a", ",", "m", "e"]
    backend = Tokenizer(models.WordPiece({token: i for i, token in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return fast(backend, unk_token="[UNK]")


LOSSLESS = {
    "byte level": whole_byte_level,
    "no dummy blank": lambda: sentence_piece("none"),
    "a blank at the first word": lambda: sentence_piece("first"),
    "a blank at each part": lambda: sentence_piece("always"),
    "a blank by the normalizer": lambda: sentence_piece("legacy"),
    "unigram": lambda: sentence_piece("first", "unigram"),
}


@pytest.mark.parametrize("make", LOSSLESS.values(), ids=LOSSLESS)
@given(data=st.data())
def test_ids_of_bytes_in_the_middle_of_a_text_spell_them(make, data):
    """Fails for a dummy blank, a start token, a byte that is dropped, or half a character that is none."""
    known = TokenBytes(make())
    string = data.draw(
        st.one_of(
            st.binary(max_size=6),
            st.text(max_size=8).map(str.encode),
            st.lists(st.sampled_from(["the", " the", "  ", "\n", "é", " ", "▁", "Ġ", "<0x41>", "</s>"])).map(
                lambda parts: "".join(parts).encode()
            ),
        )
    )
    ids = known.encode(string)
    assert b"".join(known.strings[i] for i in ids) == string


@pytest.mark.parametrize("make", LOSSLESS.values(), ids=LOSSLESS)
def test_what_a_tokenizer_makes_of_a_text_is_what_its_model_reads(make):
    """Fails when bytes are cut into other tokens than the tokenizer's own, say into byte tokens."""
    known = TokenBytes(make())
    assert len(known.encode(b" the")) == 1
    assert len(known.encode(b"thethe")) == 2
    assert len(known.encode(b" the the")) == 2
    assert len(known.encode("é".encode())) <= 2


def test_a_character_with_a_token_and_a_byte_token_is_read_by_the_token():
    """Fails when the ids of one string are not all known, or the model reads the one that it never saw."""
    known = TokenBytes(sentence_piece())
    tokens = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *BYTES, "▁", "t", "h", "e"])}
    assert known.ids[b"t"] == (tokens["t"], tokens["<0x74>"])
    assert known.ids[b" "] == (tokens["▁"], tokens["<0x20>"])
    assert known.encode(b"t") == (tokens["t"],)
    assert known.encode(b"\xc3") == (tokens["<0xC3>"],)
    assert known.encode(b"\xc3t") == (tokens["<0xC3>"], tokens["<0x74>"])  # no text: byte tokens


def test_literal_text_that_looks_like_something_else_is_text():
    """Fails when a special token is read for what a model wrote, or a name of a byte is one without byte fallback."""
    known = TokenBytes(whole_byte_level(AddedToken("<|tool|>", special=False), AddedToken("   ", special=False)))
    end = next(i for i, string in enumerate(known.strings) if string is None)
    assert known.strings.count(b"<|tool|>") == 1
    assert known.strings.count(b"   ") == 1  # not the letters of its bytes
    assert end not in known.encode(b"<|end|>")
    assert known.join(known.encode(b"a<|end|>")) == b"a<|end|>"
    letters = ["<0x41>", "a", "▁"]
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate(letters)}, []))
    backend.normalizer, backend.decoder = normalizers.Replace(" ", "▁"), decoders.Replace("▁", " ")
    assert TokenBytes(fast(backend)).strings == (b"<0x41>", b"a", b" ")


@pytest.mark.parametrize("kind", ["bpe", "unigram", "pieces"])
def test_a_token_for_what_is_unknown_spells_nothing(kind):
    """Fails when its name is text, which a model then writes or reads as what it does not know."""
    words = ["<unk>", "<", "u", "n", "k", ">"]
    if kind == "unigram":
        model = models.Unigram([(word, -1.0) for word in words], unk_id=0)
    else:
        make = models.BPE if kind == "bpe" else models.WordPiece
        parts = {"merges": []} if kind == "bpe" else {"continuing_subword_prefix": "@@"}
        model = make(vocab={word: i for i, word in enumerate(words)}, unk_token="<unk>", **parts)
    backend = Tokenizer(model)
    backend.decoder = decoders.WordPiece("@@", cleanup=False) if kind == "pieces" else decoders.Fuse()
    known = TokenBytes(fast(backend))  # which says of none that it is special
    assert known.strings[0] is None
    if kind != "pieces":
        assert known.encode(b"<unk>") == (1, 2, 3, 4, 5)


def test_word_pieces_are_words_after_a_blank_and_parts_without_one():
    """Fails when a part of a word gets a blank, or a word none."""
    known = TokenBytes(word_piece())
    assert known.strings == (None, b" the", b"m", b"e", b" a", b" ,", b" m", b" e")
    assert known.encode(b" them") == (1, 2)
    assert known.encode(b"me") == (2, 3)
    assert known.unwritable([b" the", b"me", b"\n", b"x"]) == [b"\n", b"x"]


def test_parts_are_read_as_the_tokenizer_cuts_them_whatever_letters_it_has():
    """Fails when the middle of a word is only known after letters that the tokenizer may lack."""
    words = ["[UNK]", "x", "y", "##x", "##y", "##yx"]
    backend = Tokenizer(models.WordPiece({token: i for i, token in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    assert TokenBytes(fast(backend, unk_token="[UNK]")).encode(b"yxy") == (5, 4)


def test_words_without_a_decoder_are_words_between_blanks():
    """Fails when the words of a text run together."""
    assert TokenBytes(word_tokenizer(3)).strings == (b" t0", b" t1", b" t2")


def test_letters_without_a_decoder_are_letters():
    """Fails when tokens of a tokenizer that shows them between blanks are taken to hold these."""
    for model in (models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]), models.WordLevel({"a": 0, "b": 1, "ab": 2})):
        backend = Tokenizer(model)
        assert TokenBytes(fast(backend)).strings == (b"a", b"b", b"ab")
        backend.decoder = decoders.Fuse()
        assert TokenBytes(fast(backend)).strings == (b"a", b"b", b"ab")


def test_the_lab_tokenizer_spells_its_texts():
    """Fails when the shipped pair's pieces are not bytes."""
    pair = load_pair("lab")
    pieces = pair.vocabulary.pieces
    assert not pair.has_two_vocabularies
    text = "Question: Mia has 12 apples.\n"
    ids = pair.template_ids(text)
    assert b"".join(pieces[i] for i in ids).decode() == text
    assert [i for i, piece in enumerate(pieces) if piece is None] == list(pair.eos_token_ids)


def test_a_map_that_does_not_give_the_text_back_is_refused():
    """Fails when a tokenizer of an unknown kind decodes to other texts than it says."""
    tokenizer = whole_byte_level()
    tokenizer.backend_tokenizer.decoder = decoders.Replace("t", "u")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(InputError, match="the bytes of a tokenizer's ids must join to the text that they encode, got"):
        TokenBytes(tokenizer)
    with pytest.raises(InputError, match="a pair of two vocabularies must have fast tokenizers, got object"):
        TokenBytes(object())


def test_one_vocabulary_is_told_from_two():
    """Fails when equal tokens that are spelt in two ways pass for one vocabulary, or a copy for another."""
    assert same_vocabulary(bytes_tokenizer(), bytes_tokenizer())
    assert not same_vocabulary(bytes_tokenizer(), signs_tokenizer())
    letters = {"a": 0, "Ġ": 1, "b": 2}
    by_letter, plain = Tokenizer(models.BPE(letters, [])), Tokenizer(models.BPE(letters, []))
    by_letter.decoder, plain.decoder = decoders.ByteLevel(), decoders.Fuse()
    assert not same_vocabulary(fast(by_letter), fast(plain))
