"""The language of a reply, as langdetect sees it: with a fixed seed, so that a reply has one verdict."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from proxyalign.tasks.instructions.packages import load


def is_in(text: str, language: str) -> bool:
    """Whether the text is in that language, of the 55 that langdetect 1.0.9 knows (zh-cn and zh-tw for Chinese).

    A text without a letter to judge by, as digits alone, counts as in any, as published. Raises InputError where
    langdetect is not installed.
    """
    detector = _factory().create()
    try:
        detector.append(text)
        return str(detector.detect()) == language
    except load("langdetect", "detector").LangDetectException:
        return True


@lru_cache(maxsize=1)
def _factory() -> Any:
    """Detectors that start from seed 0 and from profiles in one order, whatever a program does with langdetect's own.

    Without a seed "Hello world" is English at times, and Dutch at others (lm-evaluation-harness issue 4213).
    """
    langdetect = load("langdetect", "detector")
    factory = langdetect.DetectorFactory()
    profiles = sorted(path for path in Path(langdetect.PROFILES_DIRECTORY).iterdir() if path.is_file())
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    factory.set_seed(0)
    return factory
