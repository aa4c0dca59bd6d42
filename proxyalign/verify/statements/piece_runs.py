"""What statement 16 asks of whole runs of the engine over two vocabularies: that they are those of the definition."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proxyalign.decoding.generate import Generation, generate
from proxyalign.deferral import rules
from proxyalign.deferral.rule import Rule
from proxyalign.models.pair import ModelPair
from proxyalign.verify.cases import Clash, Floats
from proxyalign.verify.cases.clashing import tokens_of
from proxyalign.verify.cases.table_models import Prefix, table_pair
from proxyalign.verify.reference.piece_laws import Piece, PieceLaws, is_of_word
from proxyalign.verify.reference.speculation import Speculation, Written
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.token_laws import equal

N_SEQUENCES, LIMIT = 4, 6
Sets = NDArray[np.bool_]
LawOf = Callable[[Prefix], Floats]


def table(laws: Floats) -> LawOf:
    """Laws of prefixes of ids: each is a row, and which one every token and its place have a say in."""

    def law(prefix: Prefix) -> Floats:
        row: Floats = laws[zlib.crc32(bytes(prefix)) % len(laws)]
        return row

    return law


@dataclass(frozen=True)
class _Sets:
    """What each rule defers after a prefix of pieces, from the law after it; `Clash.run` names them."""

    case: Clash
    pieces: tuple[Piece, ...]
    p: LawOf

    def dual(self, prefix: Prefix) -> Sets:
        below: Sets = self.p(prefix) < self.case.alpha
        return below

    def nudging(self, prefix: Prefix) -> Sets:
        p = self.p(prefix)
        return np.full(p.shape, bool(p.max() < self.case.alpha))

    def hybrid(self, prefix: Prefix) -> Sets:
        multiplier = self.case.start
        for n in range(len(prefix)):
            law = self.p(prefix[:n])
            mass = float(law[law < np.exp(-multiplier)].sum())
            multiplier = max(0.0, multiplier + self.case.rate * (mass - self.case.budget))
        below: Sets = self.p(prefix) < np.exp(-multiplier)
        return below

    def words(self, prefix: Prefix) -> Sets:
        own = self.dual(prefix)
        if not prefix or not is_of_word(self.pieces[prefix[-1]], -1):
            return own
        goes_on = np.array([is_of_word(piece, 0) for piece in self.pieces])
        return np.where(goes_on, self.words(prefix[:-1])[prefix[-1]], own)


@dataclass(frozen=True)
class PieceRuns:
    """Runs of a case's pair. sides, tables: of base and proxy."""

    case: Clash
    pair: ModelPair
    sides: tuple[PieceLaws, PieceLaws]
    tables: tuple[LawOf, LawOf]

    def beside_the_definition(self) -> Iterator[Claim]:
        """Both modes, under the case's rule, of sequences some of which wait for others."""
        case, prompts = self.case, self._prompts
        rule, boundaries = _rule(case)
        written = [self._as_defined(*of_sequence) for of_sequence in prompts]
        keys = [[(case.tokenizers, sequence, 0)] for sequence in range(N_SEQUENCES)]
        for mode in ("autoregressive", "speculative"):
            found = generate(
                self.pair,
                [of_base for of_base, _ in prompts],
                rule,
                proxy_prompts=[of_proxy for _, of_proxy in prompts],
                mode=mode,
                window=case.window,
                max_new_tokens=LIMIT,
                seed=case.tokenizers,
                batch_size=1 if case.tokenizers % 3 == 0 else 3,
                boundaries=boundaries,
            )
            texts = [
                text
                for one, key in zip(written, keys, strict=True)
                for text in (one.write(key) if mode == "speculative" else one.write_step_by_step(key))
            ]
            yield from self._compared(f"{case.run}, {mode}", found, texts, written)

    def beside_ids(self) -> Iterator[Claim]:
        """One vocabulary with its ids in two orders: what is written is what a pair of one vocabulary writes."""
        base, proxy = tokens_of(self.case.tokenizers)
        order = [proxy.ids[token] for token in sorted(base.ids, key=lambda token: base.ids[token])]

        def of_proxy(prefix: Prefix) -> Floats:
            law: Floats = self.tables[1](tuple(order[i] for i in prefix))[order]
            return law

        # Laws of ids and of pieces may differ in their last bits, and so are kept from meeting the threshold.
        rule = rules.Dual(self.case.alpha * (1.0 - 1e-6))
        prompts = [of_base for of_base, _ in self._prompts]

        def written(pair: ModelPair, ends: tuple[int, ...], proxy_prompts: list[Prefix]) -> list[list[int]]:
            return generate(
                pair, prompts, rule, proxy_prompts=proxy_prompts, mode="speculative", window=self.case.window,
                max_new_tokens=LIMIT, eos_token_ids=ends,
            ).token_ids  # fmt: skip

        shared = table_pair(self.tables[0], of_proxy, base.width)
        as_ids = written(shared, base.end_ids, prompts)
        own = [tuple(order[i] for i in prompt) for prompt in prompts]
        as_pieces = written(self.pair, self.pair.eos_token_ids, own)
        spelt = [[base.strings.get(i) for i in ids] for ids in as_ids]
        found = [[self._pieces[i] for i in ids] for ids in as_pieces]
        wrong = sum(one != other for one, other in zip(found, spelt, strict=True))
        yield Claim("one vocabulary in two orders: a run writes what one over ids does", wrong, 0, "==")

    @property
    def _pieces(self) -> tuple[Piece, ...]:
        return self.pair.vocabulary.pieces

    @cached_property
    def _prompts(self) -> list[tuple[Prefix, Prefix]]:
        """What base and proxy read first, in ids of their own, for each sequence: of several lengths."""
        rng = np.random.default_rng(self.case.tokenizers)

        def some(laws: Floats) -> Prefix:
            return tuple(rng.integers(laws.shape[1], size=rng.integers(1, 4)).tolist())

        return [(some(self.case.p), some(self.case.q)) for _ in range(N_SEQUENCES)]

    def _as_defined(self, *prompts: Prefix) -> Speculation:
        """The decoding of one sequence by the definition, after the prompts of base and proxy."""

        def law_of(side: PieceLaws, law: LawOf, prompt: Prefix) -> LawOf:
            # A table's model has its law after what follows the first token.
            return cache(lambda prefix: side.law(law(side.context(prompt, prefix)[1:])))

        p, q = (law_of(*of_model) for of_model in zip(self.sides, self.tables, prompts, strict=True))
        deferred = cache(getattr(_Sets(self.case, self._pieces, p), self.case.run))
        ends = self.pair.eos_token_ids
        return Speculation(p, deferred, q, has_bonus=True, window=self.case.window, limit=LIMIT, ends=ends)

    def _compared(
        self, run: str, found: Generation, expected: list[Written], written: list[Speculation]
    ) -> Iterator[Claim]:
        """What a run writes, how the base saw it, what was counted, and the texts: those that the pieces spell."""
        wrong = sum(ids != text.tokens for ids, text in zip(found.token_ids, expected, strict=True))
        yield Claim(f"{run}: a run writes the pieces that the definition does", wrong, 0, "==")
        counts = sum(
            (trace.n_cycles, trace.n_tested, trace.n_accepted) != (text.n_cycles, text.n_tested, text.n_accepted)
            for trace, text in zip(found.traces, expected, strict=True)
        )
        yield Claim(f"{run}: cycles and drafts are counted as they are", counts, 0, "==")
        seen, by_hand = [], []
        for trace, one in zip(found.traces, written, strict=True):
            seen += [*trace.p_y, *trace.deferral_mass]
            ids = tuple(trace.token_ids.tolist())
            laws = [(one.first(ids[:n]), one.deferred(ids[:n])) for n in range(len(ids))]
            by_hand += [p[i] for (p, _), i in zip(laws, ids, strict=True)] + [p[below].sum() for p, below in laws]
        yield equal(f"{run}: the base saw each piece as it stands", np.array(seen), np.array(by_hand))
        spelt = [b"".join(self._pieces[i] or b"" for i in ids).decode("utf-8", "replace") for ids in found.token_ids]
        wrong = sum(one != other for one, other in zip(spelt, found.texts, strict=True))
        yield Claim(f"{run}: a text is what its pieces spell", wrong, 0, "==")


def _rule(case: Clash) -> tuple[Rule, Literal["any", "word"]]:
    """The rule of the case's run, and where it may change hands."""
    if case.run == "hybrid":
        return rules.Hybrid(case.budget, step=case.rate, first=case.start), "any"
    if case.run == "nudging":
        return rules.Nudging(case.alpha), "any"
    return rules.Dual(case.alpha), "word" if case.run == "words" else "any"
