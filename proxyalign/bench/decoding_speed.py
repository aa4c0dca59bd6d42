"""Speed, measured side by side: every contestant decodes each question in turn, so that noise hits all of them alike.

The comparison is with the base alone, decoding autoregressively in this engine. Beside the measured speedup stands what
statement 12 predicts from the acceptance and the forward costs of the same run.
"""

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import torch

from proxyalign.decoding.backends import backend_for
from proxyalign.decoding.generate import generate
from proxyalign.decoding.readers.contract import Both, Reads
from proxyalign.decoding.trace import Stats
from proxyalign.decoding.window import tokens_per_cycle
from proxyalign.deferral.rules import Dual, Never, Nudging, Primal, Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair

_ROLES = ("base", "proxy")
OURS, TRANSFORMERS, ASSISTED = "proxyalign", "transformers", "transformers assisted"


@dataclass(frozen=True)
class Contestant:
    """One way to decode: this engine under a rule, or transformers' own generation, plain or assisted by the proxy.

    window: drafts a cycle, where there are any.
    """

    rule: Rule
    mode: str = "autoregressive"
    window: int | None = None
    engine: str = OURS

    def __str__(self) -> str:
        if self.engine != OURS:
            return self.engine if self.window is None else f"{self.engine}, window {self.window}"
        return f"{self.rule} {self.mode}" if self.window is None else f"{self.rule} {self.mode}, window {self.window}"


@dataclass(frozen=True)
class BothModels(Dual):
    """The dual as the authors' code decodes it: both models run at every step, whoever writes the token."""

    name: ClassVar[str] = "both-models-dual"
    needs: ClassVar[str] = "p q"


@dataclass
class _Tally:
    """What one contestant did: seconds and tokens of each question, and the engine's counts.

    passes: forward passes by model and number of positions, but for those over prompts.
    """

    seconds: list[float] = field(default_factory=list)
    n_tokens: list[int] = field(default_factory=list)
    stats: list[Stats] = field(default_factory=list)
    passes: Counter[tuple[str, int]] = field(default_factory=Counter)


BASE_ALONE = Contestant(Never())


def contestants(alpha: float, budget: float, gate: float, windows: Sequence[int]) -> list[Contestant]:
    """The usual field: the base alone, transformers' two ways, and dual, primal and nudging in both modes."""
    rules: list[Rule] = [Dual(alpha), Primal(budget), Nudging(gate)]
    return [
        BASE_ALONE,
        Contestant(Never(), engine=TRANSFORMERS),
        Contestant(Never(), "speculative", max(windows), engine=ASSISTED),
        Contestant(Never(), "speculative", max(windows)),
        *(Contestant(rule) for rule in rules),
        Contestant(BothModels(alpha)),
        *(Contestant(rule, "speculative", window) for rule in rules[:2] for window in windows),
    ]


