"""Mutants of what stands between a model's tokens and the pieces of two vocabularies (statement 16)."""

from proxyalign.verify.mutants.mutation import Mutant

_LOGITS = "models.vocabulary:Side.logits"
_READ = "decoding.readers.pieces:PieceReader.read"
_FORGET = "decoding.readers.pieces:PieceReader.forget"
_KEEP = "decoding.readers.pieces:PieceReader.keep"
_MADE = "models.vocabulary:_Encodings.__getitem__"
_ENCODED = "self._bytes.encode(string)"

VOCABULARY_MUTANTS: tuple[Mutant, ...] = (
    # From the logits of ids to those of pieces.
    Mutant("pieces: the first id for the sum over several", (16,), _LOGITS,
           "if len(self._summed_places):", "if False:"),
    Mutant("pieces: the likeliest id for the sum over several", (16,), _LOGITS, ".logsumexp(-1)", ".amax(-1)"),
    Mutant("pieces: the first id counted again where another piece has more", (16,), _LOGITS,
           ".masked_fill(self._is_filling, -torch.inf)", ""),
    Mutant("pieces: one end of text of a model that has two", (16,), "models.vocabulary:Side.__init__",
           "groups[index[None]] = tuple(ends)", "groups[index[None]] = tuple(ends[:1])"),
    Mutant("pieces: an end of text where the base has one alone", (16,), "models.vocabulary:Vocabulary.__init__",
           "any(ends[role] for role in written)", 'bool(ends["base"])'),
    Mutant("pieces: ends that the tokenizers do not name are forgotten", (16,), "models.wrapped:ends_of",
           "*end_ids_of(model), ", ""),
    Mutant("pieces: special tokens are taken for their names", (16,), "models.token_bytes:TokenBytes._spelt",
           "None if added.special else added.content.encode()\n"
           "    for i in self._tokenizer.all_special_ids:\n        strings[i] = None",
           "added.content.encode()"),
    Mutant("pieces: one that a model cannot read is kept", (16,), "models.vocabulary:Vocabulary.__init__",
           "del strings[string]", "pass"),
    Mutant("pieces: ids that the model has no column for", (16,), "models.token_bytes:TokenBytes._spelt",
           "strings[: self._width]", "strings"),
    # From pieces to what a model reads.
    Mutant("context: encoded anew as a text of its own, with a start token", (16,), _MADE, _ENCODED,
           'tuple(self._bytes._tokenizer(string.decode("utf-8", "replace"))["input_ids"])'),
    Mutant("context: encoded anew with a dummy blank", (16,), _MADE, _ENCODED,
           'tuple(self._bytes._ids(string.decode("utf-8", "replace")))'),
    Mutant("context: the first token alone of a piece that is read as several", (16,), _MADE, _ENCODED,
           "self._bytes.encode(string)[:1]"),
    Mutant("context: byte tokens though the tokenizer has others", (16,), "models.token_bytes:TokenBytes.encode",
           "if own is not None:", "if False:"),
    Mutant("context: the lowest of several ids for the one that is written", (16,), "models.token_bytes:TokenBytes.ids",
           "(own != (i,), i in self._byte_tokens, i)", "i"),
    # Where a piece is read, and how many tokens are taken back with it.
    Mutant("reading: logits after the first token of a piece", (16,), _READ,
           "own.cumsum(1)", "(own.cumsum(1) - np.maximum(own - 1, 0))", "dual"),
    Mutant("reading: places counted in pieces", (16,), _READ, "own.cumsum(1)", "(own > 0).cumsum(1)", "dual"),
    Mutant("roll-back: as many tokens as pieces", (16,), _FORGET, "(last * taken).sum(1)", "taken.sum(1)", "dual"),
    Mutant("roll-back: one token too few", (16,), _FORGET, "(last * taken).sum(1)",
           "np.maximum((last * taken).sum(1) - 1, 0)", "dual"),
    Mutant("roll-back: a token more among slots without one", (16,), "decoding.readers.growing:Reader.forget_tokens",
           "n_from_here > n_tokens", "n_from_here - 1 > n_tokens", "dual"),
    Mutant("rows: tokens counted for the row that left", (16,), _KEEP,
           "self._history = [column[rows.host]", "self._history = [column[: len(rows.host)]", "dual"),
    Mutant("rows: what waits to be read is the row's that left", (16,), _KEEP,
           "[self._unread[row] for row in rows.host]", "self._unread[: len(rows.host)]", "dual"),
    # Who holds the pen.
    Mutant("words: who wrote last is not told after a draft is replaced", (16,),
           "deferral.boundaries:WithinWords.settled",
           "return states.scatter(", "return states if True else states.scatter(", "words"),
    Mutant("words: the pen of a rejected draft", (16,), "decoding.speculative:_decode",
           "states[torch.arange(len(states), device=states.device), n_new.device]", "states[:, -1]", "words"),
    Mutant("words: a character's second half begins a word", (16,), "models.vocabulary:_edges",
           "_is_of_word(text[0])", 'text[0] != "\\ufffd" and _is_of_word(text[0])', "words"),
)  # fmt: skip
