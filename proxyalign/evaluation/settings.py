"""What makes one run the run that it is: change any of it and the records are another run's."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.tasks import Question
from proxyalign.validation import Domain, check_count, check_number

if TYPE_CHECKING:
    from proxyalign.deferral.verifiers import Verifier

_OF_A_CHOICE = {"mode": "autoregressive", "temperature": 1.0, "rule_temperature": 1.0, "rows": 0, "verifier": None}
# Which the first folders do not have.
_LATER = ("proxy_chat", "rule_temperature", "boundaries", "base_chat", "verifier", "delta")
_TEMPERATURE = Domain(0.0, math.inf, "pass 0 for greedy decoding or 1 for the models' own distribution")


@dataclass(frozen=True)
class Settings:
    """Everything that the records of one run depend on, apart from the models, the questions and their task.

    pair: what the models are called ("lab", or "BASE + PROXY"); task, task_version, split, limit: which questions;
    rule, parameters: the rule by its registered name; mode, window, temperature, rule_temperature, max_new_tokens,
    seed, boundaries: as in `proxyalign.generate`; rows: how many of the visited base distributions are kept;
    proxy_chat: whether the proxy reads each question's message in its chat template; base_chat: whether the base does
    as well, in the same template, as the authors of the cascade have it; then proxy_chat is set too; verifier, delta: a
    lossy verifier by its name, and how much it may change, both or neither. The batch size is not here: each reply has
    its own random generator, so its neighbours change nothing (but the last bits of its logits, which batched
    arithmetic may round otherwise).

    A choice task is read and not decoded: its likelihoods are the law's at temperature 1, so mode, window, seed and
    max_new_tokens (0 may be passed) say nothing there. Raises InputError for a value that no run can have.
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
    base_chat: bool = False
    verifier: str | None = None
    delta: float | None = None

    def __post_init__(self) -> None:
        from proxyalign.decoding.arguments import MODES, check_verifier
        from proxyalign.deferral.boundaries import BOUNDARIES

        if self.boundaries not in BOUNDARIES:
            raise InputError(
                f"evaluation: boundaries must be {' or '.join(BOUNDARIES)}, got {self.boundaries!r}; pass one of them"
            )
        if self.mode not in MODES:
            raise InputError(f"evaluation: mode must be one of {', '.join(MODES)}, got {self.mode!r}; pass one of them")
        for name in ("temperature", "rule_temperature"):
            check_number("evaluation", name, getattr(self, name), _TEMPERATURE)
        least_new = 0 if self.is_choice else 1
        for name, least in (
            ("window", 1),
            ("max_new_tokens", least_new),
            ("seed", 0),
            ("rows", 0),
            ("task_version", 1),
        ):
            check_count("evaluation", name, getattr(self, name), least)
        if self.limit is not None:
            check_count("evaluation", "limit", self.limit, least=1)
        for name, only in _OF_A_CHOICE.items():
            if self.is_choice and getattr(self, name) != only:
                raise InputError(
                    f"evaluation: {name} must be {only} for {self.task}, whose choices are read and not decoded, got "
                    f"{getattr(self, name)!r}; leave it out, or take {self.task}-reply"
                )
        check_verifier("evaluation", self.lossy_verifier(), self.mode)
        if self.base_chat:
            object.__setattr__(self, "proxy_chat", True)

    @property
    def is_choice(self) -> bool:
        """Whether the answers are likelihoods of given choices; False for a task that there is not."""
        return self.task in tasks.NAMES and tasks.get(self.task).kind == "choice"

    def lossy_verifier(self) -> "Verifier | None":
        """What drafts are tested with in pi's place, if anything."""
        from proxyalign.deferral import verifiers

        return verifiers.make(self.verifier, self.delta)

    @property
    def slug(self) -> str:
        """A folder name that tells apart the runs that one results folder usually holds."""
        rule = "-".join([self.rule, *(f"{name}{float(value)}" for name, value in self.parameters.items())])
        if self.base_chat:
            rule += "_base-chat"
        if self.is_choice:
            return f"{self.task}_{rule}_likelihood" + f"_{self.boundaries}" * (self.boundaries != "any")
        mode = f"speculative{self.window}" if self.mode == "speculative" else self.mode
        if self.verifier is not None and self.delta is not None:
            mode += f"-{self.verifier}{float(self.delta)}"
        temperature = f"t{float(self.temperature)}"
        if self.rule_temperature != 1.0:
            temperature += f"_rule-t{float(self.rule_temperature)}"
        if self.boundaries != "any":
            mode += f"_{self.boundaries}"
        return f"{self.task}_{rule}_{mode}_{temperature}_seed{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {**asdict(self), "parameters": dict(self.parameters)}


def with_defaults(found: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a folder holds, with the default of each that was not there to set when the folder was made."""
    return {**{one.name: one.default for one in fields(Settings) if one.name in _LATER}, **found}


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The entries in which two settings differ, as "seed 0 there, 1 here; ..."; empty where there are none."""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return ", ".join(f"{name} {_short(there.get(name))} there and {_short(here.get(name))} here" for name in names)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def questions_digest(questions: Iterable[Question], *, in_chat: bool = False) -> str:
    """A SHA-256 over ids, prompts, references and choices in order, which another data set or another world changes.

    in_chat: whether a chat template wraps the questions' messages, which nobody reads otherwise.
    """
    digest = hashlib.sha256()
    for question in questions:
        parts = [question.id, question.prompt, question.proxy_prompt, question.reference]
        if in_chat and question.message is not None:
            parts.append(question.message)
        if question.choices:
            parts += [*question.choices, None, *question.others]
        digest.update(json.dumps(parts).encode() + b"\n")
    return digest.hexdigest()
