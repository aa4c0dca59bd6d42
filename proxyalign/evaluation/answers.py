"""One batch of a run: what a pair answers to questions, by decoding or by likelihoods of choices, and its worth."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxyalign import tasks
from proxyalign.evaluation.asked import Asked
from proxyalign.evaluation.kept_traces import kept
from proxyalign.evaluation.row_sample import RowSample
from proxyalign.evaluation.settings import Settings
from proxyalign.tasks import Question, Score

if TYPE_CHECKING:
    from proxyalign.decoding import Generation, Trace
    from proxyalign.models import ModelPair

Record = dict[str, Any]
_SORTED = 8  # batches of choices that are sorted by length together


def n_together(settings: Settings, batch_size: int) -> int:
    """How many questions make a batch, of which the records are written together.

    Those of choices are sorted by length before `batch_size` of them are read at once, so that it takes more of them.
    """
    return batch_size * _SORTED if settings.is_choice else batch_size


def answered(
    pair: "ModelPair",
    settings: Settings,
    asked: Asked,
    batch: range,
    own: range,
    *,
    batch_size: int,
    sample: RowSample | None,
    traces: bool = False,
) -> list[Record]:
    """The records of the questions of `own`, which are answered together with the others of `batch`.

    A batch is answered whole, although some of it may be another shard's or be on the disk already, since the last bits
    of its logits depend on what is in it. sample: keeps visited rows of `own`, and saves them, where it is not None.
    traces: whether the records have them (`kept_traces.kept`).
    """
    if settings.is_choice:
        return _chosen(pair, settings, asked, batch, own, batch_size)
    wants = None if sample is None else (lambda index, position: index in own and sample.wants(index, position))
    replies = _decoded(pair, settings, asked, batch, wants or False)
    if sample is not None:  # before the records: a kill in between repeats the batch and finds its rows kept
        for index in own:
            trace = replies.traces[index - batch.start]
            if trace.distributions is not None and trace.law_positions is not None:
                positions = trace.law_positions
                sample.offer(index, positions.tolist(), trace.distributions, trace.deferral_mass[positions])
        sample.save()
    task, per_token = tasks.get(settings.task), replies.stats.seconds / max(1, replies.stats.n_tokens)
    records = []
    for index in own:
        text, trace = replies.texts[index - batch.start], replies.traces[index - batch.start]
        question, n_tokens = asked.questions[index], len(trace.token_ids)
        counts = {
            "n_tokens": n_tokens,
            "deferral_mass": float(trace.deferral_mass.sum()),
            "n_tested": trace.n_tested,
            "n_accepted": trace.n_accepted,
            "n_cycles": trace.n_cycles,
            "seconds": per_token * n_tokens,
        }
        score = task.score(question, text)
        told = {"reply": text, "reply_measures": _of_trace(settings, question, score, text, trace)}
        told |= {"trace": kept(trace)} if traces else {}
        records.append(_record(question, index, told, _with_distance(score, trace), counts))
    return records


def _with_distance(score: Score, trace: "Trace") -> Score:
    """The score, and where a lossy verifier tested the drafts, how far from pi the law of a token was."""
    if trace.distance_from_pi is None:
        return score
    distance = float(trace.distance_from_pi.sum()), float(len(trace.distance_from_pi))
    return replace(score, measures={**score.measures, "distance_from_pi": distance})


def _of_trace(
    settings: Settings, question: Question, score: Score, text: str, trace: "Trace"
) -> dict[str, tuple[float, float]]:
    """What is measured of a reply beside its worth, but for what follows from the rest of its record (`of_record`)."""
    from proxyalign.evaluation.measures import reply_measures, text_measures

    budget = settings.parameters.get("budget")
    found = reply_measures(question, score, text, trace, settings.max_new_tokens, budget)
    follows = {*text_measures(""), "format", "tokens", "ended"}
    return {name: one for name, one in found.items() if name not in follows and one[1]}


def _chosen(
    pair: "ModelPair", settings: Settings, asked: Asked, batch: range, own: range, batch_size: int
) -> list[Record]:
    """The records of a choice task; JSON has no infinity, so that a likelihood of 0 is null among the logarithms."""
    from proxyalign.decoding.choices import score_choices
    from proxyalign.deferral import rules

    assert asked.choices is not None
    rows, task = asked.rows(batch), tasks.get(settings.task)
    begin = time.perf_counter()
    found = score_choices(
        pair,
        rules.make(settings.rule, **settings.parameters),
        asked.prompts[rows],
        asked.choices[rows],
        proxy_contexts=None if asked.proxy_prompts is None else asked.proxy_prompts[rows],
        boundaries=settings.boundaries,
        batch_size=batch_size,
    )
    seconds = time.perf_counter() - begin
    n_read = [
        len(prompt) + sum(map(len, choices))
        for prompt, choices in zip(asked.prompts[rows], asked.choices[rows], strict=True)
    ]
    records = []
    for index in own:
        question, log_likelihoods = asked.questions[index], found[index - batch.start]
        n_tokens = n_read[index - batch.start]
        told = {"log_likelihoods": [None if one == -math.inf else one for one in log_likelihoods]}
        counts = {
            "n_tokens": n_tokens,
            **dict.fromkeys(("deferral_mass", "n_tested", "n_accepted", "n_cycles"), 0),
            "seconds": seconds * n_tokens / sum(n_read),
        }
        records.append(_record(question, index, told, task.score(question, log_likelihoods), counts))
    return records


def _record(question: Question, index: int, answer: Record, score: Score, counts: Record) -> Record:
    """One answer, what it is worth and what it took, as JSON values."""
    return {
        "index": index,
        "id": question.id,
        "meta": dict(question.meta),
        "prompt_sha256": hashlib.sha256(question.prompt.encode()).hexdigest(),
        **answer,
        "extracted": score.extracted,
        "correct": score.correct,
        "strict": score.strict,
        **({"measures": dict(score.measures)} if score.measures else {}),
        **counts,
    }


def _decoded(
    pair: "ModelPair",
    settings: Settings,
    asked: Asked,
    batch: range,
    distributions: bool | Callable[[int, int], bool],
) -> "Generation":
    """The replies to the questions of `batch`. distributions: as of `generate`."""
    from proxyalign.decoding import generate
    from proxyalign.deferral import rules

    rows = asked.rows(batch)
    return generate(
        pair,
        asked.prompts[rows],
        rules.make(settings.rule, **settings.parameters),
        mode=settings.mode,
        window=settings.window,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        rule_temperature=settings.rule_temperature,
        seed=settings.seed,
        proxy_prompts=None if asked.proxy_prompts is None else asked.proxy_prompts[rows],
        stop=asked.stop,
        batch_size=len(batch),
        distributions=distributions,
        first_index=batch.start,
        boundaries=settings.boundaries,
        verifier=settings.lossy_verifier(),
    )
