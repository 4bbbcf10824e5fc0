"""Boxes painted over, against slices of numpy."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pycurate.images.filling import BORDER, filled
from pycurate.images.render import Placement


def square(top: int, left: int, height: int, width: int) -> np.ndarray:
    """float64 (4, 2): the corners of a box of whole pixels."""
    return np.array([(left, top), (left + width, top), (left + width, top + height), (left, top + height)], float)


@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(-6, 6), st.integers(-6, 6))
@example(6, 5, 6, 6)  # a box at the image's lower right corner, beyond which the view shows none of it
@example(155, 2, 6, 6)  # a box whose whole border lies in another
def test_each_box_gets_the_mean_of_its_border(seed: int, count: int, top: int, left: int) -> None:
    """Of an image of 24 x 32 pixels, of which the view of 20 x 30 shows a part, or more than there is."""
    chance = np.random.default_rng(seed)
    view = chance.integers(0, 256, (3, 20, 30), dtype=np.uint8)
    places = [(*chance.integers(0, (20, 28)), *chance.integers(1, (8, 12))) for _ in range(count)]
    result = filled(
        view, np.array([square(*one) for one in places]).reshape(-1, 4, 2) / (32, 24), Placement(24, 32, top, left)
    )

    whole = np.zeros((3, 60, 60), np.uint8)  # the image's corner is at 15, 15
    shown, text = np.zeros((2, 60, 60), bool)
    seen = np.s_[15 + top : 35 + top, 15 + left : 45 + left]
    whole[:, *seen] = view
    shown[seen] = True
    shown &= np.pad(np.ones((24, 32), bool), ((15, 21), (15, 13)))
    boxes = []
    for y, x, high, wide in places:
        box = np.zeros((60, 60), bool)
        box[15 + y : 15 + y + high, 15 + x : 15 + x + wide] = True
        border = np.zeros((60, 60), bool)
        border[15 + y - BORDER : 15 + y + high + BORDER, 15 + x - BORDER : 15 + x + wide + BORDER] = True
        boxes.append((box, border))
        text |= box
    expected = whole.copy()
    for box, border in boxes:
        parts = [part for part in (border & shown & ~text, shown & ~text, shown) if part.any()]
        expected[:, box] = np.rint(whole[:, parts[0]].mean(axis=1, keepdims=True))
    np.testing.assert_array_equal(result, expected[:, *seen])


def test_text_on_an_even_ground_leaves_the_ground() -> None:
    view = np.full((3, 40, 40), 90, np.uint8)
    view[:, 10:20, 5:30] = 255
    tilted = np.array([(0.1, 0.2), (0.8, 0.15), (0.85, 0.55), (0.12, 0.6)])
    assert (filled(view, tilted[None], Placement(40, 40, 0, 0)) == 90).all()


def test_without_boxes_nothing_changes() -> None:
    view = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    np.testing.assert_array_equal(filled(view, np.zeros((0, 4, 2)), Placement(8, 8, 0, 0)), view)
