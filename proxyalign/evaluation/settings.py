"""What makes one run the run that it is: change any of it and the records are another run's."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from proxyalign.errors import InputError
from proxyalign.tasks import Question
from proxyalign.validation import Domain, check_count, check_number

_TEMPERATURE = Domain(0.0, math.inf, "pass 0 for greedy decoding or 1 for the models' own distribution")


@dataclass(frozen=True)
class Settings:
    """Everything that the records of one run depend on, apart from the models, the questions and their task.

    pair: what the models are called ("lab", or "BASE + PROXY"); task, task_version, split, limit: which questions;
    rule, parameters: the rule by its registered name; mode, window, temperature, rule_temperature, max_new_tokens,
    seed, boundaries: as in `proxyalign.generate`; rows: how many of the visited base distributions are kept;
    proxy_chat: whether the proxy reads each prompt in its chat template. The batch size is not here: each reply has its
    own random generator, so its neighbours change nothing (but the last bits of its logits, which batched arithmetic
    may round otherwise).

    Raises InputError for a value that no run can have.
    """

    pair: str
    task: str
    task_version: int
    rule: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    split: str = "test"
    limit: int | None = None
    mode: str = "autoregressive"
    window: int = 5
    temperature: float = 1.0
    max_new_tokens: int = 256
    seed: int = 0
    rows: int = 0
    proxy_chat: bool = False
    rule_temperature: float = 1.0
    boundaries: str = "any"

    def __post_init__(self) -> None:
        from proxyalign.decoding.arguments import MODES
        from proxyalign.deferral.boundaries import BOUNDARIES

        if self.boundaries not in BOUNDARIES:
            raise InputError(
                f"evaluation: boundaries must be {' or '.join(BOUNDARIES)}, got {self.boundaries!r}; pass one of them"
            )
        if self.mode not in MODES:
            raise InputError(f"evaluation: mode must be one of {', '.join(MODES)}, got {self.mode!r}; pass one of them")
        for name in ("temperature", "rule_temperature"):
            check_number("evaluation", name, getattr(self, name), _TEMPERATURE)
        for name, least in (("window", 1), ("max_new_tokens", 1), ("seed", 0), ("rows", 0), ("task_version", 1)):
            check_count("evaluation", name, getattr(self, name), least)
        if self.limit is not None:
            check_count("evaluation", "limit", self.limit, least=1)

    @property
    def slug(self) -> str:
        """A folder name that tells apart the runs that one results folder usually holds."""
        rule = "-".join([self.rule, *(f"{name}{float(value)}" for name, value in self.parameters.items())])
        mode = f"speculative{self.window}" if self.mode == "speculative" else self.mode
        temperature = f"t{float(self.temperature)}"
        if self.rule_temperature != 1.0:
            temperature += f"_rule-t{float(self.rule_temperature)}"
        if self.boundaries != "any":
            mode += f"_{self.boundaries}"
        return f"{self.task}_{rule}_{mode}_{temperature}_seed{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {**asdict(self), "parameters": dict(self.parameters)}


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The entries in which two settings differ, as "seed 0 there, 1 here; ..."; empty where there are none."""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return ", ".join(f"{name} {_short(there.get(name))} there and {_short(here.get(name))} here" for name in names)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def questions_digest(questions: Iterable[Question]) -> str:
    """A SHA-256 over ids, prompts and references in order, which another data set or another world changes."""
    digest = hashlib.sha256()
    for question in questions:
        parts = [question.id, question.prompt, question.proxy_prompt, question.reference]
        digest.update(json.dumps(parts).encode() + b"\n")
    return digest.hexdigest()
