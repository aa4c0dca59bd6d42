"""Write what the paper says of recorded results and of the code's own settings, and where each number comes from.

Run it again after a record was renewed: `python -m analysis.experiments.paper_recorded`. It reads analysis/recorded
alone, takes a second, and writes beside the other generated files; recorded.json says from which bytes.
"""

import inspect
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.experiments.latex_tables import escaped, find, percent
from analysis.experiments.paper_numbers import macros
from analysis.experiments.real_benchmarks import benchmark_numbers, benchmarks_table
from analysis.experiments.recorded_tables import HEADER, decoding_table, real_pair_table, solver_table
from analysis.product import ROOT, describe
from proxyalign.files import sha256, write_json

Row = Mapping[str, Any]
RECORDED = Path("analysis/recorded")
GENERATED = Path("paper/generated")
RECORDS = {
    "trial": "exact_trial.json",
    "oracle": "oracle_agreement.json",
    "rows": "solver_times/rows.json",
    "classes": "solver_times/classes.json",
    "lab": "decoding_speed/lab.json",
    "smol": "decoding_speed/smol.json",
    "real_pair": "real_pair.json",
    "served": "served_speed.json",
    "authors": "authors_behaviour.json",
    "second_seed": "lab_seed2/runs.json",
    "guarantee": "lab_guarantee.json",
    "benchmarks": "real/runs.json",
    "guessing": "real/chance.json",
    "ifeval": "real/ifeval.json",
}
PAIRS = {"lab": "lab pair, float32", "smol": "SmolLM2-135M, bfloat16"}
WINDOW = 5  # of the decoding table; the records have others too
RENEWED = {  # what `make renew` writes beside the figures, by the name that the text calls it
    "numbers": GENERATED / "numbers.tex",
    "accuracy_table": GENERATED / "accuracy_table.tex",
    "gap_table": GENERATED / "gap_table.tex",
    "speed_table": GENERATED / "speed_table.tex",
}


def solver_numbers(trial: Row, oracle: Row, rows: Row) -> dict[str, str]:
    """What the text says of the exact solver: the trial, the agreement with other solvers, the contest on laws."""
    statement = find(trial["statements"], statement=2)
    small, large = oracle["small"], oracle["large"]
    return {
        "TrialCases": grouped(statement["cases"]),
        "TrialSolved": grouped(max(one["cases"] for one in statement["claims"] if "set found" in one["claim"])),
        "TrialViolations": str(statement["violations"]),
        "TrialMutants": str(len(trial["mutants"])),
        "TrialCaught": str(sum(mutant["killed"] for mutant in trial["mutants"])),
        "OracleSmall": grouped(oracle["profile"]["small"]),
        "OracleSmallAnswers": grouped(sum(one["n"] for one in small)),
        "OracleSmallDiffer": grouped(sum(one["differ"] for one in small)),
        "OracleLargeAnswers": grouped(sum(one["n"] for one in large)),
        "OracleLargeDiffer": grouped(sum(one["differ"] for one in large)),
        "OracleOverBudget": grouped(sum(one["first_over_budget"] for one in [*small, *large])),
        "OracleKept": str(len(oracle["kept"])),
        "OracleUpheld": str(sum(one["certificate_holds"] for one in oracle["kept"])),
        "SolverLimit": f"{rows['limit_seconds']:.0f}",
        "SolverItems": grouped(rows["instances"][0]["n_items"]),
        "SolverInstances": str(len(rows["instances"])),
        "SolverExactWorst": f"{find(rows['summary'], solver='exact')['worst_seconds']:.2f}",
    }


def engine_numbers(smol: Row, served: Row) -> dict[str, str]:
    """What the text says of the engine: a cycle's own share of a verifying pass, and a served base's speed."""
    steps = [step for step in smol["steps"] if step["vocabulary"] == min(one["vocabulary"] for one in smol["steps"])]
    share = {step["rule"].split("(")[0]: percent(step["share"]) for step in steps}
    one, most = sorted(served["runs"], key=lambda run: int(run["at_once"]))
    return {
        "StepShareDual": share["dual"],
        "StepSharePrimal": share["primal"],
        "ServedOne": f"{one['ratio']:.2f}",
        "ServedMost": f"{most['ratio']:.2f}",
        "ServedAtOnce": str(most["at_once"]),
        "ServedDeferred": percent(most["deferral_rate"]),
    }


