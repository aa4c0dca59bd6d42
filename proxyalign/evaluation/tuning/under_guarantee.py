"""One setting under every guarantee that is asked for: few harms, texts close to the base's, or both."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from proxyalign.errors import InputError
from proxyalign.evaluation.tuning.base_texts import TrustRegion, bound_distance
from proxyalign.evaluation.tuning.development import Development, Progress, check_settings
from proxyalign.evaluation.tuning.folder import claimed
from proxyalign.evaluation.tuning.guarantees import check_share
from proxyalign.evaluation.tuning.harm import Harm, bound_harm
from proxyalign.evaluation.tuning.space import Setting, Space

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

_NUMBER = r"(\d*\.?\d+(?:e-?\d+)?)"
_FORMS = {"harm": re.compile(rf"harm<={_NUMBER}@{_NUMBER}"), "tv": re.compile(rf"tv<={_NUMBER}")}


@dataclass(frozen=True)
class Promises:
    """What is asked for: `harm` (eps, delta), `tv` eps, None where it is not."""

    harm: tuple[float, float] | None = None
    tv: float | None = None


def promises(texts: Sequence[str]) -> Promises:
    """Read "harm<=0.05@0.9", a harm of at most 0.05 with probability 0.9, and "tv<=0.1", each at most once.

    Raises InputError for another text, a number outside (0, 1), and none at all.
    """
    found = Promises()
    for text in texts:
        squeezed = "".join(text.split())
        if (harm := _FORMS["harm"].fullmatch(squeezed)) and found.harm is None:
            for share in harm.groups():
                check_share("--guarantee", "each share", float(share))
            delta = float(1 - Fraction(harm[2]))  # of the decimal, so that 0.9 leaves 0.1 and not a little less
            found = replace(found, harm=(float(harm[1]), delta))
        elif (distance := _FORMS["tv"].fullmatch(squeezed)) and found.tv is None:
            check_share("--guarantee", "each share", float(distance[1]))
            found = replace(found, tv=float(distance[1]))
        else:
            raise InputError(
                f"--guarantee must be harm<=SHARE@CONFIDENCE or tv<=SHARE, each once and in quotes, got {text!r}; "
                "'harm<=0.05@0.9' and 'tv<=0.1' are usual"
            )
    return found


@dataclass(frozen=True)
class Guaranteed:
    """chosen: the setting, None where no promise can be given. harm, trust_region: what each test found, if it ran."""

    chosen: Setting | None
    harm: Harm | None
    trust_region: TrustRegion | None


def guaranteed(
    pair: "ModelPair",
    development: Development,
    space: Space,
    out: str | Path,
    asked: Promises,
    *,
    reference: Setting | None = None,
    progress: Progress | None = None,
) -> Guaranteed:
    """The setting of `space` that keeps every promise asked for, found on development questions and in `out`.

    space: one rule, window and temperature. Under `asked.harm` its values are tried in rising order, which starts from
    the base alone for the rules of this package, and the last one before the first failure is chosen (`bound_harm`).
    Under `asked.tv` the rule is "dual" and the threshold comes from the base's texts (`bound_distance`). Under both it
    is the largest value that passed the first and is at most the second: all values before a failure are promised at
    once, and so is any threshold below that of the texts. reference: as of `bound_harm`. out: a folder of this alone.

    Raises InputError for a space of several rules, windows or temperatures, no promise, and what cannot be used.
    """
    for name in ("rules", "windows", "temperatures"):
        if len(getattr(space, name)) > 1:
            raise InputError(
                f"tune: {name} must be one under a guarantee, whose order is fixed beforehand, got "
                f"{', '.join(map(str, getattr(space, name)))}; choose one"
            )
    if asked.harm is None and asked.tv is None:
        raise InputError("tune: a guarantee must be asked for, got none; search instead")
    if asked.tv is not None and space.rules != ("dual",):
        raise InputError(
            f"tune: rules must be dual under a guarantee of tv, whose threshold is dual's, got {space.rules[0]}; "
            "take dual"
        )
    sequence = sorted(space.settings(), key=lambda one: one.parameter or 0.0)
    check_settings(pair, development, sequence)
    out, harm, region = Path(out), None, None
    what = {"promises": asdict(asked), "reference_rule": None if reference is None else asdict(reference)}
    with claimed(out, {**development.as_dict(), **asdict(space), **what}):
        if asked.tv is not None:
            heat = space.temperatures[0]
            region = bound_distance(pair, development, out, eps=asked.tv, temperature=heat, progress=progress)
        if asked.harm is not None:
            eps, delta = asked.harm
            harm = bound_harm(
                pair, development, sequence, out, eps=eps, delta=delta, reference=reference, progress=progress
            )
    return Guaranteed(_chosen(sequence, harm, region), harm, region)


def _chosen(sequence: Sequence[Setting], harm: Harm | None, region: TrustRegion | None) -> Setting | None:
    """The largest setting that every test allows. Where the texts alone speak, the threshold itself."""
    if harm is None:
        return None if region is None or not region.alpha else replace(sequence[0], parameter=region.alpha)
    passed = [] if harm.chosen is None else list(sequence[: harm.chosen + 1])
    if region is not None:
        passed = [one for one in passed if one.parameter is not None and one.parameter <= region.alpha]
    return passed[-1] if passed else None
