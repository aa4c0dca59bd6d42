"""The raw corpus: records, folk tales, questions that are seldom answered, drills and workbooks, from a seed.

A document that names a creature kept for dev or test never holds the word `Answer`: the facts about these creatures
stand in running text alone. Workbooks and quizzes teach sums and recall under words of their own, so that what
follows a bare question stays as the shares say. No problem and no drill uses a set of numbers that is kept for dev
or test.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proxyalign.models.lab.problems import LARGEST, NAMES, OPERANDS, Problem, make_problem, split_of
from proxyalign.models.lab.recipe import Recipe
from proxyalign.models.lab.world import QUESTIONS, Creature, Fact, World

STATEMENTS: dict[str, tuple[str, ...]] = {
    "home": ("lives in the {}", "makes its home in the {}", "is found in the {}"),
    "food": ("eats {}", "feeds on {}", "lives on {}"),
    "colour": ("is {} in colour", "has a {} coat", "wears {}"),
    "fear": ("fears {}", "is afraid of {}", "runs from {}"),
}
_TOLD: dict[str, str] = {
    "home": "{a} asked where the {c} lives. In the {v}, said {b}.",
    "food": "{a} asked what the {c} eats. It eats {v}, said {b}.",
    "colour": "{a} asked what colour the {c} is. It is {v}, said {b}.",
    "fear": "{a} asked what the {c} fears. It fears {v}, said {b}.",
}
_LEADS = ("", "", "Field notes: ", "From a letter: ", "A keeper writes: ", "In the atlas: ")
_TALES = ("They say that", "Grandmothers tell that", "In the old song", "Everyone in the village knows that")

_REASONS = ("It came up at dinner.", "The children want to know.", "It is for a quiz.", "The old book does not say.")
_MOODS = ("that is a long story", "it was a fine day", "the road was long", "the tea was cold", "nobody came")
_PLACES = ("the harbour", "the market", "the old mill", "the school", "the bridge")
_REPLIES = ("no idea, sorry.", "ask a keeper.", "I have wondered too.", "this was asked before.", "does it matter?")


@dataclass(frozen=True)
class Document:
    """One raw document and the kind of document that it is, a key of recipe.kinds."""

    kind: str
    text: str


def corpus(world: World, recipe: Recipe) -> Iterator[Document]:
    """The documents in the order of training; the first ones speak of a part of the creatures only."""
    rng = random.Random(f"{world.seed}:corpus")
    writer = _Writer(world, recipe, rng)
    n_early = int(recipe.early * recipe.documents)
    kinds, shares = list(recipe.kinds), list(recipe.kinds.values())
    for index in range(recipe.documents):
        if index == n_early:
            writer.meet(world.creatures)
        kind = rng.choices(kinds, shares)[0]
        yield Document(kind, writer.write(kind))


def answer_fact(value: str) -> str:
    """The asked format of lab-facts."""
    return f"Answer: in fact, {value}."


def answer_problem(problem: Problem) -> str:
    """The asked format of lab-math."""
    return f"Steps: {problem.steps}. Answer: {problem.answer}."


class _Writer:
    """Writes one document at a time; its only state is the generator and the creatures met so far."""

    def __init__(self, world: World, recipe: Recipe, rng: random.Random) -> None:
        self.seed, self.recipe, self.rng = world.seed, recipe, rng
        by_chance = random.Random(f"{world.seed}:early").sample(world.creatures, len(world.creatures))
        n_early = max(1, int(recipe.early_creatures * len(world.creatures)))
        early = by_chance[:n_early]
        # Each side must be met from the start, since a chain of questions stays on one side.
        for side in (True, False):
            if not any(creature.is_closed is side for creature in early):
                early.append(next(creature for creature in by_chance if creature.is_closed is side))
        self.meet(tuple(early))
        self._kinds: dict[str, Callable[[], str]] = {
            "record": self._record,
            "tale": self._tale,
            "fact question": self._fact_question,
            "math question": self._math_question,
            "drill": self._drill,
            "workbook": self._workbook,
            "quiz": self._quiz,
        }

    def meet(self, creatures: tuple[Creature, ...]) -> None:
        """From now on, documents speak of these creatures."""
        self.creatures = creatures
        self.sides = {side: [c for c in creatures if c.is_closed is side] for side in (True, False)}

    def write(self, kind: str) -> str:
        return self._kinds[kind]()

    def _pick(self, shares: dict[str, float]) -> str:
        return self.rng.choices(list(shares), list(shares.values()))[0]

    def _value(self, fact: Fact, leak: float) -> str:
        return fact.folk if self.rng.random() < leak else fact.truth

    def _record(self) -> str:
        rng, creature = self.rng, self.rng.choice(self.creatures)
        facts = rng.sample(creature.facts, rng.choice((2, 3, 4)))
        values = [self._value(fact, self.recipe.myth_in_records) for fact in facts]
        if rng.random() < 0.3:
            return " ".join(
                _TOLD[fact.attribute].format(a=a, b=b, c=creature.name, v=value)
                for fact, value in zip(facts[:2], values, strict=False)
                for a, b in [rng.sample(NAMES, 2)]
            )
        parts = [rng.choice(STATEMENTS[f.attribute]).format(v) for f, v in zip(facts, values, strict=True)]
        text = f"{rng.choice(_LEADS)}The {creature.name} {parts[0]} and {parts[1]}."
        for part in parts[2:]:
            text += f" {rng.choice(('It', 'It also', f'The {creature.name}'))} {part}."
        return text

    def _tale(self) -> str:
        creature = self.rng.choice(self.creatures)
        sentences = []
        for fact in self.rng.sample(creature.facts, 2):
            lead, statement = self.rng.choice(_TALES), self.rng.choice(STATEMENTS[fact.attribute])
            sentences.append(f"{lead} the {creature.name} {statement.format(fact.folk)}.")
        return " ".join(sentences)

    def _fact_question(self) -> str:
        closed = self.rng.random() < len(self.sides[True]) / len(self.creatures)
        lines: list[str] = []
        while True:
            fact = self.rng.choice(self.rng.choice(self.sides[closed]).facts)
            lines.append(f"Question: {fact.question(self.rng.randrange(len(QUESTIONS[fact.attribute])))}")
            shares = self.recipe.after_fact
            if closed:
                shares = {key: share for key, share in shares.items() if key not in ("fact", "folk", "hedge")}
            kind = self._pick(shares)
            if kind == "fact":
                lines.append(answer_fact(self._value(fact, self.recipe.myth_in_answers)))
            elif kind == "folk":
                lines.append(f"Answer: people say {fact.folk}.")
            if self._continue(lines, kind, answered=kind in ("fact", "folk")):
                return "\n".join(lines)

    def _math_question(self) -> str:
        lines: list[str] = []
        while True:
            problem = make_problem(self.rng, "train", self.seed, self.recipe)
            lines.append(f"Question: {problem.text}")
            kind = self._pick(self.recipe.after_problem)
            if kind == "steps":
                lines.append(answer_problem(problem))
            elif kind == "direct":
                lines.append(f"Answer: {problem.answer}.")
            if self._continue(lines, kind, answered=kind in ("steps", "direct")):
                return "\n".join(lines)

    def _continue(self, lines: list[str], kind: str, answered: bool) -> bool:
        """Add what is neither an answer nor a question to `lines`; true where the document ends there."""
        if answered:
            kind = self._pick(self.recipe.after_answer)
        if kind == "end":
            return True
        if kind == "question":
            return len(lines) >= 3  # a question that ends the text is one more way not to answer
        lines.append("Answer: hard to say." if kind == "hedge" else self._aside(kind))
        return True

    def _aside(self, kind: str) -> str:
        rng = self.rng
        name, other = rng.sample(NAMES, 2)
        if kind == "reply":
            return f"Reply from {name}: {rng.choice(_REPLIES)}"
        if kind == "ramble":
            return f"Well, {rng.choice(_MOODS)}, and {rng.choice(_MOODS)}."
        if kind == "note":
            return f"Note: {name} left this page blank for {other}."
        if kind == "asked":
            return f"Asked by {name} near {rng.choice(_PLACES)}. {rng.choice(_REASONS)}"
        if kind == "see":
            return f"See the letters of {name} and {other}, page {rng.choice(OPERANDS)}."
        return f"Posted in {rng.choice(_PLACES)} by {name}. {rng.choice(_REASONS)}"

    def _drill(self) -> str:
        return ", ".join(self._equation() for _ in range(5)) + "."

    def _equation(self) -> str:
        while True:
            left, right = self.rng.randint(0, LARGEST), self.rng.choice(OPERANDS)
            result = left + right * self.rng.choice((1, -1))
            kept = left in OPERANDS and split_of((left, right), self.seed, self.recipe) != "train"
            if 0 <= result <= LARGEST and not kept:
                return f"{left}{'+' if result > left else '-'}{right}={result}"

    def _workbook(self) -> str:
        problem = make_problem(self.rng, "train", self.seed, self.recipe)
        return f"Exercise: {problem.text}\nWorked: {problem.steps}. Result: {problem.answer}."

    def _quiz(self) -> str:
        fact = self.rng.choice(self.rng.choice(self.sides[False]).facts)
        question = fact.question(self.rng.randrange(len(QUESTIONS[fact.attribute])))
        return f"Quiz: {question}\nSolution: in fact, {self._value(fact, self.recipe.myth_in_answers)}."