def pair_numbers(record: Row) -> dict[str, str]:
    """What the text says of the real pair: its questions, how often a piece is read otherwise, speed beside peers."""
    settings, runs = record["settings"], record["runs"]
    (questions,) = set(settings["questions"].values())
    read = {model: [run["read_otherwise"][model] for run in runs] for model in ("base", "proxy")}
    alone, window = record["alone"]["runs"], settings["window"]
    return {
        "RealQuestions": str(questions),
        "RealBatch": str(settings["batch_size"]),
        "RealWindow": str(window),
        "RealBaseOtherwise": _range(read["base"]),
        "RealProxyOtherwise": _range(read["proxy"]),
        "RealOurs": _speed(alone, f"never() speculative, window {window}"),
        "RealTheirs": _speed(alone, f"transformers assisted, window {window}"),
        "RealOursPlain": _speed(alone, "never() autoregressive"),
        "RealTheirsPlain": _speed(alone, "transformers"),
    }


def ifeval_numbers(record: Row) -> dict[str, str]:
    """What the text says of the real pair's proxy alone on all of IFEval, in percent."""
    scores = record["scores"]
    return {
        "IfevalQuestions": str(scores["n"]),
        "IfevalPrompts": percent(scores["prompt_strict"]),
        "IfevalInstructions": percent(scores["instruction_strict"]),
        "IfevalMean": percent(scores["mean_strict"]),
        "IfevalPublished": percent(record["published"]["mean_strict"]),
        "IfevalTokens": str(record["profile"]["max_new_tokens"]),
        "IfevalCut": percent(1 - scores["ended"]),
    }


def authors_numbers(record: Row) -> dict[str, str]:
    """What the text says of the authors' code: accuracy on lab-facts of its two habits, beside ours."""

    def right(difference: str, whose: str) -> str:
        return percent(find(record["runs"], task="lab-facts", difference=difference, whose=whose)["accuracy"])

    return {
        "AuthorsQuestions": str(record["profile"]["questions"]),
        "AuthorsPooled": right("one budget a window", "authors"),
        "OursPooled": right("one budget a window", "ours"),
        "AuthorsGreedy": right("tempering first, greedy", "authors"),
        "OursGreedy": right("tempering first, greedy", "ours"),
    }


def promise_numbers(record: Row) -> dict[str, str]:
    """What the text says of promised parameters: what is promised, and how many sequences of values get how far."""
    promises = record["promises"]
    ((eps, delta),) = {(one["eps"], one["delta"]) for one in promises}
    return {
        "GuaranteeHarm": f"{100 * eps:g}",
        "GuaranteeConfidence": f"{100 * (1 - delta):g}",
        "GuaranteeAsked": str(len(promises)),
        "GuaranteeWhole": str(sum(one["parameter"] == one["values"][-1] for one in promises)),
        "GuaranteeNone": str(sum(one["parameter"] is None for one in promises)),
        "GuaranteeBaseRight": _range([one["reference_accuracy"] for one in promises]),
    }


def code_numbers() -> dict[str, str]:
    """Settings of the exact solver that the text names, read off the code."""
    from proxyalign.knapsack import exact
    from proxyalign.knapsack.exact.core import BITS
    from proxyalign.knapsack.exact.group_relaxation import N_CELLS

    gap = inspect.signature(exact).parameters["gap"].default
    return {"WordBits": str(BITS), "GroupCells": grouped(N_CELLS), "GapDigits": f"{-math.log10(gap):.0f}"}


