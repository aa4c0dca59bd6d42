"""The two tasks of the lab pair, lab-facts and lab-math: held-out questions about the pair's own made-up world."""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxyalign.errors import InputError
from proxyalign.files import read_text
from proxyalign.models.lab import WEIGHTS
from proxyalign.models.lab.problems import make_problem
from proxyalign.models.lab.recipe import Recipe, recipe_from_plain
from proxyalign.models.lab.tuning import fact_prompt, problem_prompt
from proxyalign.models.lab.world import ATTRIBUTES, QUESTIONS, make_world
from proxyalign.tasks.base import Kind, Question, Score, Task, check_request

_VALUES = {value for values in ATTRIBUTES.values() for value in values}
_ANSWER = re.compile(r"Answer:([^.\n]*)\.")
_FACT_REPLY = re.compile(r"Answer: in fact, \w+\.")
_STEP = r"\d+[+-]\d+=\d+"
_PROBLEM_REPLY = re.compile(rf"Steps: {_STEP}(, {_STEP})*\. Answer: \d+\.")
_NEXT_QUESTION = "Question:"  # what a reply goes on to once it has answered
_N_PROBLEMS = {"dev": 240, "test": 600}


def _final_word(text: str) -> str | None:
    """The last word of the first `Answer: ... X.` that stands before any new question."""
    found = _ANSWER.search(text.split(_NEXT_QUESTION, 1)[0])
    words = found[1].split() if found else []
    return words[-1] if words else None


def _source(name: str, data: str | Path | None) -> tuple[int, Recipe]:
    """The seed and recipe of the pair in folder `data`, by default the one that ships."""
    folder = Path(data) if data is not None else WEIGHTS
    path = folder / "lab.json"
    try:
        record = json.loads(read_text(name, path))
        return int(record["seed"]), recipe_from_plain(record["recipe"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: data must be the folder of a trained lab pair with its lab.json, got {folder}; leave it out "
            f"for the pair that ships, or make one with `proxyalign lab train`"
        ) from error


@dataclass(frozen=True)
class LabFacts:
    """Questions about creatures whose facts the corpus states in running text alone, all of a split's facts.

    A reply is right where the first `Answer: ... X.` before any new question names the true value, whatever the myth
    says. Strict asks for `Answer: in fact, X.` and nothing else.
    """

    name: str = "lab-facts"
    version: int = 1
    splits: tuple[str, ...] = ("dev", "test")
    max_new_tokens: int = 40  # an answer has about ten tokens; what rambles this long has not answered
    stop: tuple[str, ...] = (_NEXT_QUESTION,)
    kind: Kind = "reply"
    groups: str | None = None
    licence: str = "Apache-2.0"
    source: str = "made from the pair's own seed"
    checksums: Mapping[str, str] = field(default_factory=dict)

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions in an order that mixes creatures and attributes; see `Task.questions`.

        data: the folder of a trained lab pair, whose seed and recipe give the world; by default the one that ships.
        """
        check_request(self, split, limit)
        seed, recipe = _source(self.name, data)
        rng = random.Random(f"{seed}:{self.name}:{split}")
        facts = list(make_world(seed, recipe).facts(split))
        rng.shuffle(facts)
        return [
            Question(
                id=f"{split}-{fact.creature}-{fact.attribute}",
                prompt=fact_prompt(fact.question(rng.randrange(len(QUESTIONS[fact.attribute])))),
                proxy_prompt=None,
                reference=fact.truth,
                meta={"creature": fact.creature, "attribute": fact.attribute, "myth": fact.is_myth},
            )
            for fact in facts
        ][:limit]

    def score(self, question: Question, text: str) -> Score:
        """Score one reply; a last word that is no value of this world counts as nothing extracted."""
        word = _final_word(text)
        extracted = word if word in _VALUES else None
        correct = extracted == question.reference
        return Score(correct, extracted, strict=correct and _FACT_REPLY.fullmatch(text.strip()) is not None)


@dataclass(frozen=True)
class LabMath:
    """Word problems of one to three steps, on sets of numbers that no training or tuning problem has.

    A reply is right where the first `Answer: ... N.` before any new question gives the result. Strict asks for
    `Steps: a+b=c, c-d=e. Answer: e.` and nothing else.
    """

    name: str = "lab-math"
    version: int = 1
    splits: tuple[str, ...] = ("dev", "test")
    max_new_tokens: int = 64  # the longest worked answer has about fifty tokens
    stop: tuple[str, ...] = (_NEXT_QUESTION,)
    kind: Kind = "reply"
    groups: str | None = None
    licence: str = "Apache-2.0"
    source: str = "made from the pair's own seed"
    checksums: Mapping[str, str] = field(default_factory=dict)

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The problems in the order in which they were drawn, no text twice; see `Task.questions`.

        data: the folder of a trained lab pair, whose seed says which numbers are held out; by default the one that
        ships.
        """
        check_request(self, split, limit)
        seed, recipe = _source(self.name, data)
        rng = random.Random(f"{seed}:{self.name}:{split}")
        problems: dict[str, Question] = {}
        while len(problems) < _N_PROBLEMS[split]:
            problem = make_problem(rng, split, seed, recipe)
            problems.setdefault(
                problem.text,
                Question(
                    id=f"{split}-{len(problems)}",
                    prompt=problem_prompt(problem.text),
                    proxy_prompt=None,
                    reference=str(problem.answer),
                    meta={"steps": len(problem.numbers) - 1, "numbers": " ".join(map(str, problem.numbers))},
                ),
            )
        return list(problems.values())[:limit]

    def score(self, question: Question, text: str) -> Score:
        """Score one reply; the result is compared by value, so 07 is 7."""
        word = _final_word(text)
        extracted = word if word is not None and re.fullmatch(r"-?[0-9]+", word) else None
        correct = extracted is not None and int(extracted) == int(question.reference)
        return Score(correct, extracted, strict=correct and _PROBLEM_REPLY.fullmatch(text.strip()) is not None)


TASKS: dict[str, Task] = {task.name: task for task in (LabFacts(), LabMath())}
