"""Labels of points, each placed where it covers least."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform


class Label(NamedTuple):
    """A text for the point at `at`, in the coordinates of `place`; radius: of the point's marker, in points."""

    text: str
    place: "Transform"
    at: tuple[float, float]
    radius: float
    colour: str


def write(axis: "Axes", labels: Sequence[Label], unit: float, size: float = 6.5) -> None:
    """Write each label where it covers least: close to its point if there is room, else further off with a leader.

    unit: pixels in a point; size: of the type, in points.
    """
    taken = _drawn(axis, unit)
    frame = np.array(axis.get_window_extent().extents) / unit
    turn = np.tile(np.deg2rad(np.arange(90, 450, 30)), 5)
    ways = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    centres = np.array([label.place.transform(label.at) for label in labels]) / unit
    for label, centre in zip(labels, centres, strict=True):
        half = np.array([0.32 * len(label.text), 0.5]) * size
        distance = label.radius + np.repeat([2.0, 5.0, 9.0, 14.0, 20.0], 12)  # of the text's box, about
        offset = ways * (distance[:, None] + half)
        middle = centre + offset
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        outside = (boxes[:, :2] < frame[:2]).any(1) | (boxes[:, 2:] > frame[2:]).any(1)
        sides = np.minimum(boxes[:, None, 2:], taken[:, 2:4]) - np.maximum(boxes[:, None, :2], taken[:, :2])
        away = np.linalg.norm(middle[:, None] - centres, axis=2)
        astray = np.linalg.norm(offset, axis=1) > away.min(1) + 1e-6  # it would seem to be another point's
        cost = np.maximum(0, sides).prod(-1) @ taken[:, 4] + distance + 5 * astray + 1e6 * outside
        best = int(cost.argmin())
        leader = {"arrowstyle": "-", "linewidth": 0.4, "color": label.colour, "shrinkA": 0, "shrinkB": label.radius}
        axis.annotate(
            label.text, label.at, xycoords=label.place, xytext=tuple(offset[best]), textcoords="offset points",
            ha="center", va="center", fontsize=size, color=label.colour,
            arrowprops=leader if distance[best] > label.radius + 4 else None,
        ).set_in_layout(False)  # fmt: skip
        taken = np.vstack([taken, [*boxes[best], 100.0]])


def _drawn(axis: "Axes", unit: float) -> NDArray[np.float64]:
    """What labels should not cover, as (m, 5): left, bottom, right, top in points, and the cost of a square point."""
    from matplotlib.collections import LineCollection, PathCollection

    boxes = [[*(np.array(text.get_window_extent().extents) / unit), 20.0] for text in axis.texts]
    lines = [line.get_transform().transform(line.get_xydata()) for line in axis.lines]
    for drawn in axis.collections:
        if isinstance(drawn, LineCollection):
            lines += [drawn.get_transform().transform(segment) for segment in drawn.get_segments()]
        elif isinstance(drawn, PathCollection):
            centres = drawn.get_offset_transform().transform(drawn.get_offsets()) / unit
            radii = np.sqrt(drawn.get_sizes())[:, None] / 2
            boxes += [[*box, 4.0] for box in np.concatenate([centres - radii, centres + radii], axis=1)]
    for line in lines:
        for start, end in itertools.pairwise(line / unit):
            n_steps = 1 + int(np.hypot(*(end - start)) / 2)
            for place in start + (end - start) * np.linspace(0, 1, n_steps)[:, None]:
                boxes.append([*(place - 0.7), *(place + 0.7), 2.0])
    return np.array(boxes).reshape(-1, 5)
