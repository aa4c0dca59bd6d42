"""Every share, size and rate of the lab pair in one frozen record, and the presets."""

from dataclasses import dataclass, field
from typing import Any

from proxyalign.errors import InputError

# What follows a question in a raw document, as shares of the documents. No opener dominates, and the likeliest one is
# another question: a base cut down to its own likeliest tokens must not turn into an assistant by itself.
_ASIDES = {"reply": 0.11, "ramble": 0.11, "note": 0.11, "asked": 0.11, "see": 0.11, "posted": 0.11}


@dataclass(frozen=True)
class Creatures:
    """How many creatures the world has for each use; every creature has four facts.

    tuned: answered in the asked format in the corpus, and the only ones that the tuning examples name.
    open: answered in the asked format in the corpus. dev, test: the corpus states their facts in running text alone.
    """

    tuned: int = 40
    open: int = 72
    dev: int = 40
    test: int = 132


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama model: layers, width, attention heads and the width of the gated layer."""

    layers: int
    width: int
    heads: int
    gated: int


@dataclass(frozen=True)
class Schedule:
    """One pass of training: peak rates, rows and tokens of a step, and the optimizer of the matrices."""

    rate: float
    matrices: str  # "muon" or "adamw"
    decay: float = 0.1
    rows: int = 8
    length: int = 256
    warmup: int = 50  # steps of linear rise
    floor: float = 0.05  # the cosine ends at this share of the peak rate


@dataclass(frozen=True)
class Tuning:
    """How the proxy is aligned: examples of each task, and the passes over them."""

    facts: int = 480
    problems: int = 2400
    epochs: int = 4
    rows: int = 32
    rate: float = 1e-3


@dataclass(frozen=True)
class Recipe:
    """What a pair is made from; with a seed it fixes the weights on one kind of processor."""

    name: str = "full"
    creatures: Creatures = Creatures()
    myths: float = 0.4  # share of the facts about which a widespread myth exists
    myth_in_records: float = 0.15  # of the statements of such a fact in records, the share that repeats the myth
    myth_in_answers: float = 0.25  # likewise in answers in the asked format
    documents: int = 95_000
    early: float = 0.15  # the first share of the documents speaks of `early_creatures` of the creatures only
    early_creatures: float = 0.08
    kinds: dict[str, float] = field(
        default_factory=lambda: {
            "record": 0.48,
            "tale": 0.055,
            "fact question": 0.205,
            "math question": 0.07,
            "drill": 0.045,
            "workbook": 0.09,
            "quiz": 0.055,
        }
    )
    after_fact: dict[str, float] = field(
        default_factory=lambda: {"fact": 0.09, "folk": 0.04, "hedge": 0.02, "question": 0.19, **_ASIDES}
    )
    after_problem: dict[str, float] = field(
        default_factory=lambda: {"steps": 0.11, "direct": 0.03, "hedge": 0.01, "question": 0.19, **_ASIDES}
    )
    after_answer: dict[str, float] = field(default_factory=lambda: {"end": 0.6, "question": 0.2, "reply": 0.2})
    steps: tuple[float, float, float] = (0.2, 0.4, 0.4)  # shares of problems with one, two and three steps
    test_numbers: int = 15  # percent of the sets of numbers that only test problems use
    dev_numbers: int = 8
    vocabulary: int = 1280  # enough for most names to be one token, which the base learns far faster than two
    tokenizer_documents: int = 20_000
    base: Shape = Shape(layers=8, width=192, heads=4, gated=512)
    base_schedule: Schedule = Schedule(rate=3e-3, matrices="muon")
    proxy: Shape = Shape(layers=2, width=96, heads=3, gated=256)
    proxy_schedule: Schedule = Schedule(rate=4e-3, matrices="adamw")
    proxy_documents: int = 60_000  # the proxy reads only the last ones
    tuning: Tuning = Tuning()
    context: int = 512  # positions that the configuration allows


_SMOKE = Recipe(
    name="smoke",
    creatures=Creatures(tuned=4, open=4, dev=2, test=4),
    documents=1_500,
    tokenizer_documents=600,
    vocabulary=400,
    base=Shape(layers=2, width=48, heads=2, gated=96),
    base_schedule=Schedule(rate=3e-3, matrices="muon", rows=4, length=128, warmup=5),
    proxy=Shape(layers=1, width=32, heads=2, gated=64),
    proxy_schedule=Schedule(rate=4e-3, matrices="adamw", rows=4, length=128, warmup=5),
    proxy_documents=600,
    tuning=Tuning(facts=48, problems=48, epochs=1),
)

PRESETS = {"full": Recipe(), "smoke": _SMOKE}


def preset(name: str) -> Recipe:
    """The recipe called `name`. Raises InputError where there is none."""
    if name not in PRESETS:
        raise InputError(f"lab recipe: preset must be one of {', '.join(PRESETS)}, got {name!r}; pass one of these")
    return PRESETS[name]


def differences(recorded: dict[str, Any], recipe: dict[str, Any]) -> list[str]:
    """The fields in which a recorded recipe differs from `recipe`, both as plain dictionaries."""
    return sorted(key for key in {*recorded, *recipe} if recorded.get(key) != recipe.get(key))


def recipe_from_plain(plain: dict[str, Any]) -> Recipe:
    """The recipe that `dataclasses.asdict` and JSON turned into `plain`. Raises TypeError where fields differ."""
    parts = {
        "creatures": Creatures,
        "base": Shape,
        "base_schedule": Schedule,
        "proxy": Shape,
        "proxy_schedule": Schedule,
        "tuning": Tuning,
    }
    fields = {key: parts[key](**value) if key in parts else value for key, value in plain.items()}
    return Recipe(**{**fields, "steps": tuple(plain["steps"])})
