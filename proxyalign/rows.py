"""Next-token rows of a causal language model on texts, in a file that says where they come from."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.files import lines, read_arrays, read_json_lines, read_text, replacing
from proxyalign.validation import check_count

_BARE = ""  # the name of the array in a .npy file, which has none


@dataclass(frozen=True, eq=False)
class Rows:
    """Laws of the next token, each with its place.

    p: (n, V) float64, each row summing to 1; text, position: (n,) int64, the row follows the tokens 0 to `position` of
    text number `text`; provenance: the model, the file of texts with its SHA-256, the draw and the versions, or what
    little a file of another maker says.
    """

    p: NDArray[np.float64]
    text: NDArray[np.int64]
    position: NDArray[np.int64]
    provenance: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """Each row's place in words."""
        return [f"text {text}, position {place}" for text, place in zip(self.text, self.position, strict=True)]

    def save(self, path: Path) -> None:
        """Write a NumPy archive (.npz): the arrays under their names, and `provenance` as JSON."""
        with replacing(path) as file:
            np.savez(
                file,
                p=self.p,
                text=self.text,
                position=self.position,
                provenance=np.array(json.dumps(self.provenance, sort_keys=True)),
            )


def read_rows(path: Path) -> Rows:
    """The rows in an archive of `proxyalign rows` or `proxyalign evaluate --rows`, whose questions are then the texts.

    Any other .npz file with floats `p` or `P` (n, V), and a .npy file of floats (n, V) or (V,), is read too; where
    there are no places, row i is text i, position 0. Raises InputError where there is no such file, or a row is no law.
    """
    remedy = "write one with proxyalign rows --model smol --text FILE --out rows.npz"
    if not path.is_file():
        raise InputError(f"rows: the file of rows must exist, got {str(path)!r}, which does not; {remedy}")
    try:
        held = read_arrays(path, (_BARE, "p", "P", "text", "question", "position", "provenance"))
        if _BARE in held:
            held["p"] = np.atleast_2d(held[_BARE])
        p = held["p"] if "p" in held else held["P"]
        text = held.get("text", held.get("question", np.arange(len(p))))
        position = held.get("position", np.zeros(len(p)))
        provenance = json.loads(str(held.get("provenance", "{}")))
    except (ValueError, KeyError, TypeError) as damage:
        raise InputError(f"rows: {str(path)!r} must hold rows p (n, V), got something else; {remedy}") from damage
    laws = p.astype(np.float64) if p.dtype.kind == "f" and p.ndim == 2 else np.empty((0, 0))
    if laws.size == 0 or not (len(laws) == len(text) == len(position)):
        raise InputError(f"rows: p in {str(path)!r} must be floats (n, V), got {p.dtype} {p.shape}; {remedy}")
    wrong = no_laws(laws)
    if wrong.size:
        raise InputError(f"rows: each row of {str(path)!r} must be a law that sums to 1, got row {wrong[0]}; {remedy}")
    return Rows(laws, text.astype(np.int64), position.astype(np.int64), provenance)


def no_laws(rows: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which of the rows (n, V) are no laws: negative or NaN somewhere, or of another sum than 1."""
    from proxyalign.knapsack.problem import PROBABILITY_TOLERANCE  # here, since the solvers are slow to load

    sums = rows.sum(axis=1)
    return np.flatnonzero(~((rows >= 0.0).all(axis=1) & (np.abs(sums - 1.0) <= PROBABILITY_TOLERANCE)))


def read_texts(path: Path, field: str = "question") -> list[str]:
    """The texts in a file: the lines that are not blank, or in a .jsonl file what each such line has under `field`.

    Raises InputError where there are none, or a line of a .jsonl file has no such text.
    """
    if path.suffix == ".jsonl":
        values = read_json_lines("rows", path)
        texts = [_text_under(field, path, number, value) for number, value in values]
    else:
        texts = [line for line in lines(read_text("rows", path)) if line.strip()]
    if not texts:
        raise InputError(f"rows: {path} must hold a line of text, got a file that is empty; name another")
    return texts


def _text_under(field: str, path: Path, number: int, value: Any) -> str:
    text = value.get(field) if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        raise InputError(
            f"rows: each line of {str(path)!r} must be an object with a text under {field!r}, got line {number} "
            "without; name the key with --field"
        )
    return text


def record_rows(
    model: Any,
    tokenizer: Any,
    texts: list[str],
    *,
    limit: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rows:
    """The model's laws after `limit` of all positions of all texts, drawn without replacement, or after all of them.

    model, tokenizer: transformers objects; texts: as prompts, with the special tokens that the tokenizer writes first
    and without those that it would close a text with, cut at the model's context length. The softmax of the float32
    logits is taken in float64. progress(done, total) counts the texts.
    Provenance holds the draw and the versions; the caller adds the model and the file.

    Raises InputError for a limit below 1 and for texts without a token.
    """
    import torch

    from proxyalign.models.tokens import ids_of_prompt

    check_count("rows", "limit", limit, least=1)
    context = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    ids = [ids_of_prompt(tokenizer, text)[:context] for text in texts]
    ends = np.cumsum([len(sequence) for sequence in ids])
    if ends[-1] == 0:
        raise InputError("rows: the texts must hold at least one token, got none; pass longer ones")
    drawn = np.random.default_rng(seed).choice(ends[-1], size=min(limit, int(ends[-1])), replace=False)
    places = np.sort(drawn)
    text = np.searchsorted(ends, places, side="right")
    position = places - np.concatenate([[0], ends])[text]
    laws = []
    visited = np.unique(text)
    for done, number in enumerate(visited.tolist()):
        progress(done, visited.size)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids[number]], device=model.device)).logits[0]
        laws.append(torch.softmax(logits[position[text == number]].double(), dim=-1).cpu().numpy())
    progress(visited.size, visited.size)
    provenance = {
        "n_texts": len(texts),
        "n_positions": int(ends[-1]),
        "limit": limit,
        "seed": seed,
        "versions": {name: version(name) for name in ("proxyalign", "torch", "transformers")},
    }
    return Rows(np.concatenate(laws), text.astype(np.int64), position.astype(np.int64), provenance)
