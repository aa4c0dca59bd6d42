"""Arithmetic word problems of one to three steps, and which sets of numbers belong to which split."""

import hashlib
import random
from dataclasses import dataclass

from proxyalign.models.lab.recipe import Recipe
from proxyalign.models.lab.world import words

OPERANDS = range(2, 30)
LARGEST = 99  # no intermediate result is larger, and none is negative

NAMES = words("Ada Bo Cy Dot Eli Fay Gus Ivy Jo Kit Lou Max")
THINGS = words("pears shells coins beads plums stamps cards nuts")
_GAINS = ("{n} buys {x} more.", "{n} finds {x} more.", "{f} gives {n} {x} more.")
_LOSSES = ("{n} loses {x}.", "{n} sells {x}.", "{n} gives {x} to {f}.")
_ASKS = ("How many {o} does {n} have now?", "How many {o} are left with {n}?")


@dataclass(frozen=True)
class Problem:
    """A word problem with its signed operands, for example (12, 5, -3)."""

    text: str
    terms: tuple[int, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers that the text names, sorted: what training, dev and test must not share."""
        return tuple(sorted(abs(term) for term in self.terms))

    @property
    def answer(self) -> int:
        """The right result."""
        return sum(self.terms)

    @property
    def steps(self) -> str:
        """The worked steps, `12+5=17, 17-3=14`."""
        total, lines = self.terms[0], []
        for term in self.terms[1:]:
            lines.append(f"{total}{term:+d}={total + term}")
            total += term
        return ", ".join(lines)


def split_of(numbers: tuple[int, ...], seed: int, recipe: Recipe) -> str:
    """`test`, `dev` or `train`, by a hash of the sorted numbers, so that no two splits share a set of numbers."""
    key = f"{seed}:{','.join(map(str, sorted(numbers)))}"
    bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    if bucket < recipe.test_numbers:
        return "test"
    return "dev" if bucket < recipe.test_numbers + recipe.dev_numbers else "train"


def make_problem(rng: random.Random, split: str, seed: int, recipe: Recipe) -> Problem:
    """Draw one problem of `split`; the draws of splits that are not wanted are thrown away."""
    n_steps = rng.choices((1, 2, 3), recipe.steps)[0]
    while True:
        terms = _terms(rng, n_steps)
        if split_of(tuple(map(abs, terms)), seed, recipe) == split:
            return Problem(_story(rng, terms), terms)


def _terms(rng: random.Random, n_steps: int) -> tuple[int, ...]:
    total = rng.choice(OPERANDS)
    terms = [total]
    while len(terms) <= n_steps:
        term = rng.choice(OPERANDS) * rng.choice((1, -1))
        if 0 <= total + term <= LARGEST:
            total += term
            terms.append(term)
    return tuple(terms)


def _story(rng: random.Random, terms: tuple[int, ...]) -> str:
    name, friend = rng.sample(NAMES, 2)
    thing = rng.choice(THINGS)
    sentences = [f"{name} has {terms[0]} {thing}."]
    for term in terms[1:]:
        sentence = rng.choice(_GAINS if term > 0 else _LOSSES)
        sentences.append(sentence.format(n=name, f=friend, x=abs(term)))
    sentences.append(rng.choice(_ASKS).format(o=thing, n=name))
    return " ".join(sentences)
