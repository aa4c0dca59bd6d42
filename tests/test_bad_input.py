"""Tables of mistakes: on the command line each ends with exit code 2, one sentence that names value and remedy, and
nothing else; in Python each raises InputError with such a sentence."""

import json
import math
import subprocess
import sysconfig
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from proxyalign.cli import main
from proxyalign.errors import InputError
from proxyalign.knapsack import (
    DeferralProblem,
    certificate,
    certify,
    dual,
    dual_function,
    exact_many,
    exact_path,
    primal,
)

PROXYALIGN = Path(sysconfig.get_path("scripts")) / "proxyalign"  # the command as it was installed
SOLVE = "solve --budget 0.3 --method primal --probs"
GENERATE = "generate --rule never --offline"
EVALUATE = "evaluate --rule never --task lab-math --out new --limit 1 --max-new-tokens 2"
GRID = "evaluate --rule dual --task lab-math --out new --grid"
GSM8K = "evaluate --rule never --task gsm8k --out new --data"

# name: the command line (split at blanks; {long} stands for a prompt), then what its one sentence must hold.
MISTAKES = {
    # distributions
    "NaN": (f"{SOLVE} nan.npy", "nan", "finite"),
    "infinite": (f"{SOLVE} infinite.npy", "inf", "finite"),
    "negative": (f"{SOLVE} negative.npy", "-0.25", "non-negative"),
    "unnormalised": (f"{SOLVE} unnormalised.npy", "0.5", "sum to 1"),
    "two-dimensional": (f"{SOLVE} table.npy", "(2, 2)", "pass one row"),
    "empty": (f"{SOLVE} empty.npy", "(0,)"),
    "complex": (f"{SOLVE} complex.npy", "complex128"),
    "text for numbers": (f"{SOLVE} words.npy", "<U1", "pass a float array"),
    "pickled objects": (f"{SOLVE} objects.npy", "objects.npy"),
    "not an array": (f"{SOLVE} notes.txt", "notes.txt", ".npy"),
    "truncated": (f"{SOLVE} truncated.npy", "truncated.npy"),
    "missing": (f"{SOLVE} nowhere.npy", "nowhere.npy"),
    "a folder": (f"{SOLVE} .", "'.'"),
    # options of solve
    "budget over 1": ("solve --probs good.npy --method exact --budget 1.5", "1.5", "[0, 1]"),
    "budget under 0": ("solve --probs good.npy --method exact --budget -0.1", "-0.1", "[0, 1]"),
    "budget NaN": ("solve --probs good.npy --method exact --budget nan", "nan", "[0, 1]"),
    "budget a word": ("solve --probs good.npy --method exact --budget much", "'much'", "--budget"),
    "unknown method": ("solve --probs good.npy --budget 0.3 --method best", "'best'", "exact"),
    "solve alpha 7": ("solve --probs good.npy --budget 0.3 --method dual --alpha 7", "7", "[0, 1]"),
    "no distribution": ("solve --budget 0.3 --method exact", "--probs", "--help"),
    # rules
    "unknown rule": ("generate --rule best Why?", "'best'", "dual"),
    "alpha 7": ("generate --rule dual --alpha 7 Why?", "7", "[0, 1]"),
    "alpha NaN": ("generate --rule dual --alpha nan Why?", "nan", "[0, 1]"),
    "alpha a word": ("generate --rule dual --alpha lots Why?", "'lots'", "--alpha"),
    "rule without its parameter": ("generate --rule dual Why?", "alpha"),
    "rule with another's parameter": ("generate --rule dual --budget 0.3 Why?", "budget", "alpha"),
    "set without a value": ("generate --rule top-k --set k Why?", "'k'", "k=50"),
    "set a word": ("generate --rule top-k --set k=many Why?", "'k=many'", "k=50"),
    "set two values": ("generate --rule top-k --set k=3,5 Why?", "'k=3,5'", "a number"),
    "set without a name": ("generate --rule top-k --set =3 Why?", "'=3'", "k=50"),
    "set another's parameter": (
        "generate --rule top-k --set k=3 --set mass=1 Why?",
        "top-k takes k and min_keep",
        "mass",
    ),
    "set a name of no parameter": ("generate --rule top-k --set name=3 Why?", "top-k takes k and min_keep", "got name"),
    "set nothing": ("generate --rule top-k Why?", "top-k takes k and min_keep", "got none"),
    "set twice": ("generate --rule top-k --set k=3 --set k=5 Why?", "k must be given once", "--set k=5", "drop one"),
    "set beside alpha": ("generate --rule dual --alpha 0.1 --set alpha=0.2 Why?", "alpha = 0.1", "drop one"),
    "set infinite": ("generate --rule entropy-gate --set alpha=inf Why?", "finite number of at least 0, got inf"),
    "no reference": ("generate --rule implicit-reward --offline Why?", "needs a reference", "--reference"),
    "no such reference": (f"{GENERATE} --reference ./before Why?", "'./before'", "pass the folder"),
    "rule temperature under 0": (f"{GENERATE} --rule-temperature -1 Why?", "rule_temperature", "-1"),
    "rule budget over 1": ("generate --rule primal --budget 1.01 Why?", "1.01", "[0, 1]"),
    # models and prompts
    "unknown pair": ("generate --rule never --pair olmo Why?", "'olmo'", "lab"),
    "base without proxy": (f"{GENERATE} --base somewhere Why?", "proxy"),
    "no such checkpoint": (f"{GENERATE} --base ./base --proxy ./proxy Why?", "./base"),
    "unknown device": (f"{GENERATE} --device abacus Why?", "'abacus'", "cpu"),
    "prompt longer than the context": (f"{GENERATE} {{long}}", "context", "shorten"),
    "answer longer than the context": (f"{GENERATE} --max-new-tokens 99999 Why?", "99999", "max_new_tokens"),
    # decoding
    "unknown mode": (f"{GENERATE} --mode fast Why?", "'fast'", "speculative"),
    "window 0": (f"{GENERATE} --mode speculative --window 0 Why?", "window", "0", "at least 1"),
    "temperature under 0": (f"{GENERATE} --temperature -1 Why?", "-1", "temperature"),
    "temperature NaN": (f"{GENERATE} --temperature nan Why?", "nan", "temperature"),
    "no new tokens": (f"{GENERATE} --max-new-tokens 0 Why?", "max_new_tokens", "at least 1"),
    "seed under 0": (f"{GENERATE} --seed -1 Why?", "seed", "-1"),
    "no question": (GENERATE, "question", "--help"),
    # evaluation
    "unknown task": ("evaluate --rule never --task maths --out new", "'maths'", "lab-math"),
    "evaluate unknown rule": ("evaluate --rule best --task lab-math --out new", "'best'", "dual"),
    "evaluate unknown pair": (f"{EVALUATE} --pair olmo", "'olmo'", "lab"),
    "grid without values": (
        f"{GRID} alpha=",
        "'alpha='",
        "alpha=0.2,0.4",
    ),
    "grid of words": (f"{GRID} alpha=a,b", "'alpha=a,b'", "alpha=0.2"),
    "grid without a name": (f"{GRID} 0.2", "'0.2'", "alpha=0.2,0.4"),
    "grid of something else": (f"{GRID} window=3", "dual takes alpha, got window"),
    "grid with a 7": (f"{GRID} alpha=0.2,7", "7", "[0, 1]"),
    "grid with one value twice": (f"{GRID} alpha=0.2,0.2", "twice"),
    "grid without the other parameter": (
        f"{GRID.replace('dual', 'min-p')} min_keep=0,1",
        "min-p takes alpha and min_keep",
    ),
    "evaluate without a reference": (EVALUATE.replace("never", "implicit-reward"), "needs a reference", "--reference"),
    "grid beside alpha": (f"{GRID} alpha=0.2 --alpha 0.1", "drop one"),
    "unknown split": (f"{EVALUATE} --split train", "'train'", "dev, test"),
    "limit 0": (EVALUATE.replace("--limit 1", "--limit 0"), "limit", "at least 1, got 0"),
    "batch of 0": (f"{EVALUATE} --batch-size 0", "batch_size", "got 0"),
    "evaluate temperature NaN": (f"{EVALUATE} --temperature nan", "temperature", "nan"),
    "rows under 0": (f"{EVALUATE} --rows -1", "rows", "-1"),
    "no data folder": (f"{GSM8K} nowhere", "'nowhere'", "PROXYALIGN_DATA"),
    "data folder without the file": (f"{GSM8K} other", "train.jsonl", "github.com/openai/grade-school-math"),
    "truncated data": (f"{GSM8K} data", "train.jsonl line 9", "copy the file again"),
    "no lab pair in the data folder": (f"{EVALUATE} --data other", "lab.json", "lab train"),
    "results in a file": (EVALUATE.replace("--out new", "--out notes.txt"), "'notes.txt'", "pass another"),
    "results among other files": (EVALUATE.replace("--out new", "--out other"), "'other'", "pass another"),
    "results of other settings": (
        EVALUATE.replace("--out new", "--out used"),
        "seed 1 there and 0 here",
        "pass another",
    ),
    # training
    "unknown preset": ("lab train --out new --seed 0 --preset huge", "'huge'", "smoke"),
    "lab seed under 0": ("lab train --out new --seed -1", "-1", "seed"),
    "training into a file": ("lab train --out notes.txt --seed 0 --preset smoke", "notes.txt"),
    # the frame
    "unknown command": ("improve", "'improve'", "--help"),
    "unknown option": ("solve --probability good.npy", "--probability", "--help"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of every kind that a mistake needs, and a results folder of seed 1."""
    path = tmp_path_factory.mktemp("files")
    good = np.array([0.5, 0.25, 0.25])
    arrays = {
        "good": good,
        "nan": np.array([0.5, np.nan, 0.5]),
        "infinite": np.array([0.5, np.inf]),
        "negative": np.array([1.25, -0.25]),
        "unnormalised": np.array([0.25, 0.25]),
        "table": np.full((2, 2), 0.25),
        "empty": np.array([]),
        "complex": good.astype(complex),
        "words": np.array(["a", "b"]),
        "objects": np.array([{"a": 1}, None], dtype=object),
        "truncated": good,
    }
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array, allow_pickle=True)
    (path / "truncated.npy").write_bytes((path / "truncated.npy").read_bytes()[:-9])
    (path / "notes.txt").write_text("These are notes.")
    (path / "other").mkdir()
    (path / "other" / "mine.txt").write_text("Keep.")
    (path / "data" / "gsm8k").mkdir(parents=True)
    row = json.dumps({"question": "How many?", "answer": "One.\n#### 1"})
    (path / "data" / "gsm8k" / "train.jsonl").write_text(f"{row}\n" * 8 + row[:30])
    return path


@pytest.fixture(scope="module")
def used(folder):
    """A results folder that the command itself made, with another seed than the mistakes have."""
    line = f"{EVALUATE} --seed 1".replace("--out new", "--out used").split()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["proxyalign", *line])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 0
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def arguments(line):
    prompts = {"{long}": "How many apples? " * 2000}
    return [prompts.get(word, word) for word in line.split()]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_sentence_and_changes_nothing(command, monkeypatch, request, name):
    """Fails for a traceback, another exit code, output beside the sentence, a missing remedy, or a changed file."""
    line, *fragments = MISTAKES[name]
    folder = request.getfixturevalue("used" if "used" in line.split() else "folder")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PROXYALIGN_DATA", raising=False)
    before = contents(folder)
    code, out, err = command(*arguments(line))
    assert (code, out) == (2, "")
    assert err.startswith("proxyalign: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    for fragment in fragments:
        assert fragment in err
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["NaN", "prompt longer than the context"])  # before and after a model is loaded
def test_a_mistake_ends_the_same_way_in_a_process_of_its_own(folder, name):
    """Fails when the sentence depends on the test's process: a warning on import, a progress bar, another code."""
    line = MISTAKES[name][0]
    ended = subprocess.run([PROXYALIGN, *arguments(line)], cwd=folder, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1


HALVES = [0.5, 0.5]
PROBLEM = DeferralProblem.from_probs(HALVES, 0.5)

# name of a number: the call that takes it, and whether it may be left out as None.
NUMBERS = {
    "DeferralProblem: budget": (lambda x: DeferralProblem([1.0], [1.0], x), False),
    "DeferralProblem: budget of from_probs": (lambda x: DeferralProblem.from_probs(HALVES, x), False),
    "DeferralProblem: budget of at_budget": (PROBLEM.at_budget, False),
    "dual: alpha": (lambda x: dual(PROBLEM, x), False),
    "dual: multiplier": (lambda x: dual(PROBLEM, multiplier=x), False),
    "certificate: multiplier": (lambda x: certificate(PROBLEM, x), True),
    "certificate: multiplier of dual_function": (lambda x: dual_function(PROBLEM, x), True),
    "certify: gap": (lambda x: certify(PROBLEM, primal(PROBLEM), x), False),
    "check: gap": (lambda x: certify(PROBLEM, primal(PROBLEM)).check(gap=x), True),
    "check: seconds": (lambda x: certify(PROBLEM, primal(PROBLEM)).check(seconds=x), True),
    "check: max_states": (lambda x: certify(PROBLEM, primal(PROBLEM)).check(max_states=x), False),
    "exact_path: up_to": (lambda x: exact_path(HALVES, up_to=x), False),
    "exact_path: budgets": (lambda x: exact_path(HALVES, [0.5, x]), False),
    "exact_path: time_limit": (lambda x: exact_path(HALVES, time_limit=x), True),
    "exact_many: budgets": (lambda x: exact_many([HALVES], [0.5, x], workers=1), False),
    "exact_many: workers": (lambda x: exact_many([HALVES], [0.5], workers=x), True),
    "exact_many: gap": (lambda x: exact_many([HALVES], [0.5], workers=1, gap=x), False),
    "exact_many: time_limit": (lambda x: exact_many([HALVES], [0.5], workers=1, time_limit=x), True),
}
NO_NUMBERS = {
    "text": "0.1",
    "None": None,
    "a bool": True,
    "NumPy's bool": np.True_,
    "complex": 0.5 + 0j,
    "a list": [0.5],
    "NaN": math.nan,
    "minus infinity": -math.inf,
    "negative": -0.5,
    "a huge integer": 10**400,
    "an integer that Python does not print": 10**5000,
    "a huge negative fraction": Fraction(-(10**400)),
}

# what is no law, and what its sentence must hold; each also inside a row of rows.
NO_ROWS = {
    "text": (["a", "b"], "<U1"),
    "None within": ([0.5, None], "dtype object"),
    "complex": ([0.5 + 0j, 0.5], "complex128"),
    "bools": ([True, False], "bool"),
    "ragged": ([[0.5], [0.25, 0.25]], "[[0.5], [0.25, 0.25]]"),
    "an integer that no float holds": ([10**400, 1], "dtype object"),
    "masked": (np.ma.array(HALVES, mask=[True, False]), "1 of them"),
    "a complex tensor": (torch.tensor([0.5j, 0.5]), "complex64"),
    "a sparse tensor": (torch.eye(2).to_sparse(), "must be an array of real numbers"),
    "a tensor without data": (torch.empty(2, device="meta"), "must be an array of real numbers"),
    "a number": (0.5, "got shape ()"),
}
ROWS = {
    "values": lambda row: DeferralProblem(row, HALVES, 0.5),
    "weights": lambda row: DeferralProblem(HALVES, row, 0.5),
    "p": lambda row: DeferralProblem.from_probs(row, 0.5),
    "q": lambda row: DeferralProblem.from_probs(HALVES, 0.5, "advantage", q=row),
    "rows": lambda row: exact_many(row, [0.5], workers=1),
}


def is_one_sentence(error, owner):
    message = str(error.value)
    return message.startswith(f"{owner}: ") and ";" in message and "\n" not in message and len(message) < 250


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_told_in_one_sentence(name, number):
    """Fails for a raw TypeError or OverflowError, and for a bool or a text that passes for a number."""
    call, may_be_none = NUMBERS[name]
    given = NO_NUMBERS[number]
    if given is None and may_be_none:
        call(None)
        return
    with pytest.raises(InputError) as error:
        call(given)
    owner, argument = name.split()[:2]
    assert is_one_sentence(error, owner.rstrip(":"))
    assert argument in str(error.value)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("row", NO_ROWS)
def test_what_is_no_row_is_told_in_one_sentence(name, row):
    """Fails for a raw ValueError, a warning, and a mask or an imaginary part that is lost."""
    given, fragment = NO_ROWS[row]
    with pytest.raises(InputError, match=f": {name} must") as error:
        ROWS[name](given)
    assert is_one_sentence(error, "exact_many" if name == "rows" else "DeferralProblem")
    assert fragment in str(error.value)
