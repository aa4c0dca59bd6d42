"""`pa.explore`: a prompt, its answer, and every step of it, to look into in a notebook."""

from typing import TYPE_CHECKING, Any

from proxyalign.deferral.budgets import Dual
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.exploring.exploration import Exploration
from proxyalign.models.pair import ModelPair

if TYPE_CHECKING:
    from proxyalign.exploring.widget import Explorer


def explore(
    pair: ModelPair,
    prompt: Any,
    rule: Rule | None = None,
    *,
    proxy_prompt: Any = None,
    max_new_tokens: int = 64,
    temperature: float = 1.0,
    seed: int = 0,
) -> "Explorer":
    """Answer `prompt` and show the answer as a widget of Jupyter: what was written by whom, and why.

    Controls change the rule, its parameters, temperature and seed, and write the answer anew, token by token. A click
    on a piece of the text (or the arrow keys, and Enter) shows its step: both laws, the tokens kept and deferred, the
    budget, the critical item, and what primal, dual and exact would do there. Where a notebook is shown without a
    kernel, what is left is the trace.

    prompt: a text, or the base's token ids; proxy_prompt: what the proxy (and the reference) reads where that is
    another one, such as `pair.chat` of the question. rule: the one to begin with, one of `rules.REGISTRY`, by default
    the dual at 0.4; temperature, seed: as in `generate`, to begin with. max_new_tokens: at most so many in an answer.

    The widget's `generation` is the last answer, as `generate` gives it. Each click reads the text anew with both
    models. Raises InputError for what `generate` refuses, a served base, a rule that has no name in the registry, and
    where anywidget is not installed (extra [notebooks]).
    """
    exploration = Exploration(pair, prompt, proxy_prompt=proxy_prompt, max_new_tokens=max_new_tokens)
    try:
        from proxyalign.exploring.widget import Explorer
    except ModuleNotFoundError as error:
        if error.name not in ("anywidget", "traitlets"):
            raise
        raise InputError(
            "explore: anywidget must be installed, got none; run pip install 'proxyalign[notebooks]'"
        ) from None
    first = Dual(alpha=0.4) if rule is None else rule
    return Explorer(exploration, first, temperature=temperature, seed=seed)
