"""The aligned examples that the proxy is tuned on: asked format and truth, on creatures and numbers of their own."""

import random
from dataclasses import dataclass

from proxyalign.models.lab.documents import answer_fact, answer_problem
from proxyalign.models.lab.problems import make_problem
from proxyalign.models.lab.recipe import Recipe
from proxyalign.models.lab.world import QUESTIONS, World


@dataclass(frozen=True)
class Example:
    """A prompt and the reply that is wanted; the loss is on the reply and the end of text alone."""

    prompt: str
    reply: str


def fact_prompt(question: str) -> str:
    """The prompt of lab-facts."""
    return f"Question: {question}\n"


def problem_prompt(text: str) -> str:
    """The prompt of lab-math."""
    return f"Question: {text}\n"


def examples(world: World, recipe: Recipe) -> list[Example]:
    """The tuning examples of both tasks, shuffled."""
    rng = random.Random(f"{world.seed}:tuning")
    asked = [
        Example(fact_prompt(fact.question(template)), answer_fact(fact.truth))
        for fact in world.facts("tuned")
        for template in range(len(QUESTIONS[fact.attribute]))
    ]
    chosen = rng.sample(asked, min(recipe.tuning.facts, len(asked)))
    for _ in range(recipe.tuning.problems):
        problem = make_problem(rng, "train", world.seed, recipe)
        chosen.append(Example(problem_prompt(problem.text), answer_problem(problem)))
    rng.shuffle(chosen)
    return chosen
