"""Small inputs, kept beside the project, on which tools of this kind have failed: both backends read them right."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mutations import Both
from PIL import Image, ImageOps

from pycurate.images.decode import decode

CODES = {  # of those that are not read
    "f_prog_bad_dht_scan3.jpg": "corrupt",
    "f_prog_half_garbage.jpg": "corrupt",
    "f_prog_half_then_jpeg.jpg": "corrupt",
    "f_prog_sos_flipped_marker.jpg": "corrupt",
    "jpeg_half_then_jpeg.jpg": "corrupt",
    "z_double_soi.jpg": "corrupt",
    "scans600.jpg": "too_large",
}
NOT_PILLOWS = {"webp_broken_exif.webp", "tiff_g12_le.tif", "tiff_g16_whiteiszero.tif"}  # it raises, or is wrong
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cases(shared: Path) -> Iterator[list[Path]]:
    yield sorted((shared / "cases" / "images").iterdir())


def test_each_case_comes_out_right(cases: list[Path]) -> None:
    for path in cases:
        data = path.read_bytes()
        info, pixels = decode(data)
        assert info.error == CODES.get(path.name), path.name
        if pixels is not None and path.name not in NOT_PILLOWS:
            expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
            np.testing.assert_array_equal(pixels, np.asarray(expected), path.name)


def test_backends_agree_on_each_case(cases: list[Path]) -> None:
    both = Both(8)
    files = [path.read_bytes() for path in cases]
    assert both.disagreements(files) == [""] * len(files)
    both.close()