def measure(
    pair: ModelPair,
    prompts: Sequence[str],
    field: Sequence[Contestant],
    *,
    max_new_tokens: int,
    stop: Sequence[str] = (),
    proxy_prompts: Sequence[Sequence[int]] | None = None,
    temperature: float = 1.0,
    repeats: int = 1,
    seed: int = 0,
    n_resamples: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Let every contestant answer every prompt `repeats` times, one sequence at a time, and compare their speeds.

    stop: strings that end an answer, whoever decodes. proxy_prompts: the proxy's ids in place of each prompt, which
    transformers' assistant cannot have. Over two vocabularies our tokens are pieces, transformers' the base's, and its
    assistance the universal one; a pass has as many positions as a piece has tokens, so that nothing is predicted from
    the costs of passes. The field must hold `BASE_ALONE`. progress is called with the
    number of prompts done and of all. Returns JSON
    values: "costs_ms", the mean time of one forward pass by model and number of positions, and "runs", one
    dictionary a contestant: n_tokens, seconds, tokens_per_second; speedup, the ratio to the base alone, with
    speedup_low and speedup_high (95 percent bootstrap over prompts); for speculation acceptance_rate and
    tokens_per_cycle, and beside them what statement 12 predicts from that acceptance for equal costs of one and of
    window + 1 positions (predicted_speedup) and for the measured ones (predicted_speedup_at_cost);
    share_of_bare_passes is the share of the time that the forward passes which the run made, those over the prompts
    among them, take by themselves.

    Raises InputError where the field lacks the base alone or there is no prompt.
    """
    if BASE_ALONE not in field or not prompts:
        raise InputError(
            f"bench: there must be a prompt and the base alone among the contestants, got {len(prompts)} prompts and "
            f"{len(field)} contestants; add what is missing"
        )
    longest = max((one.window for one in field if one.window is not None), default=0)
    tallies = {one: _Tally() for one in field}
    costs: dict[tuple[str, int], list[float]] = {}
    reading = 0.0  # seconds that both models take for all prompts
    # Over two vocabularies transformers cuts its assistant's head and embedding down to what both have, for good.
    assistant = copy.deepcopy(pair.proxy) if pair.has_two_vocabularies else pair.proxy
    for one in field:  # the first call pays for memory and kernels
        _decode(
            pair, assistant, prompts[0], _first(proxy_prompts, 0), one, min(8, max_new_tokens), stop, temperature, seed
        )
    rng = np.random.default_rng(seed)
    for done, prompt in enumerate(prompts):
        n_prompt = len(pair.encode(prompt))
        for repeat in range(repeats):
            for which in rng.permutation(len(field)):
                one, tally = field[which], tallies[field[which]]
                start = time.perf_counter()
                n_tokens, stats = _decode(
                    pair, assistant, prompt, _first(proxy_prompts, done), one, max_new_tokens, stop, temperature,
                    seed + done * repeats + repeat,
                )  # fmt: skip
                capturing = 0.0 if stats is None else stats.seconds_capturing
                tally.seconds.append(time.perf_counter() - start - capturing)
                tally.n_tokens.append(n_tokens)
                if stats is not None:
                    tally.stats.append(stats)
                if stats is not None and not pair.has_two_vocabularies:
                    n_drafts = min(one.window or 0, max_new_tokens)
                    tally.passes.update(_after_prompt(stats, n_prompt, n_drafts))
        of_prompt, of_steps = (0.0, {}) if pair.has_two_vocabularies else _forward_costs(pair, prompt, longest)
        reading += repeats * of_prompt
        for key, seconds in of_steps.items():
            costs.setdefault(key, []).append(seconds)
        if progress is not None:
            progress(done + 1, len(prompts))
    means = {key: fmean(seconds) for key, seconds in costs.items()}
    resamples = rng.integers(len(prompts), size=(n_resamples, len(prompts)))
    base_speeds = _speeds(tallies[BASE_ALONE], repeats, resamples)
    return {
        "n_prompts": len(prompts),
        "repeats": repeats,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "costs_ms": {f"{role}, {n} positions": 1e3 * seconds for (role, n), seconds in sorted(means.items())},
        "runs": [
            _summary(one, tallies[one], _speeds(tallies[one], repeats, resamples) / base_speeds, means, reading)
            for one in field
        ],
    }


def _first(prompts: Sequence[Sequence[int]] | None, at: int) -> list[Sequence[int]] | None:
    """One prompt in a list, as the engine takes it; None where there are none."""
    return None if prompts is None else [prompts[at]]


def _decode(
    pair: ModelPair,
    assistant: Any,
    prompt: str,
    of_proxy: list[Sequence[int]] | None,
    one: Contestant,
    max_new_tokens: int,
    stop: Sequence[str],
    temperature: float,
    seed: int,
) -> tuple[int, Stats | None]:
    """Answer one prompt: the number of new tokens, and the engine's numbers where it is ours."""
    if one.engine == OURS:
        answer = generate(
            pair,
            [prompt],
            one.rule,
            mode=one.mode,
            window=one.window or 1,
            max_new_tokens=max_new_tokens,
            stop=stop,
            temperature=temperature,
            seed=seed,
            proxy_prompts=of_proxy,
        )
        return answer.stats.n_tokens, answer.stats
    from transformers import StopStringCriteria  # here, since it is slow to load

    torch.manual_seed(seed)
    ids = torch.tensor([pair.encode(prompt)], device=pair.device)
    ends = list(pair.eos_token_ids) or None
    assisted: dict[str, Any] = {"assistant_model": assistant} if one.engine == ASSISTED else {}
    if pair.has_two_vocabularies:
        ends = sorted(pair.vocabulary.sides["base"].ends) or None
        if assisted:
            assisted |= {"tokenizer": pair.tokenizer, "assistant_tokenizer": pair.proxy_tokenizer}
    with _constant_drafts(assistant, one.window or 1), torch.inference_mode():
        out = pair.base.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_new_tokens,
            eos_token_id=ends,
            pad_token_id=ends[0] if ends else None,  # an id of the text would be hidden from the assistant
            # As `stop_strings` they would be handed on to the assistant, without the tokenizer that it then asks for.
            stopping_criteria=[StopStringCriteria(pair.tokenizer, list(stop))] if stop else None,
            **assisted,
            **sampling_settings(temperature),
        )
    return out.shape[1] - ids.shape[1], None


def sampling_settings(temperature: float) -> dict[str, Any]:
    """What transformers' generate is told so that it draws from the whole law at this temperature; 0 is greedy."""
    return {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}


@contextmanager
def _constant_drafts(proxy: Any, window: int) -> Iterator[None]:
    """Make transformers draft `window` tokens every time, whatever became of the last ones; undone afterwards."""
    settings = {
        "num_assistant_tokens": window,
        "num_assistant_tokens_schedule": "constant",
        "assistant_confidence_threshold": 0.0,
    }
    before = {name: getattr(proxy.generation_config, name) for name in settings}
    proxy.generation_config.update(**settings)
    try:
        yield
    finally:
        proxy.generation_config.update(**before)


