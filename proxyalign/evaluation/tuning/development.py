"""The development questions that settings are chosen on. Test questions cannot be asked from here."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation import Settings, Summary, read_records, run
from proxyalign.evaluation.records import RECORDS
from proxyalign.evaluation.tuning.space import Setting
from proxyalign.tasks import Question, Task
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

SPLIT = "dev"
RUNS = "records"  # the folder of all runs, in that of the tuning
Progress = Callable[[str, int, int], None]  # told what is under way, how much of it is done, and how much there is


@dataclass(frozen=True)
class Development:
    """What is the same for all settings that are tried.

    pair: what the models are called. split: "dev" and nothing else. limit, max_new_tokens, seed, proxy_chat, base_chat:
    as of `evaluation.Settings`; max_new_tokens the task's own where left out. data: the folder of the task's files.
    batch_size: how many questions are decoded together.

    Raises InputError for a split of another name, an unknown task, and one without development questions.
    """

    pair: str
    task: str
    split: str = SPLIT
    limit: int | None = None
    max_new_tokens: int | None = None
    seed: int = 0
    proxy_chat: bool = False
    base_chat: bool = False
    data: str | Path | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.split != SPLIT:
            raise InputError(
                f"tune: split must be {SPLIT}, got {self.split!r}; choose on development questions, and report "
                f"the chosen setting once with proxyalign evaluate --split {self.reported_on}"
            )
        if SPLIT not in self.benchmark.splits:
            raise InputError(
                f"tune: task must have a split {SPLIT}, got {self.task}, whose splits are "
                f"{', '.join(self.benchmark.splits)}; tune on another task"
            )
        check_count("tune", "batch_size", self.batch_size, least=1)
        check_count("tune", "seed", self.seed, least=0)

    @property
    def benchmark(self) -> Task:
        """The task itself."""
        return tasks.get(self.task)

    @property
    def reported_on(self) -> str:
        """The split that shares no question with the development questions."""
        return "held-out" if "held-out" in self.benchmark.splits else "test"

    @property
    def n_new_tokens(self) -> int:
        """The longest reply, in tokens."""
        return self.benchmark.max_new_tokens if self.max_new_tokens is None else self.max_new_tokens

    def questions(self) -> list[Question]:
        """The questions, in their order."""
        return self.benchmark.questions(self.split, self.data, self.limit)

    def as_dict(self) -> dict[str, Any]:
        """What the results depend on, as JSON values."""
        asked = asdict(self)
        return {name: asked[name] for name in asked if name not in ("data", "batch_size")}

    def settings(self, setting: Setting) -> Settings:
        """The run of this setting on these questions."""
        return Settings(
            pair=self.pair,
            task=self.task,
            task_version=self.benchmark.version,
            rule=setting.rule,
            parameters=setting.parameters,
            split=self.split,
            limit=self.limit,
            max_new_tokens=self.n_new_tokens,
            seed=self.seed,
            proxy_chat=self.proxy_chat,
            base_chat=self.base_chat,
            **setting.how,
        )

    def evaluate(self, pair: "ModelPair", setting: Setting, out: Path, progress: Progress | None = None) -> Summary:
        """What the setting is worth; its records lie in `out`/records, and are not made again where they do already."""
        told = None if progress is None else lambda _, done, n: progress(str(setting), done, n)
        return run(pair, self.settings(setting), out / RUNS, data=self.data, batch_size=self.batch_size, progress=told)

    def verdicts(self, setting: Setting, out: Path) -> list[bool]:
        """Which questions a setting that was evaluated has answered rightly, in their order."""
        path = out / RUNS / self.settings(setting).slug / RECORDS
        return [bool(record["correct"]) for record in read_records(path)]


def check_settings(pair: "ModelPair", development: Development, settings: Sequence[Setting]) -> None:
    """Raise InputError for a setting that the pair or the task cannot have, before time is spent on the others."""
    from proxyalign.decoding.arguments import check_pair_and_rule

    for setting in settings:
        check_pair_and_rule("tune", pair, setting.made())
        development.settings(setting)
