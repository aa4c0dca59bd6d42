"""A part of a run's questions, cut so that the parts together are the batches of the whole run."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from proxyalign.errors import InputError
from proxyalign.evaluation.records import SHARD


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of a run in `of` parts. Raises InputError where there is no such part."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise InputError(
                f"evaluation: shard must be i/n with i from 1 to n, got {self.number}/{self.of}; the second of four "
                "is 2/4"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that `text`, as in "2/4", names; InputError for a text of another form."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if found is None:
            raise InputError(f"evaluation: shard must be i/n, got {text!r}; the second of four is 2/4")
        return cls(int(found[1]), int(found[2]))

    @property
    def folder(self) -> str:
        """What its folder is called, in that of the run."""
        return f"{SHARD}{self.number}-of-{self.of}"

    def part(self, n: int, size: int) -> range:
        """The numbers of its questions, of `n` that are answered `size` at a time.

        A shard holds whole batches where there are enough of them, so that no batch is answered twice. Raises
        InputError where it would hold no question.
        """
        if self.of > n:
            raise InputError(
                f"evaluation: shard must leave each part a question, got {self.number}/{self.of} of {n} questions; "
                f"make at most {n} parts"
            )
        unit = size if self.of <= -(-n // size) else 1
        n_units = -(-n // unit)
        first, last = (min(n, at * n_units // self.of * unit) for at in (self.number - 1, self.number))
        return range(first, last)

    def as_dict(self, part: range, n: int) -> dict[str, Any]:
        """What the settings of its folder say of it: which part, and which of how many questions."""
        return {**asdict(self), "first": part.start, "last": part.stop, "n": n}
