"""A threshold that keeps the cascade's texts within a distance of the base's, from the base's texts (statement 19)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxyalign.errors import InputError
from proxyalign.evaluation.asked import ask, store_chats, stored_chats
from proxyalign.evaluation.provenance import models_digest
from proxyalign.evaluation.records import RECORDS, RecordFile, claim_folder, writing
from proxyalign.evaluation.tuning.development import Development, Progress, check_settings
from proxyalign.evaluation.tuning.guarantees import needed_texts, trust_rank, trust_region
from proxyalign.evaluation.tuning.space import Setting

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

FOLDER = "base_texts"


@dataclass(frozen=True)
class TrustRegion:
    """alpha: the threshold for `rules.Dual`, 0 where there is none. n_texts, k: it is the k-th smallest of n numbers.

    bound: k / (n + 1), what the mean distance is at most; eps: what was allowed. least: the smallest and the largest of
    the n least probabilities. temperature: of the draws, for which it holds. needed: how many texts a threshold above 0
    would need, None where there is one.
    """

    eps: float
    alpha: float
    n_texts: int
    k: int
    bound: float
    least: tuple[float, float] | None
    temperature: float
    needed: int | None


def bound_distance(
    pair: "ModelPair",
    development: Development,
    out: str | Path,
    *,
    eps: float,
    temperature: float = 1.0,
    progress: Progress | None = None,
) -> TrustRegion:
    """The threshold alpha for which E[TV(texts of dual(alpha), texts of the base)] <= eps, whatever the proxy.

    One text is drawn from the base after each prompt of the development questions, and ended as an evaluation would end
    it; no answer is looked at, and the proxy does not run. The promise is of texts after prompts drawn as these are, at
    this temperature, with the same longest reply and stops, and of the mean over such calibrations. At temperature 0
    the texts of a prompt are one, and the distance is the share of prompts on which the cascade writes another.

    The least probability of each text is kept in `out`/base_texts, so that an interrupted run goes on.
    Raises InputError for what cannot be used, before anything is decoded.
    """
    from proxyalign.decoding import generate
    from proxyalign.deferral.rules import Never

    alone = Setting("never", None, temperature=temperature)
    if development.benchmark.kind != "reply":
        raise InputError(
            f"tune: a distance of texts must be of a task with replies, got {development.task}; take its -reply"
        )
    questions = development.questions()
    check_settings(pair, development, [alone])
    n, size, fewest, folder = len(questions), development.batch_size, needed_texts(eps), Path(out) / FOLDER
    if n < fewest:
        return TrustRegion(eps, 0.0, n, 0, 0.0, None, temperature, fewest)
    settings = development.settings(alone)
    chats = stored_chats(folder, questions) if settings.proxy_chat else None
    asked = ask(pair, settings, questions, n_new=development.n_new_tokens, chats=chats)
    claim_folder(folder, {**settings.as_dict(), **asked.fingerprint(), "models": models_digest(pair)})
    with writing(folder):
        store_chats(folder, asked)
    with RecordFile(folder / RECORDS) as file:
        while (first := len(file.records)) < n:
            if progress:
                progress("texts of the base", first, n)
            drawn = generate(
                pair,
                asked.prompts[first : first + size],
                Never(),
                temperature=temperature,
                max_new_tokens=development.n_new_tokens,
                seed=development.seed,
                stop=asked.stop,
                batch_size=size,
                first_index=first,
            )
            for trace in drawn.traces:
                file.append({"index": len(file.records), "least": float(trace.p_y.min()), "n_tokens": len(trace)})
        least = [record["least"] for record in file.records]
    if progress:
        progress("texts of the base", n, n)
    k = trust_rank(n, eps)
    ends = min(least), max(least)
    return TrustRegion(eps, trust_region(least, eps), n, k, k / (n + 1), ends, temperature, None)
