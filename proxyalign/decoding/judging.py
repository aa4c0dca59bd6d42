"""One batch of prompts, whose choices are read over their keys and values and counted token by token."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding.readers.contract import Both, Branches, IntArray, filled_up
from proxyalign.decoding.readers.making import reader_of
from proxyalign.decoding.scoring import Target, at_once, target
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair

HELD = 1 << 26  # numbers of a model's logits that are held together, where that is more than one place a row


class Choice(NamedTuple):
    """One choice: log pi in nats, -inf where its probability is 0, and whether temperature 0 would write all of it."""

    log_pi: float
    is_greedy: bool


class Judging:
    """The choices of a batch of prompts; a row (n,) of theirs is one choice, those of the first prompt before others'.

    owner: who refuses, in messages. contexts: of each model that is asked (its role), all prompts' ids; choices: all
    prompts'. batch: the prompts to read.
    """

    def __init__(
        self,
        owner: str,
        pair: ModelPair,
        rule: Rule,
        contexts: Mapping[str, Sequence[Sequence[int]]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch: Sequence[int],
    ) -> None:
        self._owner = owner
        self._rule = rule
        self._device = pair.device
        self._vocab_size = pair.vocab_size
        self._batch = batch
        self._names = [(i, j) for i in batch for j in range(len(choices[i]))]
        self._ids = [choices[i][j] for i, j in self._names]
        self._prompts = np.repeat(np.arange(len(batch)), [len(choices[i]) for i in batch])  # of each choice
        self._log_pi = np.zeros(len(self._ids))
        self._is_greedy = np.ones(len(self._ids), dtype=np.bool_)
        self._readers: dict[str, Branches] = {role: reader_of(pair, role) for role in contexts}
        for role, reader in self._readers.items():
            reader.join([contexts[role][i] for i in batch])

    def run(self, n_rows: int) -> list[list[Choice]]:
        """Read the prompts, then the choices that have more than one token, at most `n_rows` together; all, counted."""
        states = self._count_first_tokens()
        alike: dict[tuple[int, ...], list[int]] = {}  # choices that differ in their last token alone are read as one
        for at, ids in enumerate(self._ids):
            if len(ids) > 1:
                alike.setdefault((int(self._prompts[at]), *ids[:-1]), []).append(at)
        rows = sorted(alike.values(), key=lambda choices: -len(self._ids[choices[0]]))
        for begin in range(0, len(rows), n_rows):
            self._count_other_tokens(rows[begin : begin + n_rows], states)
        found: list[list[Choice]] = [[] for _ in self._batch]
        for prompt, log_pi, is_greedy in zip(self._prompts, self._log_pi, self._is_greedy, strict=True):
            found[prompt].append(Choice(float(log_pi), bool(is_greedy)))
        return found

    def _count_first_tokens(self) -> Tensor | None:
        """Count the first token of each choice; the rule's states (n,) after these."""
        logits = {role: reader.read() for role, reader in self._readers.items()}
        rows, firsts, written = self._prompts, np.array([ids[0] for ids in self._ids]), None
        if self._rule.follows_tokens:  # its state is another one after each choice
            of_choice = torch.from_numpy(rows).to(self._device)
            logits = {role: of_role[of_choice] for role, of_role in logits.items()}
            rows, written = np.arange(len(firsts)), torch.from_numpy(firsts).to(self._device).unsqueeze(1)
        at = np.stack([rows, np.zeros_like(rows), firsts])
        state = self._rule.start(int(rows[-1]) + 1, self._device)
        states = self._count(np.arange(len(firsts)), at, logits, state, written)
        return None if states is None else states[torch.from_numpy(rows).to(self._device)]

    def _count_other_tokens(self, rows: Sequence[Sequence[int]], states: Tensor | None) -> None:
        """Read choices as rows over their prompts, in parts for whose logits there is room, and count them.

        rows: of each the choices that it is read for, the longest first. states: the rule's, after the first token of
        every choice.
        """
        choices = np.array([at for of_row in rows for at in of_row])  # (k,)
        row_of = np.repeat(np.arange(len(rows)), [len(of_row) for of_row in rows])
        leading = row_of.searchsorted(np.arange(len(rows)))  # of each row the first of these
        prompts = Both.of(self._prompts[choices[leading]], self._device)
        readers = {role: reader.branched(prompts) for role, reader in self._readers.items()}
        state = None if states is None else states[torch.from_numpy(choices[leading]).to(self._device)]
        longest = len(self._ids[choices[0]])
        width = max(1, HELD // (len(rows) * self._vocab_size))
        for first in range(0, longest - 1, width):
            parts = [self._ids[at][first : first + width + 1] for at in choices]
            read, written = (filled_up(texts) for texts in ([ids[:-1] for ids in parts], [ids[1:] for ids in parts]))
            before, after = torch.from_numpy(np.stack([read[leading], written[leading]])).to(self._device)
            logits = {}
            for role, reader in readers.items():
                reader.push(before.clamp(min=0), Both(read[leading] >= 0, before >= 0))
                logits[role] = reader.read(read.shape[1])
            one, place = (written >= 0).nonzero()
            at = np.stack([row_of[one], place, written[one, place]])
            if state is None:  # each place is a step of its own
                at[:2] = at[0] * read.shape[1] + place, np.zeros_like(place)
                logits = {role: of_role.flatten(0, 1).unsqueeze(1) for role, of_role in logits.items()}
                after = after.reshape(-1, 1)
            state = self._count(choices[one], at, logits, state, after.clamp(min=0))

    def _count(
        self,
        choices: IntArray,
        at: IntArray,
        logits: Mapping[str, Tensor],
        state: Tensor | None,
        written: Tensor | None,
    ) -> Tensor | None:
        """Count tokens of these choices (k,), some rows at a time; the rule's states (n,) after the last place.

        at: (3, k), the row and the place of each among the logits (n, m, V), and its id. state, written: as for
        `target`. Rows without a token cost nothing where the rule has no state.
        """
        one, states = next(iter(logits.values())), []
        n_rows = max(1, at_once(one.device) // one[0].numel())
        for begin in range(0, len(one), n_rows):
            rows, here = slice(begin, begin + n_rows), (at[0] >= begin) & (at[0] < begin + n_rows)
            if state is None and not here.any():
                continue
            laws = {role: Law.of(of_role[rows], 1.0) for role, of_role in logits.items()}
            before, tokens = (None if of_rows is None else of_rows[rows] for of_rows in (state, written))
            found = target(self._rule, laws, before, tokens)
            among = at[:, here]
            among[0] -= begin
            self._add(choices[here], among, laws, found)
            if found.states is not None:
                states.append(found.states[:, -1])
        return torch.cat(states) if states else None

    def _add(self, choices: IntArray, at: IntArray, laws: Mapping[str, Law], found: Target) -> None:
        """Add what these tokens are worth to their choices' (k,). at: (3, k), as for `_count`, among the laws."""
        row, place, token = torch.from_numpy(at).to(self._device)
        numbers = [found.pi[row, place, token], found.greedy[row, place] == token]
        numbers += [law.own[row, place, token] for law in laws.values()]
        pi, is_greedy, *of_models = torch.stack([one.double() for one in numbers]).cpu().numpy()
        for role, probabilities in zip(laws, of_models, strict=True):
            for bad in np.flatnonzero(np.isnan(probabilities)):  # at which of its tokens, attention has blurred
                i, j = self._names[choices[bad]]
                raise InputError(
                    f"{self._owner}: the {role} must give finite logits, got NaN or infinity for choices[{i}][{j}]; "
                    "check its weights, or load it in a wider dtype"
                )
        with np.errstate(divide="ignore"):
            np.add.at(self._log_pi, choices, np.log(pi))
        np.logical_and.at(self._is_greedy, choices, is_greedy > 0)