@torch.inference_mode()
def _forward_costs(pair: ModelPair, prompt: str, longest: int) -> tuple[float, dict[tuple[str, int], float]]:
    """Seconds that both models take for the prompt, and for one pass after it, by model and number of positions.

    longest: the most drafts a cycle; there are passes of every width up to it, where a bonus was deferred or the text
    is about to end.

    Passes come in the order of a cycle, drafts and then their verification, since each model finds the processor's
    caches as the other one left them; every other time the first draft's is over two positions. The prompt's time is
    the faster of two; the others are means, as a run's time is a sum, and what disturbs it disturbs them too.
    """
    ids, backend = pair.encode(prompt), backend_for(pair.device)
    widths, length = range(1, longest + 2), len(ids) + longest + 1
    costs: dict[tuple[str, int], list[float]] = {}
    with backend.working(pair.device), ExitStack() as stack:
        readers, of_prompt = {}, 0.0
        for role in _ROLES:
            passes = []
            for _ in range(2):
                readers[role] = stack.enter_context(backend.reader(pair, role, 1, length, widths))
                readers[role].join([ids])
                passes.append(_seconds(readers[role], 1))
            of_prompt += min(passes)
        for n in range(1, longest + 2):
            for turn in range(10):
                drafting = [("proxy", 1 + turn % 2), *[("proxy", 1)] * (n - 2)] if n > 1 else []
                for role, width in [*drafting, ("base", n)]:
                    readers[role].push(torch.full((1, width), ids[-1], device=pair.device))
                    costs.setdefault((role, width), []).append(_seconds(readers[role], width))
                    readers[role].forget(Both.of(np.array([width]), pair.device))
    return of_prompt, {key: fmean(seconds) for key, seconds in costs.items()}


def _seconds(reader: Reads, n: int) -> float:
    """How long reading what was pushed takes, but for what capturing its step took."""
    start, capturing = time.perf_counter(), reader.seconds_capturing
    logits = reader.read(n)
    if logits.is_cuda:
        torch.cuda.synchronize(logits.device)
    return time.perf_counter() - start - (reader.seconds_capturing - capturing)


def _after_prompt(stats: Stats, n_prompt: int, n_drafts: int) -> Counter[tuple[str, int]]:
    """The passes of one text by model and number of positions, but for the two over its prompt.

    The proxy reads the prompt alone, the base together with the first drafts.
    """
    made = Counter({("base", n): times for n, times in stats.base_passes.items()})
    made.update({("proxy", n): times for n, times in stats.proxy_passes.items()})
    made.subtract([("base", n_prompt + n_drafts), ("proxy", n_prompt)])
    return made


def _speeds(tally: _Tally, repeats: int, resamples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Tokens a second over all prompts, and after that over each resample of them."""
    n_tokens = np.reshape(tally.n_tokens, (-1, repeats)).sum(1)
    seconds = np.reshape(tally.seconds, (-1, repeats)).sum(1)
    resampled = n_tokens[resamples].sum(1) / seconds[resamples].sum(1)
    return np.concatenate([[n_tokens.sum() / seconds.sum()], resampled])


def _summary(
    one: Contestant,
    tally: _Tally,
    ratios: np.ndarray[Any, Any],
    costs: dict[tuple[str, int], float],
    reading: float,
) -> dict[str, Any]:
    """One contestant's run as JSON values; None where a number does not apply. reading: seconds for all prompts."""
    low, high = np.quantile(ratios[1:], [0.025, 0.975])
    parameters = one.rule.parameters()
    n_tokens, seconds = sum(tally.n_tokens), sum(tally.seconds)
    tested, accepted, cycles = (
        sum(getattr(stats, name) for stats in tally.stats) for name in ("n_tested", "n_accepted", "n_cycles")
    )
    deferred = sum(stats.deferral_rate * stats.n_tokens for stats in tally.stats)
    summary = {
        "name": str(one),
        "engine": one.engine,
        "rule": one.rule.name,
        "parameters": parameters,
        "parameter": next(iter(parameters.values()), None),
        "mode": one.mode,
        "window": one.window,
        "n_tokens": n_tokens,
        "seconds": seconds,
        "tokens_per_second": n_tokens / seconds,
        "speedup": float(ratios[0]),
        "speedup_low": float(low),
        "speedup_high": float(high),
        "deferral_rate": deferred / n_tokens if tally.stats else None,
        "acceptance_rate": accepted / tested if tested else None,
        "tokens_per_cycle": n_tokens / cycles if cycles else None,
        "predicted_tokens_per_cycle": None,
        "predicted_speedup": None,
        "predicted_speedup_at_cost": None,
        "share_of_bare_passes": None,
    }
    if tested and one.window is not None and costs:
        expected = tokens_per_cycle(accepted / tested, one.window)
        draft, verify = (costs["proxy", 1] / costs["base", 1], costs["base", one.window + 1] / costs["base", 1])
        summary["predicted_tokens_per_cycle"] = expected
        summary["predicted_speedup"] = expected / (one.window * draft + 1)
        summary["predicted_speedup_at_cost"] = expected / (one.window * draft + verify)
        after = sum(tally.passes[which] * cost for which, cost in costs.items())
        summary["share_of_bare_passes"] = (reading + after) / seconds
    return summary
