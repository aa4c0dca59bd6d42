"""One process of a tensor parallel run: decodes with a pair whose base is split, and writes what came out."""

import json
import os
import sys
from pathlib import Path

import torch

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import load_pair

PROMPTS = ["t1 t2 t3", "t4", "t5 t6 t7 t8 t9"]


def answers(pair):
    """Token ids by mode and temperature: ragged batches that are refilled, in both modes, greedy and sampled."""
    return {
        f"{mode} {temperature:g}": generate(
            pair, PROMPTS, rules.Dual(0.3), mode=mode, window=3, max_new_tokens=16, temperature=temperature,
            num_return_sequences=2, batch_size=4, seed=5,
        ).token_ids
        for mode in ("autoregressive", "speculative")
        for temperature in (0.0, 1.0)
    }  # fmt: skip


def main() -> None:
    """Usage: FOLDER DTYPE ROLE[,ROLE]; the results go to FOLDER/rank<R>.json."""
    folder, dtype, roles = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
    pair = load_pair(
        base=folder / "base", proxy=folder / "proxy", dtype=dtype, offline=True, tp_plan=dict.fromkeys(roles, "auto")
    )
    held = {role: list(getattr(pair, role).model.layers[0].mlp.up_proj.weight.to_local().shape) for role in roles}
    try:
        generate(pair, PROMPTS, rules.Dual(0.3), mode="speculative", window="auto", max_new_tokens=16)
        refused = ""
    except InputError as error:
        refused = str(error)
    result = {"answers": answers(pair), "held": held, "refused": refused}
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(result))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
