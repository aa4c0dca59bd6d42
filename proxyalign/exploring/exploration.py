"""The half of `explore` that needs no notebook: settings in, JSON values out."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from proxyalign.decoding.arguments import check_pair_and_rule, prompt_ids, proxy_ids
from proxyalign.decoding.generate import TEMPERATURE, Generation, generate
from proxyalign.decoding.trace import COLOURS, Trace
from proxyalign.deferral import rules
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.exploring.laws import laws_at
from proxyalign.exploring.step import step_view
from proxyalign.models.pair import ModelPair
from proxyalign.validation import check_count, check_number

HOTTEST = 2.0  # of the temperatures that the control offers


class Exploration:
    """One prompt that a pair answers anew for each rule, temperature and seed, and looks into, step by step.

    prompt: a text, or the base's token ids; proxy_prompt: what the proxy and the reference read, by default the same.
    generation: the last answer, None before the first. Raises InputError as `generate` does.
    """

    def __init__(self, pair: ModelPair, prompt: Any, *, proxy_prompt: Any = None, max_new_tokens: int = 64) -> None:
        check_pair_and_rule("explore", pair, rules.Never())
        check_count("explore", "max_new_tokens", max_new_tokens, 1)
        self.pair = pair
        self.max_new_tokens = int(max_new_tokens)
        base = prompt_ids(pair, "base", "prompts", [prompt], self.max_new_tokens)
        if proxy_prompt is None:
            own = proxy_ids(pair, [prompt], base, self.max_new_tokens)
        else:
            own = prompt_ids(pair, "proxy", "proxy_prompts", [proxy_prompt], self.max_new_tokens)
        self._prompts = {"base": base[0], "proxy": own[0]}
        self.generation: Generation | None = None
        self.rule: Rule = rules.Never()
        self._temperature = 1.0

    def controls(self) -> dict[str, Any]:
        """What there is to choose, in JSON values: the rules that the pair can take, each with its parameters.

        A parameter has `low` and `high` (None for no end), `is_whole`, and the value `first` that it begins with: its
        default, else two fifths of the way between its ends, 1 where an end is missing.
        """
        usable = []
        for line in rules.table():
            rule = _usual(line)
            try:
                check_pair_and_rule("explore", self.pair, rule)
            except InputError:  # it compares tokens of two vocabularies, or wants a reference
                continue
            parameters = [
                {
                    "name": name, "low": _number(low), "high": _number(high), "is_whole": rule.domains[name].whole,
                    "first": rule.parameters()[name],
                }
                for name, (low, high) in line["parameters"].items()
            ]  # fmt: skip
            usable.append({"name": line["name"], "formula": line["formula"], "parameters": parameters})
        return {"rules": usable, "sources": COLOURS, "hottest": HOTTEST}

    def write(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the prompt; the text token by token, in JSON values.

        settings: "rule" its name, "parameters" by name, "temperature" and "seed". Raises InputError as `rules.make` and
        `generate` do.
        """
        rule = rules.make(settings["rule"], **settings["parameters"])
        temperature, seed = settings["temperature"], settings["seed"]
        check_number("explore", "temperature", temperature, TEMPERATURE)
        check_count("explore", "seed", seed, 0)
        self.generation = generate(
            self.pair, [self._prompts["base"]], rule, proxy_prompts=[self._prompts["proxy"]],
            max_new_tokens=self.max_new_tokens, temperature=temperature, seed=seed,
        )  # fmt: skip
        self.rule, self._temperature = rule, float(temperature)
        trace = self.trace
        return {
            "rule": str(rule),
            "formula": rule.about.formula,
            "deferral_rate": self.generation.stats.deferral_rate,
            "tokens": [
                {"text": self._spell(int(token)), "source": str(source), "p": _number(p), "mass": float(mass)}
                for token, source, p, mass in zip(
                    trace.token_ids, trace.source, trace.p_y, trace.deferral_mass, strict=True
                )
            ],
        }

    @property
    def trace(self) -> Trace:
        """Of the last answer. Raises InputError before the first."""
        if self.generation is None:
            raise InputError("explore: there must be an answer, got none yet; write one first")
        return self.generation.traces[0]

    def step(self, position: int) -> dict[str, Any]:
        """The step that wrote the token at this position of the last answer; see `step.step_view`.

        Raises InputError for a position that the answer does not have.
        """
        trace = self.trace
        check_count("explore", "position", position, 0)
        if position >= len(trace):
            raise InputError(
                f"explore: position must be below {len(trace)}, the number of tokens, got {position}; choose one of "
                "the text's"
            )
        prompts = dict(self._prompts)
        if self.rule.reads("q0"):
            prompts["reference"] = prompts["proxy"]
        laws = laws_at(self.pair, self.rule, prompts, trace.token_ids[:position].tolist(), self._temperature)
        drawn = int(trace.token_ids[position])
        seen = step_view(self.rule, laws, drawn, self._spell)
        return {**seen, "position": position, "text": self._spell(drawn), "source": str(trace.source[position])}

    def _spell(self, token: int) -> str:
        return str(self.pair.spelling.decode([token]))


def _usual(line: Mapping[str, Any]) -> Rule:
    """The rule of a line of the table of rules, with the parameters that its controls begin with."""
    name, parameters = line["name"], {}
    for key, one in inspect.signature(rules.REGISTRY[name]).parameters.items():
        if one.default is inspect.Parameter.empty:
            low, high = line["parameters"][key]
            is_wide = math.isinf(low) or math.isinf(high)
            parameters[key] = 1 if is_wide else low + 0.4 * (high - low)
    return rules.make(name, **parameters)


def _number(value: float) -> float | None:
    """A number that JSON has, None for what it has none for: the base that never ran, an end that there is not."""
    return float(value) if math.isfinite(value) else None
