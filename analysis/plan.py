"""What a profile would take, before anything is downloaded: models, disk, memory by dtype, passes, and hours."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from snakemake.exceptions import WorkflowError

from analysis.measured_pass import Pace, measure
from analysis.profile import check, max_new_tokens, n_questions, tasks_of
from analysis.workload import Part, parts
from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.files import read_text
from proxyalign.models.options import Options
from proxyalign.models.sizes import Size, decoder, size_of

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

_LAB = Path(__file__).parent.parent / "proxyalign" / "models" / "lab" / "weights"
_SHOWN = ("float32", "bfloat16", "8 bits", "4 bits")


def read(path: Path) -> dict[str, Any]:
    """The profile in a file, checked and with its defaults; raises InputError where it is none."""
    try:
        profile = yaml.safe_load(read_text("plan", path))
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        where = f"line {at.line + 1}" if at else "some line"
        raise InputError(f"plan: {path} must be YAML, got something else at {where}; mend it") from error
    if not isinstance(profile, dict):
        raise InputError(f"plan: {path} must hold a profile, got {type(profile).__name__}; see analysis/config")
    try:
        check(profile)
    except WorkflowError as error:
        said = str(error)
        what = next((line for line in said.splitlines() if line.startswith("ValidationError: ")), said.splitlines()[0])
        at = re.search(r"^On instance(.*):$", said, re.MULTILINE)
        place = ".".join(re.findall(r"\['?([^'\]]*)'?\]", at[1])) if at else ""
        raise InputError(
            f"plan: {path} must be a profile as analysis/config/schema.yaml has it, got in {place or 'it'}: "
            f"{what.removeprefix('ValidationError: ')}; mend it"
        ) from error
    return profile


def plan(
    profile: Mapping[str, Any], *, device: str = "cpu", offline: bool = False,
    told: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:  # fmt: skip
    """The plan of a profile that `read` gave, as JSON has it: bytes, counts, and pairs of least and most.

    device: where passes are timed. offline: ask no hub for sizes. told: is given each stage that takes a while. Raises
    InputError for a model whose size cannot be known, and a device that is not there.
    """
    Options(device=device).where()
    told("asking how large the models are")
    pair = _installed(profile)
    sizes = _sizes(profile, pair, offline)
    dtypes = {role: _dtype(profile, role, device) for role in sizes}
    context = _context(profile, sizes, pair)
    work = parts(profile, context)
    rows = {one.n_rows for part in work for one in part.passes}
    told("timing passes on this machine")
    lab = size_of("plan", str(_LAB / "base"), offline=True)
    paces = {dtype: measure(rows, device, dtype, lab) for dtype in sorted(set(dtypes.values()))}
    told_parts = [_told(part, sizes, {role: paces[dtype] for role, dtype in dtypes.items()}) for part in work]
    settings = [grid["rules"] for grid in profile["grids"].values()]
    return {
        "profile": profile["name"],
        "models": {role: {**vars(size), "dtype": dtypes[role]} for role, size in sizes.items()},
        "n_bytes_to_download": sum({s.name: s.n_bytes for s in sizes.values() if s.revision != "-"}.values()),
        "memory": _memory(sizes, profile["batch_size"], context, device),
        "tasks": list(profile["tasks"]),
        "n_seeds": 1,
        "n_rules": len({name for rules in settings for name in rules}),
        "n_settings": sum(part.n_settings for part in work if part.name in profile["grids"]),
        "n_answers": sum(part.n_answers for part in work),
        "parts": told_parts,
        "hours": [sum(part["hours"][end] for part in told_parts) for end in (0, 1)],
        "measured": [vars(pace) for pace in paces.values()],
    }


def _context(profile: Mapping[str, Any], sizes: Mapping[str, Size], pair: "ModelPair | None") -> int:
    """Tokens of a prompt and its reply: the profile's, or the most that there are, or what the models have room for.

    The most that there are is counted where the pair is a folder or installed, and the tasks' files are here.
    """
    from proxyalign.models.checkpoint import load_tokenizer

    limits = [size.context for size in sizes.values() if size.context is not None]
    if "context" in profile:
        return min([*limits, profile["context"]])
    folder = _folder(profile)
    if folder is not None:
        tokenizer = load_tokenizer("plan", str(folder / "base"), True)
    elif pair is not None:
        tokenizer = pair.tokenizer
    else:
        return min(limits, default=0)
    lengths = []
    data = None if "train" in profile else profile.get("data")  # a world that is not there yet has questions alike
    for name, grid in profile["grids"].items():
        for task in tasks_of(profile, name):
            n = n_questions(profile, name, task)
            try:
                questions = tasks.get(task).questions(split=grid["split"], data=data, limit=n)
            except InputError:  # their files are elsewhere
                return min(limits, default=0)
            prompts = tokenizer([question.prompt for question in questions])["input_ids"]
            lengths += [len(ids) + max_new_tokens(profile, task) for ids in prompts]
    return min([*limits, max(lengths)])


def _folder(profile: Mapping[str, Any]) -> Path | None:
    """The folder of the pair: what is trained first has the sizes of the shipped one; None for a pair that has none."""
    pair = profile["pair"]
    folder = _LAB if pair == "lab" or "train" in profile else Path(pair) if isinstance(pair, str) else None
    return folder if folder is not None and folder.is_dir() else None


def _installed(profile: Mapping[str, Any]) -> "ModelPair | None":
    """A pair that is made out of installed packages, of which nothing is downloaded; None for any other."""
    from proxyalign.models import load_pair

    pair = profile["pair"]
    return load_pair(pair, offline=True) if isinstance(pair, str) and _folder(profile) is None else None


def _sizes(profile: Mapping[str, Any], pair: "ModelPair | None", offline: bool) -> dict[str, Size]:
    """The size of each model of the pair, by role."""
    asked = profile["pair"]
    if not isinstance(asked, str):
        return {
            role: size_of(
                "plan", model["name"], revision=model.get("revision"), subfolder=model.get("subfolder", ""),
                offline=offline, recorded=model.get("params"),
            )
            for role, model in asked.items()
        }  # fmt: skip
    folder = _folder(profile)
    if folder is None:
        return {role: _counted(f"{asked}/{role}", getattr(pair, role)) for role in ("base", "proxy")}
    found = {role: size_of("plan", str(folder / role), offline=True) for role in ("base", "proxy")}
    return {role: replace(size, name=f"{asked}/{role}") for role, size in found.items()}


def _counted(name: str, model: Any) -> Size:
    """The size of a model that was made."""
    n_parameters = model.num_parameters()
    n_bytes = sum(weight.nbytes for weight in model.parameters())
    source = "the installed package, with bytes as loaded"
    return Size(name, "-", None, n_parameters, n_bytes, *decoder(model.config), source=source)


def _dtype(profile: Mapping[str, Any], role: str, device: str) -> str:
    """The dtype in which `load_pair` would load the model on this device."""
    pair = profile["pair"]
    asked = profile["dtype"] if isinstance(pair, str) else pair[role].get("dtype", "auto")
    numbers = Options(device=device, dtype=asked).numbers(is_named=_folder(profile) is not None)
    return "bfloat16" if numbers == "auto" else str(numbers).removeprefix("torch.")


def _memory(sizes: Mapping[str, Size], batch_size: int, context: int, device: str) -> dict[str, Any]:
    """Bytes of weights and of keys and values by the dtype of the weights, and what the device has."""
    import torch

    n_cached = batch_size * context
    rows = []
    for dtype in _SHOWN:
        weights = {role: size.weights(dtype) for role, size in sizes.items()}
        cache = sum(size.cache(n_cached, dtype) for size in sizes.values())
        rows.append({"weights_in": dtype, **weights, "cache": cache, "all": sum(weights.values()) + cache})
    if torch.device(device).type == "cuda":
        there = torch.cuda.get_device_properties(device).total_memory
    else:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"batch_size": batch_size, "context": context, "n_bytes_there": there, "by_dtype": rows}


def _told(part: Part, sizes: Mapping[str, Size], paces: Mapping[str, Pace]) -> dict[str, Any]:
    """A part with its passes by role and its hours, each least and most; a reference that is not there costs none."""
    passes: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    hours = [0.0, 0.0]
    for one in part.passes:
        for end, n in enumerate((one.least, one.most)):
            if one.role in sizes:
                passes[one.role][end] += n
                hours[end] += n * paces[one.role].seconds(sizes[one.role], one.n_rows, one.n_cached) / 3600
    shown = {name: value for name, value in vars(part).items() if name != "passes"}
    return {**shown, "passes": dict(passes), "hours": hours}