def grouped(number: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\\,")


def _range(shares: Sequence[float]) -> str:
    return f"{percent(min(shares))} to {percent(max(shares))}"


def _speed(runs: Sequence[Row], name: str) -> str:
    return f"{find(runs, name=name)['tokens_per_second']:.1f}"


def commands(table: str) -> dict[str, str]:
    """How each record is made again, in Markdown, by file: the last column of the table in analysis/recorded/README.md.

    A file named without its folder lies in that of the file before it.
    """
    found: dict[str, str] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        folder = Path()
        for name in re.findall(r"`([\w/]+\.json)`", cells[0]) if len(cells) == 3 else []:
            folder = Path(name).parent if "/" in name else folder
            found[(folder / Path(name).name).as_posix()] = cells[2].rstrip("| ")
    return found


def shortly(markdown: str) -> str:
    """The command that a margin names: the last one that is told, without its options."""
    told = [code for code in re.findall(r"`([^`]+)`", markdown) if code.startswith(("proxyalign ", "python ", "make "))]
    if not told:
        raise LookupError(f"paper: a record must tell a command that makes it, got {markdown!r}; add it to the README")
    words = told[-1].removeprefix("python -m ").split()
    plain = [word.replace("_", "").replace(".", "").isalpha() for word in words]
    return " ".join(words[: [*plain, False].index(False)])


def renewed(prose: str) -> dict[str, Path]:
    """What `make renew` draws and writes for the text: numbers, tables, and the figures that it includes."""
    figures = re.findall(r"\\includegraphics[^{]*\{\.\./figures/(\w+)\.pdf\}", prose)
    return RENEWED | {name: Path(f"figures/{name}.json") for name in figures}


def origins(made: Mapping[str, str], prose: str) -> str:
    """For each name that the text gives to its macro \\from: the file in the margin, and the command beneath it."""
    files = {name: (path, "make renew") for name, path in renewed(prose).items()}
    files["code"] = GENERATED / "recorded.tex", "analysis.experiments.paper_recorded"
    files |= {name: (RECORDED / file, shortly(made[file])) for name, file in RECORDS.items()}
    lines = [
        f"\\origin{{{name}}}{{{path.as_posix()}}}{{{typed(path.as_posix())}}}{{{typed(command)}}}"
        for name, (path, command) in files.items()
    ]
    return HEADER + "\n".join(lines) + "\n"


def how_made(made: Mapping[str, str], prose: str) -> str:
    """The appendix: every file and the whole command, an item each."""
    items = [(path.as_posix(), typed("make renew")) for path in renewed(prose).values()]
    items += [((RECORDED / file).as_posix(), _latex(made[file])) for file in RECORDS.values()]
    return HEADER + "\n".join(f"\\item {typed(path)}: {text}." for path, text in items) + "\n"


def _latex(markdown: str) -> str:
    """Markdown that has code in it and nothing else."""
    parts = markdown.split("`")
    return "".join(typed(part) if place % 2 else escaped(part) for place, part in enumerate(parts))


def typed(code: str) -> str:
    """A path or a command in type, which a line may break after a slash, a dot or a low line."""
    text = escaped(code).replace("--", "-{}-")
    for sign in ("/", ".", "\\_"):
        text = text.replace(sign, f"{sign}\\allowbreak ")
    return f"\\texttt{{{text}}}"


def texts(records: Mapping[str, Row], readme: str, prose: str) -> dict[str, str]:
    """All files that this writes, by name. Raises LookupError where a record lacks what the paper says of it.

    records: by the names of RECORDS. readme: the table of how they are made again. prose: the paper's own text.
    """
    numbers = solver_numbers(records["trial"], records["oracle"], records["rows"])
    numbers |= engine_numbers(records["smol"], records["served"]) | pair_numbers(records["real_pair"])
    numbers |= authors_numbers(records["authors"]) | code_numbers() | promise_numbers(records["guarantee"])
    runs, chances = records["benchmarks"]["runs"], records["guessing"]["chances"]
    numbers |= benchmark_numbers(runs, chances) | ifeval_numbers(records["ifeval"])
    made = commands(readme)
    return {
        "recorded.tex": macros(numbers, HEADER),
        "solver_table.tex": solver_table({"rows": records["rows"], "classes": records["classes"]}),
        "decoding_table.tex": decoding_table({title: records[name] for name, title in PAIRS.items()}, WINDOW),
        "real_pair_table.tex": real_pair_table(records["real_pair"]["runs"]),
        "benchmarks_table.tex": HEADER + benchmarks_table(runs, chances),
        "origins.tex": origins(made, prose),
        "how_made.tex": how_made(made, prose),
    }


def main() -> None:
    """Read the records and write the paper's files, and recorded.json beside them."""
    sources = {name: RECORDED / file for name, file in RECORDS.items()}
    records = {name: json.loads((ROOT / path).read_text()) for name, path in sources.items()}
    folder = ROOT / GENERATED
    prose = "".join(path.read_text() for path in sorted(folder.parent.glob("*.tex")))
    written = texts(records, (ROOT / RECORDED / "README.md").read_text(), prose)
    for name, text in written.items():
        (folder / name).write_text(text)
    files = [{"file": name, "sha256": sha256(folder / name)} for name in written]
    hashes = [{"file": path.as_posix(), "sha256": sha256(ROOT / path)} for path in sources.values()]
    script = "analysis/experiments/paper_recorded.py"
    write_json(folder / "recorded.json", {"generated": files, **describe(script, [], {}), "sources": hashes})


if __name__ == "__main__":
    main()
