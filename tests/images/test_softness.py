"""How much enlarging and blurring made up, as told from the spectrum of real photographs and of any numbers at all."""

from pathlib import Path

import numpy as np
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import encode
from PIL import Image

from pycurate.images.decode import decode
from pycurate.images.evidence import look
from pycurate.images.render import render
from pycurate.images.softness import STEPS, WEIGHTS, bands, signs, softened
from pycurate.images.views import TILES

GONE = {0.0, *np.cumsum(STEPS).tolist()}


def softness_of(image: Image.Image) -> float:
    info, pixels = decode(encode(image, "PNG"))
    assert pixels is not None
    seen = look((render(pixels, TILES).numpy(), info))
    return softened(seen.levels, seen.signs)


def test_reduced_photographs_are_sound_and_enlarged_ones_are_not() -> None:
    for name in ("astronaut", "chelsea", "coffee", "ihc", "motorcycle_left"):
        whole = Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png").convert("RGB")
        reduced = whole.resize((300, 240), Image.Resampling.LANCZOS)
        assert softness_of(reduced) == 0
        for times in (1.5, 2, 3):
            large = reduced.resize((round(300 * times), round(240 * times)), Image.Resampling.BICUBIC)
            assert softness_of(large) >= 1


@settings(max_examples=50)
@given(
    hnp.arrays(np.float32, (8, 8), elements=st.floats(0, 2**20, width=32)),
    hnp.arrays(np.uint8, (256, 256)),
    st.booleans(),
)
def test_detail_is_lost_in_steps(energy: np.ndarray, luminance: np.ndarray, again: bool) -> None:
    levels = bands(energy)
    found = signs(energy, levels, luminance, (3.0, 2.5, float(again)))
    assert found.shape == WEIGHTS.shape and np.isfinite(found).all()
    assert any(abs(softened(levels, found) - gone) < 1e-9 for gone in GONE)


def test_an_empty_spectrum_is_blurred_and_a_full_one_is_not() -> None:
    empty, full = np.zeros((8, 8)), np.full((8, 8), 100.0)
    empty[0, 0] = full[0, 0] = 1e6
    nothing = np.zeros_like(WEIGHTS)
    assert softened(bands(empty), nothing) == sum(STEPS)
    assert softened(bands(full), -WEIGHTS) == 0
