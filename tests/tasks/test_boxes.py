"""Boxes are found by their braces, whatever stands between them."""

import pytest

from proxyalign.tasks.boxes import boxes


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        ("\\boxed{5}", ["5"]),
        ("\\boxed {5}, \\fbox{6}", ["5", "6"]),
        ("\\boxed{\\frac{1}{2}}.", ["\\frac{1}{2}"]),
        ("\\boxed{\\left\\{ 1 \\right.} and }", ["\\left\\{ 1 \\right."]),  # an escaped brace is no brace
        ("\\boxed{\\boxed{5}}", ["\\boxed{5}", "5"]),
        ("{ \\boxed{5}", ["5"]),
        ("boxed{5} \\boxedx{5} \\boxedx", []),
        ("\\boxed 1.5, \\boxed-2. \\boxed x, \\boxed cm", ["1.5", "-2", "x"]),
        ("", []),
    ],
)
def test_the_finished_boxes_are_found_in_order(text, contents):
    """Fails for a pattern that ends at the first brace or the last, or reads another command."""
    assert [text[box.opens : box.closes] for box in boxes(text)] == contents
    assert all(text[box.begins :].startswith(("\\boxed", "\\fbox")) for box in boxes(text))


def test_a_box_that_is_not_finished_has_no_end():
    """Fails when a reply that breaks off within its answer counts as finished, or hides the box before."""
    assert boxes("\\boxed{5} \\boxed{\\frac{1}{2}") == [(0, 7, 8), (10, 17, None)]


def test_many_boxes_take_no_time_that_grows_with_their_square():
    """Fails, by never ending, for a search that begins anew at each box."""
    assert len(boxes("\\boxed{" * 50_000)) == 50_000
    assert len(boxes("\\boxed{" * 50_000 + "}" * 50_000)) == 50_000
