"""No file, however spoilt, shows pixels that its decoder did not write, or others on another backend."""

import random
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import Both, misstated, mutated, sound, twice

from pycurate.images.dali import DaliBackend
from pycurate.images.decode import CODES, decode, jpeg_header
from pycurate.images.views import View

SEEDS = st.integers(0, 10**9)
JPEGS = [kind for kind in sound() if kind.startswith("jpeg")]
pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, of tags that make no sense


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    """Both backends, built once: a hundred files are one batch."""
    loaders = Both(16)
    yield loaders
    loaders.close()


def test_the_files_to_be_spoilt_are_sound(both: Both) -> None:
    assert {kind: decode(data)[0].error for kind, data in sound().items()} == dict.fromkeys(sound())
    assert both.disagreements(list(sound().values())) == [""] * len(sound())


@settings(max_examples=400)
@given(st.sampled_from(list(sound())), SEEDS)
def test_a_file_decodes_alike_each_time(kind: str, seed: int) -> None:
    info, same = twice(mutated(kind, seed), seed)
    assert same, info
    assert info.error is None or (info.error in CODES and info.message)


@settings(max_examples=40)
@given(SEEDS)
def test_backends_agree_on_spoilt_files_in_any_company(both: Both, seed: int) -> None:
    kinds = [kind for _ in range(3) for kind in JPEGS] + list(sound())
    files = [mutated(kind, seed + number) for number, kind in enumerate(kinds)]
    assert both.disagreements(files) == [""] * len(files)
    order = random.Random(seed).sample(range(len(files)), len(files))
    first, other = both.results(1, files), both.results(1, [files[at] for at in order])
    for place, at in enumerate(order):
        (info, pixels), (again, found) = first[at], other[place]
        assert info == again
        assert (pixels is None) == (found is None)
        assert pixels is None or found is None or torch.equal(pixels, found), (kinds[at], seed + at)


@pytest.fixture(scope="module")
def dali() -> Iterator[DaliBackend]:
    """The backend by itself, which counts how often its pipeline ended."""
    backend = DaliBackend([View(64, 64)], "cpu", 128, 10**8, 2)
    yield backend
    backend.close()


@settings(max_examples=20)
@given(SEEDS)
def test_nothing_that_is_wrong_in_a_jpeg_ends_dalis_pipeline(dali: DaliBackend, seed: int) -> None:
    files = [make(JPEGS[number % len(JPEGS)], seed + number) for number in range(64) for make in (mutated, misstated)]
    dali.start(files)()
    assert dali.rebuilt == 0


@settings(max_examples=400)
@given(st.sampled_from(JPEGS), SEEDS)
def test_no_jpeg_that_libjpeg_refuses_goes_to_dali(kind: str, seed: int) -> None:
    data = misstated(kind, seed)
    assert jpeg_header(data) is None or decode(data)[0].error is None


def test_of_jpegs_with_odd_words_in_their_headers_many_go_to_dali() -> None:
    """What libjpeg takes does, as far as it is not turned away for its colours, its sampling or its scans."""
    given = [jpeg_header(misstated(JPEGS[seed % len(JPEGS)], seed)) is not None for seed in range(400)]
    assert 100 < sum(given) < 300
