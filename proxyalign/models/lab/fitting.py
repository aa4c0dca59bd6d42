"""One pass of training on one thread: optimizers, learning rates, and checkpoints from which a killed pass goes on."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from proxyalign.files import replacing
from proxyalign.models.lab.recipe import Schedule

Report = Callable[[str, int, int, float], None]  # stage, steps done, steps in all, last loss


@dataclass(frozen=True)
class Fit:
    """What a pass leaves behind beside the weights: the loss of every step (nats a token) and the seconds it took."""

    losses: list[float]
    seconds: float

    @property
    def last_loss(self) -> float:
        """The mean loss of the last twentieth of the steps."""
        tail = self.losses[-max(1, len(self.losses) // 20) :]
        return sum(tail) / len(tail)


def optimizers(model: LlamaForCausalLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices where the schedule asks for it; AdamW for the embedding, the norms and everything else."""
    matrices: list[Parameter] = []
    others: list[Parameter] = []
    for name, parameter in model.named_parameters():
        inner = parameter.ndim == 2 and "embed" not in name
        (matrices if inner and schedule.matrices == "muon" else others).append(parameter)
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=schedule.rate, betas=(0.9, 0.95), weight_decay=schedule.decay)
    ]
    if matrices:
        found.append(
            torch.optim.Muon(matrices, lr=schedule.rate, weight_decay=schedule.decay, adjust_lr_fn="match_rms_adamw")
        )
    return found


def rate_at(step: int, n_steps: int, schedule: Schedule) -> float:
    """The learning rate of `step`: a linear rise, then a cosine down to the floor."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / max(1, n_steps - schedule.warmup)
    return schedule.rate * (schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * done)))


def fit(
    stage: str,
    model: LlamaForCausalLM,
    schedule: Schedule,
    batches: Sequence[tuple[Tensor, Tensor]],
    *,
    half: bool,
    checkpoint: Path,
    checkpoint_seconds: float,
    report: Report,
) -> Fit:
    """Train `model` in place, one step a batch of (ids, labels), both (rows, length) int64, -100 where no loss is.

    half: run the products in bfloat16. checkpoint: a file that is replaced about every `checkpoint_seconds` and read
    first where it exists; a pass that was stopped ends with the weights of one that was not.
    """
    steppers = optimizers(model, schedule)
    start, losses, spent = 0, list[float](), 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for stepper, state in zip(steppers, saved["optimizers"], strict=True):
            stepper.load_state_dict(state)
        start, losses, spent = saved["step"], saved["losses"], saved["seconds"]
    model.train()
    began = written = time.monotonic()
    for step in range(start, len(batches)):
        for stepper in steppers:
            for group in stepper.param_groups:
                group["lr"] = rate_at(step, len(batches), schedule)
        losses.append(_step(model, steppers, batches[step], half))
        now = time.monotonic()
        if now - written >= checkpoint_seconds or step + 1 == len(batches):
            _save(
                checkpoint,
                model=model.state_dict(),
                optimizers=[stepper.state_dict() for stepper in steppers],
                step=step + 1,
                losses=losses,
                seconds=spent + now - began,
            )
            written = now
        report(stage, step + 1, len(batches), losses[-1])
    model.eval()
    return Fit(losses, spent + time.monotonic() - began)


def positions(ids: Tensor) -> Tensor:
    """The place of each token in its own document: (rows, length) int64, 0 at every end token (id 0).

    transformers reads positions that start anew as the border of a packed sequence, so that no document attends to
    another; recall is learnt many times faster than where the documents of a row distract from each other.
    """
    places = torch.arange(ids.shape[1]).expand_as(ids)
    starts = torch.where(ids == 0, places, 0).cummax(dim=-1).values
    return places - starts


def _step(
    model: LlamaForCausalLM, steppers: list[torch.optim.Optimizer], batch: tuple[Tensor, Tensor], half: bool
) -> float:
    ids, labels = batch
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        logits = model(input_ids=ids, position_ids=positions(ids), use_cache=False).logits
    loss = cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for stepper in steppers:
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    return float(loss.detach())


def _save(path: Path, **state: object) -> None:
    with replacing(path) as file:
        torch.save(state, file)
