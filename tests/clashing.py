"""Two tiny models whose tokenizers clash, and what the definitions say of the pair, without any of the engine.

What each id spells and how each model reads each piece is written down by hand: different merges, one string under
different ids, strings that one side alone has, several ids for one string, byte tokens, half characters, a dummy blank,
start tokens, two ends of text on one side.
"""

from functools import cache

import torch
from tiny_models import gpt2, llama
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from proxyalign.models import ModelPair

END = None
# By id; the first two are special, and so are ids that have no entry but () here.
LETTERS = {"<bos>": 0, "<eos>": 1, "a": 2, "b": 3, "Ġ": 4, "Ã": 5, "©": 6, "ab": 7, "Ġa": 8}
OF_BYTES = [None, END, b"a", b"b", b" ", b"\xc3", b"\xa9", b"ab", b" a"]
SIGNS = ["<s>", "</s>", "<0x61>", "a", "b", "▁", "ba", "▁b", "é", "<0xC3>", "<0xA9>", "<turn>"]
OF_SIGNS = [None, END, b"a", b"a", b"b", b" ", b"ba", b" b", "é".encode(), b"\xc3", b"\xa9", END]
SILENT = {"bytes": {0}, "signs": {0}}  # ids that spell nothing and end nothing
READS = {  # how each model reads each piece
    "bytes": {
        b"a": [2], b"b": [3], b" ": [4], b"\xc3": [5], b"\xa9": [6], b"ab": [7], b" a": [8],
        b"ba": [3, 2], b" b": [4, 3], "é".encode(): [5, 6],
    },
    "signs": {
        b"a": [3], b"b": [4], b" ": [5], b"ba": [6], b" b": [7], "é".encode(): [8], b"\xc3": [9], b"\xa9": [10],
        b"ab": [3, 4], b" a": [5, 3],
    },
}  # fmt: skip
PIECES = set(READS["bytes"]) | {END}


def bytes_tokenizer():
    """Byte-level BPE with a start token that it writes before each text."""
    backend = Tokenizer(models.BPE(LETTERS, [("a", "b"), ("Ġ", "a")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing("<bos> $A", special_tokens=[("<bos>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>")


def signs_tokenizer():
    """SentencePiece's BPE with byte fallback, a dummy blank before each text, and a start token."""
    vocabulary = {token: i for i, token in enumerate(SIGNS)}
    merges = [("b", "a"), ("▁", "b")]
    backend = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "additional_special_tokens": ["<turn>"]}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


TOKENIZERS = {"bytes": (bytes_tokenizer, OF_BYTES), "signs": (signs_tokenizer, OF_SIGNS)}


def clashing_pair(base="bytes", *, make=llama, double=True, seed=0, **settings):
    """A base over the tokenizer of this name and a proxy over the other; the models have padding columns."""
    kinds = {"base": base, "proxy": "signs" if base == "bytes" else "bytes"}
    kind = torch.float64 if double else torch.float32
    parts = {}
    for at, (role, name) in enumerate(kinds.items()):
        tokenizer, strings = TOKENIZERS[name]
        ends = [i for i, string in enumerate(strings) if string is END and i not in SILENT[name]]
        parts[role] = make(len(strings) + 2, 2 * seed + at, layers=2, eos_token_id=ends, **settings).to(kind)
        parts[f"{role}_tokenizer"] = tokenizer()
    return ModelPair(
        base=parts["base"], proxy=parts["proxy"], tokenizer=parts["base_tokenizer"],
        proxy_tokenizer=parts["proxy_tokenizer"],
    )  # fmt: skip


def sliding(n_tokens, seed, **settings):
    """A Gemma 3 whose layers see few tokens back."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=n_tokens, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=64, sliding_window=4, initializer_range=0.4,
        layer_types=["sliding_attention", "full_attention"], pad_token_id=None, bos_token_id=None,
        eos_token_id=settings.get("eos_token_id"),
    )  # fmt: skip
    return Gemma3ForCausalLM(config).eval()


MAKERS = {"llama": llama, "gpt2": gpt2, "sliding": sliding}


class Definition:
    """Statement 16, from whole passes over whole texts."""

    def __init__(self, pair, base="bytes"):
        self.pair = pair
        self.names = {"base": base, "proxy": "signs" if base == "bytes" else "bytes"}
        self.index = {piece: i for i, piece in enumerate(pair.vocabulary.pieces)}
        self._law = cache(self._law_of)

    def law(self, role, prompt, pieces, temperature=1.0):
        """p_U or q_U (U,) after these pieces (bytes), in the order of the pair's vocabulary."""
        return self._law(role, tuple(prompt), tuple(pieces), temperature)

    def _law_of(self, role, prompt, pieces, temperature):
        name, model = self.names[role], getattr(self.pair, role)
        strings, reads = TOKENIZERS[name][1], READS[name]
        ids = [*prompt, *(i for piece in pieces for i in reads[piece])]
        with torch.no_grad():
            each = model(torch.tensor([ids])).logits[0, -1].double().exp()
        law = torch.zeros(len(self.index), dtype=torch.float64)
        for i, string in enumerate(strings):
            if i not in SILENT[name]:
                law[self.index[string]] += each[i]
        if temperature != 1.0:
            law = law ** (1.0 / temperature)
        return law / law.sum()

    def step(self, rule, prompts, pieces, temperature=1.0, defer=None):
        """pi (U,) by its definition: y from p, redrawn from q where the rule, reading p, defers it."""
        p, p_drawn = (self.law("base", prompts["base"], pieces, t) for t in (1.0, temperature))
        q_drawn = self.law("proxy", prompts["proxy"], pieces, temperature)
        deferred = (rule.defer(p) if defer is None else defer(p)).double()
        return (1 - deferred) * p_drawn + (deferred * p_drawn).sum() * q_drawn

    def sequences(self, rule, prompts, length, temperature=1.0):
        """Every answer of up to `length` pieces, as indices, and its probability."""
        pieces = self.pair.vocabulary.pieces
        law = {(): 1.0}
        for _ in range(length):
            longer = {}
            for answer, weight in law.items():
                if answer and pieces[answer[-1]] is END:
                    longer[answer] = weight
                    continue
                pi = self.step(rule, prompts, [pieces[i] for i in answer], temperature)
                longer |= {(*answer, x): weight * float(pi[x]) for x in range(len(pieces))}
            law = longer
        return law
