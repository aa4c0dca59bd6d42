"""`proxyalign plan`: what a profile of the analysis would take, before anything is downloaded."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from proxyalign.cli.common import notes, print_json, table
from proxyalign.errors import InputError

_ROOT = Path(__file__).parent.parent.parent  # of a checkout, where the analysis lies beside the package


def plan(
    config: Annotated[Path, typer.Argument(help="A profile, as in analysis/config.")],
    device: Annotated[str, typer.Option(help="Where passes are timed, as torch names it.")] = "cpu",
    offline: Annotated[bool, typer.Option("--offline", help="Ask no hub how large models are.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON and nothing else.")] = False,
) -> None:
    """Say what a profile would take: models, bytes on disk, memory by dtype, forward passes and hours.

    Sizes are counted in folders, asked of the hub (of which nothing but config.json is fetched), or else as the profile
    records them. Passes and hours are for replies that run to their limit and prompts that fill the context; a range
    goes from every draft accepted and nothing deferred to none accepted and the proxy asked at every step.

    A pass is taken to cost what products with so many bytes of weights cost on this device, measured now with as many
    rows, and for each layer what one of the shipped lab model costs beside them. Hours are of one process.

    Example: proxyalign plan analysis/config/paper/qwen3.yaml --offline
    """
    module = _analysis()

    from transformers.utils import logging

    logging.disable_progress_bar()
    profile = module.read(config)
    with notes.status("") as status:
        found: dict[str, Any] = module.plan(
            profile, device=device, offline=offline, told=lambda stage: status.update(f"{stage} ...")
        )
    if json:
        print_json({"config": str(config), **found})
        return
    print(_headline(found) + "\n")
    for lines in (_models(found), _memory(found), _parts(found)):
        print(table(lines) + "\n")
    print(_assumed(found))
    notes.print(f"\nnext: python -m analysis.reproduce {config}", markup=False)


def _analysis() -> Any:
    """The module that plans, from the checkout that this package lies in."""
    if not (_ROOT / "analysis" / "plan.py").is_file():
        raise InputError(
            "plan: proxyalign must lie in a checkout, whose analysis knows what profiles hold, got a package without "
            "one; clone the repository and run make test there"
        )
    sys.path.insert(0, str(_ROOT))
    try:
        return import_module("analysis.plan")
    except ModuleNotFoundError as error:
        raise InputError(
            f"plan: {error.name} must be installed to check a profile, got none; run pip install 'proxyalign[analysis]'"
        ) from error


def _headline(found: Mapping[str, Any]) -> str:
    """The answer in a sentence."""
    hours, tasks = " to ".join(map(_hours, found["hours"])), found["tasks"]
    disk = f"{_bytes(found['n_bytes_to_download'])} to download" if found["n_bytes_to_download"] else "no download"
    asked = f"{found['n_settings']} settings of {found['n_rules']} rules, tasks {' and '.join(tasks)}, one seed"
    return f"{found['profile']}: {found['n_answers']:,} answers in at most {hours} of one process, {disk}; {asked}"


def _models(found: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    rows = [("model", "name", "revision", "commit", "on disk", "weights", "loaded in", "layers")]
    for role, model in found["models"].items():
        commit = (model["commit"] or "-")[:12]
        sizes = (_bytes(model["n_bytes"]), f"{model['n_parameters'] / 1e6:,.0f} M")
        rows.append((role, model["name"], model["revision"], commit, *sizes, model["dtype"], str(model["n_layers"])))
    return rows


def _memory(found: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    memory = found["memory"]
    what = [*found["models"], "cache", "all"]
    cache = f"cache of {memory['batch_size']} x {memory['context']} tokens"
    rows = [("memory, weights in", *[cache if name == "cache" else name for name in what], "here")]
    for line in memory["by_dtype"]:
        fits = "fits" if line["all"] <= memory["n_bytes_there"] else "too large"
        rows.append((line["weights_in"], *(_bytes(line[name]) for name in what), fits))
    return rows


def _parts(found: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    roles = list(found["models"])
    rows = [("part", "mode", "split", "questions", "settings", *(f"{role} passes" for role in roles), "hours")]
    for part in found["parts"]:
        passes = (_range(part["passes"].get(role, [0, 0])) for role in roles)
        counts = (str(part["n_questions"]), str(part["n_settings"]))
        low, high = part["hours"]
        hours = _hours(low) if _hours(low) == _hours(high) else f"{_hours(low)} to {_hours(high)}"
        rows.append((part["name"], part["mode"], part["split"], *counts, *passes, hours))
    return rows


def _assumed(found: Mapping[str, Any]) -> str:
    """Where the numbers are from, and what they take for granted."""
    lines = [f"{role}: sizes from {model['source']}" for role, model in found["models"].items()]
    for pace in found["measured"]:
        speeds = ", ".join(f"{1e-9 / seconds:.2g} at {rows}" for rows, seconds in pace["per_byte"].items())
        how = f"measured on {pace['device']}, one thread, {pace['dtype']}"
        lines.append(f"{how}: GB of weights a second by rows of a pass: {speeds}")
    lines += [
        f"memory here: {_bytes(found['memory']['n_bytes_there'])}; in 8 and 4 bits, embeddings and scales come on top",
        "replies are taken to run to their limit and prompts to fill the context; a range goes from every draft "
        "accepted and nothing deferred to none accepted and the proxy asked at every step",
    ]
    return "\n".join(lines)


def _bytes(n: float) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.0f} h" if hours >= 10 else f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 60 else f"{3600 * hours:.0f} s"


def _range(ends: Sequence[float]) -> str:
    low, high = (f"{end:,.0f}" for end in ends)
    return low if low == high else f"{low} to {high}"
