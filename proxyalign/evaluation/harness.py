"""A pair under a rule as a model of lm-evaluation-harness, so that its tasks can be run on it; extra [lm-eval].

The harness looks for models in its own table alone, so its command line is started from here:
`python -m proxyalign.evaluation.harness run --model proxyalign --model_args base=...,proxy=...,rule=dual,alpha=0.4
--tasks ...`. In Python, importing this module makes `lm_eval.simple_evaluate(model="proxyalign", ...)` find it.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from proxyalign.decoding.arguments import text_of
from proxyalign.decoding.choices import judge_choices
from proxyalign.decoding.generate import generate
from proxyalign.decoding.scoring import score
from proxyalign.deferral.rules import make
from proxyalign.errors import InputError
from proxyalign.evaluation.harness_settings import as_count, as_switch, read_generation
from proxyalign.models import ModelPair, load_pair
from proxyalign.models.tokens import check_unicode

try:
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError as error:
    raise ImportError("harness: lm-eval must be installed, got none; run pip install 'proxyalign[lm-eval]'") from error

_logger = logging.getLogger(__name__)


@register_model("proxyalign")
class ProxyAlignLM(TemplateLM):  # type: ignore[misc]
    """A pair decoded and scored under a rule.

    base, proxy, reference: hub names or folders; or pair: "lab", a folder with both, or a ModelPair. rule: by name, its
    parameters beside it (alpha=0.4). mode, window, seed: as in `generate`. batch_size: texts read together, a whole
    number. max_gen_toks: new tokens where a task does not say. proxy_chat: the proxy reads each prompt in its chat
    template, the base as the task has it. Likelihoods are the law's at temperature 1 (`score`); "greedy" is what
    decoding at temperature 0 writes. Longer prompts are cut on their left, as the harness does.

    Raises InputError for arguments that `load_pair`, the rule or `generate` refuses, and for a task's generation
    settings beyond until, a limit, do_sample and temperature.
    """

    def __init__(
        self,
        *,
        base: str | None = None,
        proxy: str | None = None,
        reference: str | None = None,
        pair: str | ModelPair | None = None,
        rule: str = "dual",
        mode: str = "autoregressive",
        window: int | str = 5,
        seed: int | str = 0,
        device: str | None = None,
        dtype: str = "auto",
        batch_size: int | str | None = 1,
        max_batch_size: int | None = None,  # the harness passes it to every model, for batch sizes that adapt
        max_gen_toks: int | str = 256,
        proxy_chat: bool | str = False,
        **parameters: Any,
    ) -> None:
        super().__init__()
        self.rule = make(rule, **parameters)
        if not isinstance(pair, ModelPair):
            # The harness's command line asks for cuda:0 on every machine, and takes no for an answer.
            device = "cpu" if device is None or ("cuda" in device and not torch.cuda.is_available()) else device
            pair = load_pair(pair, base=base, proxy=proxy, reference=reference, device=device, dtype=dtype)
        self.pair = pair
        self.tokenizer = pair.tokenizer
        self.batch_size = as_count("batch_size", batch_size)
        self._mode, self._seed = mode, as_count("seed", seed, least=0)
        self._window: Any = window if window == "auto" else as_count("window", window)
        self._max_gen_toks = as_count("max_gen_toks", max_gen_toks)
        self._device = pair.device
        self._proxy_chat = as_switch("proxy_chat", proxy_chat)
        if self._proxy_chat:
            pair.chat("?")  # a proxy without a template is told of before any question is read

    @property
    def eot_token_id(self) -> int:
        """The first id that ends a text."""
        if not self.pair.eos_token_ids:
            raise InputError(
                "harness: the models must have an end of text, got none; set eos_token_id in generation_config.json"
            )
        return self.pair.eos_token_ids[0]

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has no context: what the tokenizer writes first, else its end of text."""
        return self._opening[-1]

    @property
    def tokenizer_name(self) -> str:
        """What the harness's caches tell prompts apart by: whose tokens and whose chat template they are made with."""
        names = [str(one.name_or_path) for one in (self.tokenizer, self.pair.chat_tokenizer)]
        return "+".join(dict.fromkeys(names)).replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The proxy's template, for the harness's log; None where none is to be applied."""
        return str(self.pair.chat_tokenizer.chat_template) if chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The messages as one prompt, by the template of the proxy, which is the model that was aligned on it."""
        if self._proxy_chat:
            raise InputError(
                "harness: a chat template must be applied once, got --apply_chat_template and proxy_chat; drop the "
                "first, so that the base reads the task's own prompt"
            )
        return self.pair.chat_text(chat_history, goes_on=not add_generation_prompt)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Token ids of a text that goes on: with what the tokenizer writes first, never with what it would close it by.

        add_special_tokens: False for the text alone, as whatever is scored must be.
        """
        if add_special_tokens is not False:
            return self.pair.encode(string)
        check_unicode("harness", string)
        if self.pair.has_two_vocabularies:
            return self.pair.vocabulary.encode(string)
        return list(self.tokenizer(string, add_special_tokens=False, verbose=False)["input_ids"])

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """The ids of both, with something to stand before the continuation where the context is blank.

        Over two vocabularies what is scored are the pieces that the base's tokenizer makes of the continuation.
        """
        if self.pair.has_two_vocabularies:
            bare = context.rstrip()
            after = self.tok_encode(context[len(bare) :] + continuation, add_special_tokens=False)
            return self.pair.encode(bare) or self._opening, after
        before, after = super()._encode_pair(context, continuation)
        return before or [self.prefix_token_id], after

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """For each (context, continuation), log pi of the continuation and whether all of it is greedy."""
        if not self.pair.has_two_vocabularies:  # of which the harness would compare a piece with a model's first id
            likelihoods: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
            return likelihoods
        asked = [(request.args, *self._encode_pair(*request.args)) for request in requests]
        return self._loglikelihood_tokens(asked, disable_tqdm=disable_tqdm)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """The answers to `requests`, whose arguments are (prompt, generation settings), cut before a stop string."""
        answers = [""] * len(requests)
        alike: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            alike.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(i)
        done = 0  # seeds each prompt by how many came before it, so that repeats of one differ
        for batch in self._batches(list(alike.values()), [len(r.args[0]) for r in requests], disable_tqdm):
            stops, limit, temperature = read_generation(requests[batch[0]].args[1], self._max_gen_toks)
            texts = [requests[i].args[0] for i in batch]
            prompts = [self._cut("base", self.pair.encode(text) or [self.prefix_token_id], limit) for text in texts]
            answered = generate(
                self.pair,
                prompts,
                self.rule,
                mode=self._mode,
                window=self._window,
                max_new_tokens=limit,
                temperature=temperature,
                seed=self._seed,
                batch_size=len(batch),
                stop=stops,
                first_index=done,
                proxy_prompts=self._for_proxy(texts, prompts, [limit] * len(batch)),
            ).texts
            done += len(batch)
            for i, text in zip(batch, answered, strict=True):
                for stop in stops:
                    text = text.split(stop)[0]
                answers[i] = text
                self.cache_hook.add_partial("generate_until", requests[i].args, text)
        return answers

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """For each (its texts, context, continuation), log pi of the continuation and whether all of it is greedy."""
        answers = [(0.0, True)] * len(requests)  # of no tokens
        opening = self._opening
        alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}  # by prompt, which is read once
        for i, (texts, context, ids) in enumerate(requests):
            if ids:
                context = opening if context == opening[-1:] else context
                alike.setdefault(((texts or [""])[0], tuple(context)), []).append(i)
        prompts, of_prompts = list(alike), list(alike.values())
        n_more = [max(self._n_read(requests[i][2][:-1]) for i in group) for group in of_prompts]
        lengths = [len(context) + n for (_, context), n in zip(prompts, n_more, strict=True)]
        for batch in self._batches([list(range(len(prompts)))], lengths, disable_tqdm):
            rooms = [n_more[at] for at in batch]
            contexts = [self._cut("base", list(prompts[at][1]), n) for at, n in zip(batch, rooms, strict=True)]
            own = self._for_proxy([prompts[at][0] for at in batch], contexts, rooms)
            choices = [[requests[i][2] for i in of_prompts[at]] for at in batch]
            judged = judge_choices(
                self.pair, self.rule, contexts, choices, proxy_contexts=own, batch_size=self.batch_size
            )
            for at, of_prompt in zip(batch, judged, strict=True):
                for i, choice in zip(of_prompts[at], of_prompt, strict=True):
                    answers[i] = choice.log_pi, choice.is_greedy
                    if requests[i][0] is not None:
                        self.cache_hook.add_partial("loglikelihood", requests[i][0], answers[i])
        return answers

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """log pi of each whole text (`request.args` holds it alone), in windows as long as the context."""
        if self.pair.has_two_vocabularies:
            return [self._rolled_over_pieces(request.args) for request in requests]
        windows: list[tuple[Any, list[int], list[int]]] = []
        owners: list[int] = []
        for i, request in enumerate(requests):
            ids = self._ids_to_score(request.args[0])
            room = self.pair.context_length or len(ids) + 1
            for window in get_rolling_token_windows(ids, self.prefix_token_id, max_seq_len=room, context_len=1):
                windows.append((None, *make_disjoint_window(window)))
                owners.append(i)
        totals = [0.0] * len(requests)
        for i, (log_prob, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm), strict=True):
            totals[i] += log_prob
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def _rolled_over_pieces(self, arguments: tuple[str]) -> float:
        """log pi of a text cut into the base's pieces, in windows that both models have room for."""
        pieces, sides = self.tok_encode(arguments[0], add_special_tokens=False), self.pair.vocabulary.sides
        openings = {"base": self._opening, "proxy": self._as_proxy(self._opening)}
        longest = max((len(sides[role].ids[i]) for role in openings for i in pieces), default=1)
        rooms = [
            (context - len(opening)) // longest
            for role, opening in openings.items()
            if (context := self.pair.context_of(role)) is not None
        ]
        start = -1
        windows = [
            make_disjoint_window(window)
            for window in get_rolling_token_windows(
                pieces, start, max_seq_len=min(rooms, default=len(pieces) + 1), context_len=1
            )
        ]
        total = 0.0
        for at in range(0, len(windows), self.batch_size):
            before, after = zip(*windows[at : at + self.batch_size], strict=True)
            of_base, of_proxy = (
                [openings[role] if ids == [start] else sides[role].read_as(ids) for ids in before] for role in openings
            )
            scores = score(self.pair, self.rule, of_base, after, proxy_contexts=of_proxy)
            total += sum(float(one.log_probs.sum()) for one in scores)
        self.cache_hook.add_partial("loglikelihood_rolling", arguments, total)
        return total

    @property
    def _opening(self) -> list[int]:
        """The ids that stand before a text without a context, one or more."""
        first, opening = self.tokenizer.bos_token_id, self.pair.encode("")
        if opening or first is not None:
            return opening or [int(first)]
        end = self.eot_token_id
        return list(self.pair.vocabulary.sides["base"].ids[end]) if self.pair.has_two_vocabularies else [end]

    def _ids_to_score(self, text: str) -> list[int]:
        """The ids of a whole text without its opening, which is no text even where the text spells it."""
        ids, opening = self.tok_encode(text, add_special_tokens=False), self._opening
        return ids[len(opening) :] if ids[: len(opening)] == opening else ids

    def _batches(self, groups: list[list[int]], lengths: Sequence[int], quiet: bool) -> Iterator[list[int]]:
        """Indices to do together, of one group each, the longest first, so that too long a text fails at once."""
        from tqdm import tqdm

        with tqdm(total=sum(map(len, groups)), disable=quiet, desc="proxyalign") as bar:
            for group in groups:
                ordered = sorted(group, key=lambda i: -lengths[i])
                for at in range(0, len(ordered), self.batch_size):
                    batch = ordered[at : at + self.batch_size]
                    yield batch
                    bar.update(len(batch))

    def _n_read(self, ids: Sequence[int]) -> int:
        """The most tokens that a model reads for these ids of a text."""
        if not self.pair.has_two_vocabularies:
            return len(ids)
        return max(len(side.read_as(ids)) for side in self.pair.vocabulary.sides.values())

    def _cut(self, role: str, ids: list[int], n_more: int) -> list[int]:
        """The last of a model's ids that leave room for `n_more` tokens; one at least, for the engine to refuse."""
        room = self.pair.context_of(role)
        if room is None or len(ids) + n_more <= room:
            return ids
        _logger.warning("a prompt of %d tokens was cut on its left to leave room for %d more", len(ids), n_more)
        return ids[-max(1, room - n_more) :]

    def _for_proxy(
        self, texts: Sequence[str], contexts: list[list[int]], n_more: Sequence[int]
    ) -> list[list[int]] | None:
        """What the proxy reads in place of the contexts, the ids of these texts; None where it reads the same."""
        if not self._proxy_chat and not self.pair.has_two_vocabularies:
            return None
        return [
            # Nothing said, nothing to wrap.
            self._cut("proxy", self.pair.chat(text) if text and self._proxy_chat else self._as_proxy(context), n)
            for text, context, n in zip(texts, contexts, n_more, strict=True)
        ]

    def _as_proxy(self, context: list[int]) -> list[int]:
        """What the base reads, in the proxy's ids."""
        if not self.pair.has_two_vocabularies:
            return context
        text = "" if context == self._opening else text_of("harness", self.pair, "context", context)
        return self.pair.encode(text, "proxy") or list(self.pair.vocabulary.sides["proxy"].ids[self.eot_token_id])


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
