"""What a model gives is not believed unseen: every breach names the class, the partition and the sample."""

import itertools
from collections.abc import Sequence
from threading import Barrier

import numpy as np
import pytest
import torch

from pycurate.errors import ModelError
from pycurate.images.decode import ImageInfo
from pycurate.images.views import View
from pycurate.models.batching import checked_embedding_score, checked_encode, one_behind, start_encode, start_score

BATCH = 10
NAMES = [f"sample-{number}" for number in range(25)]
IMAGES = [ImageInfo(number + 1, 4, "jpeg") for number in range(25)]


def pixels(count: int = 25) -> torch.Tensor:
    """Images that are as bright as their number."""
    return torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


class OneByOne:
    """An encoder whose rows are (mean, 1), and which chooses no batch."""

    name, dim, view = "brightness", 2, View(4, 4)

    def __init__(self) -> None:
        self.seen: list[int] = []

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 (n, 2)."""
        self.seen.append(len(pixels))
        mean = pixels.float().mean(dim=(1, 2, 3))
        return torch.stack([mean, torch.ones_like(mean)], dim=1)


class Brightness(OneByOne):
    """The same in batches."""

    batch: int | None = BATCH


def encode(encoder: object, count: int = 25) -> np.ndarray:
    """The rows of `count` images."""
    return checked_encode(encoder, pixels(count), "00007", NAMES[:count])  # type: ignore[arg-type]


def test_every_batch_has_one_size_and_every_row_its_place() -> None:
    encoder = Brightness()
    rows = encode(encoder)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, np.stack([np.arange(25), np.ones(25)], axis=1))
    assert encoder.seen == [BATCH] * 3


def test_a_model_may_choose_its_batch_or_take_any_and_is_else_given_one_image_on_a_cpu() -> None:
    class Four(OneByOne):
        batch = 4

    class Any(OneByOne):
        batch = None

    for kind, seen in ((Four, [4] * 7), (Any, [25]), (OneByOne, [1] * 25)):
        encoder = kind()
        assert np.array_equal(encode(encoder)[:, 0], np.arange(25))
        assert encoder.seen == seen


def test_a_batch_is_looked_at_when_the_next_one_has_begun() -> None:
    done: list[str] = []

    def begin(number: int) -> int:
        done.append(f"begin {number}")
        return number

    for number in one_behind(map(begin, range(3))):
        done.append(f"look at {number}")
    assert done == ["begin 0", "begin 1", "look at 0", "begin 2", "look at 1", "look at 2"]
    assert list(one_behind([])) == []


def test_what_a_model_gave_is_checked_when_it_is_called_for() -> None:
    rows = start_encode(broken(torch.full((BATCH, 2), torch.nan)), pixels(3), "00007", NAMES[:3])  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"not finite \(partition 00007, sample sample-0\)"):
        rows()


def test_models_that_take_any_number_work_beside_each_other_on_a_cpu_and_each_at_one_batch_at_a_time() -> None:
    both = Barrier(2, timeout=60)

    class One(OneByOne):
        batch = None

        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            both.wait()  # passed when the other is called, too
            return super().encode(pixels)

    class Other(One):
        pass

    one, other = One(), Other()
    began = [
        start_encode(encoder, pixels(count), "00007", NAMES[:count]) for count in (3, 7) for encoder in (one, other)
    ]
    assert [len(rows()) for rows in began] == [3, 3, 7, 7]
    assert one.seen == other.seen == [3, 7]


def test_a_model_of_pycurate_works_at_two_batches_at_a_time_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2, timeout=60)

    class Shipped(OneByOne):
        batch = None

        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            both.wait()  # passed when the other batch has begun, too
            return super().encode(pixels)

    monkeypatch.setattr(Shipped, "__module__", "pycurate.models.builtin.shipped")
    encoder = Shipped()
    began = [start_encode(encoder, pixels(count), "00007", NAMES[:count]) for count in (3, 7, 5, 2)]
    assert [len(rows()) for rows in began] == [3, 7, 5, 2]


def test_a_model_in_a_thread_of_its_own_raises_what_it_would_in_the_callers() -> None:
    class Raising(OneByOne):
        batch = None

        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            raise KeyError("weights")

    with pytest.raises(ModelError, match=r"Raising raised KeyError.*\(partition 00007, sample sample-0\)"):
        start_encode(Raising(), pixels(3), "00007", NAMES[:3])()


@pytest.mark.gpu
def test_a_gpu_that_is_still_at_work_is_waited_for() -> None:
    class Slow(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            torch.cuda._sleep(100_000_000)
            return super().encode(pixels)

    began = [start_encode(Slow(), pixels(count).cuda(), "00007", NAMES[:count]) for count in (25, 7)]
    for count, rows in zip((25, 7), began, strict=True):
        assert np.array_equal(rows(), encode(Brightness(), count))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.int32])
def test_rows_of_any_kind_of_number_become_float32(kind: torch.dtype) -> None:
    class Other(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            return super().encode(pixels).to(kind)

    rows = encode(Other())
    assert rows.dtype == np.float32 and np.array_equal(rows, encode(Brightness()))


def test_no_images() -> None:
    assert encode(Brightness(), 0).shape == (0, 2)


def test_a_row_of_a_matrix_product_does_not_depend_on_its_place_or_its_neighbours() -> None:
    """MKL's product of ten rows gives the ninth and tenth other last bits, in one's own encoder too."""
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(48, 512, generator=random)

    class Product(OneByOne):
        dim = 512

        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.flatten(1).float() @ matrix

    images = torch.randint(0, 256, (25, 3, 4, 4), dtype=torch.uint8, generator=random)
    together = checked_encode(Product(), images, "0", NAMES)
    for shift in (1, 4, 8, 9):
        assert np.array_equal(checked_encode(Product(), images.roll(shift, 0), "0", NAMES), np.roll(together, shift, 0))
    for start in range(25):
        part = checked_encode(Product(), images[start : start + 3], "0", NAMES[start : start + 3])
        assert np.array_equal(part, together[start : start + 3])


@pytest.mark.parametrize("limit", [1, 2, 3, 9])
@pytest.mark.parametrize("batch", [BATCH, None])
def test_a_batch_too_large_for_memory_is_halved_and_the_run_goes_on(limit: int, batch: int | None) -> None:
    too_large: list[int] = []

    class Small(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            if len(pixels) > limit:
                too_large.append(len(pixels))
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().encode(pixels)

    Small.batch = batch
    encoder = Small()
    assert np.array_equal(encode(encoder), encode(Brightness()))
    assert (limit + 1) // 2 <= max(encoder.seen) <= limit
    assert all(2 * smaller <= larger for larger, smaller in itertools.pairwise(too_large))
    tries = len(encoder.seen)
    encode(encoder)
    assert len(encoder.seen) == 2 * tries  # the size that fitted is remembered


def test_no_memory_for_one_image() -> None:
    class Huge(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(ModelError, match=r"Huge does not have enough memory for one image .*00007, sample sample-0"):
        encode(Huge())


def broken(rows: object) -> object:
    """An encoder that gives these rows for its first batch."""

    class Broken(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            return rows  # type: ignore[return-value]

    return Broken()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.zeros(BATCH, 3), r"gave shape \(10, 3\) instead of \(10, 2\)"),
        (torch.zeros(BATCH - 1, 2), r"gave shape \(9, 2\)"),
        (torch.zeros(BATCH), r"gave shape \(10,\)"),
        (torch.zeros(BATCH, 2, dtype=torch.bool), "gave bool instead of float32"),
        ([[0.0, 0.0]] * BATCH, "gave a list instead of an array"),
        (None, "gave a NoneType"),
    ],
)
def test_a_wrong_shape_or_type_names_class_partition_and_samples(rows: object, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        encode(broken(rows))
    assert "test_batching:broken.<locals>.Broken" in str(caught.value)
    assert "partition 00007, samples sample-0 to sample-9" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [0, 13, 24])
def test_a_value_that_is_not_finite_names_its_sample(value: float, at: int) -> None:
    class Hole(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            rows = super().encode(pixels)
            rows[rows[:, 0] == at] = value
            return rows

    with pytest.raises(
        ModelError, match=rf"Hole gave a value that is not finite \(partition 00007, sample sample-{at}\)"
    ):
        encode(Hole())


def test_a_value_behind_a_mask_is_none() -> None:
    class Masked:
        name = "masked"

        def score(self, embeddings: np.ndarray) -> np.ndarray:
            return np.ma.masked_less(embeddings, 0.5).mean(axis=1)

    embeddings = np.ones((25, 3), np.float32)
    assert np.array_equal(checked_embedding_score(Masked(), embeddings, "00007", NAMES), np.ones(25))
    embeddings[13] = 0
    with pytest.raises(ModelError, match=r"Masked gave a value that is not finite .* sample sample-13\)"):
        checked_embedding_score(Masked(), embeddings, "00007", NAMES)


@pytest.mark.parametrize("value", [1e60, -1e60])
def test_a_value_that_float32_does_not_hold_is_not_finite(value: float) -> None:
    class Wide(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            rows = super().encode(pixels).double()
            rows[rows[:, 0] == 13] = value
            return rows

    class Far:
        name = "far"

        def score(self, embeddings: np.ndarray) -> np.ndarray:
            return np.where(np.arange(len(embeddings)) == 13, value, 0.0)

    with pytest.raises(ModelError, match=r"Wide gave a value that is not finite .* sample sample-13\)"):
        encode(Wide())
    with pytest.raises(ModelError, match=r"Far gave a value that is not finite .* sample sample-13\)"):
        checked_embedding_score(Far(), np.ones((25, 3), np.float32), "00007", NAMES)


@pytest.mark.parametrize("batch", [1, 10, None])
def test_what_a_model_does_to_its_pixels_is_not_seen_by_another(batch: int | None) -> None:
    class Wiping(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            rows = super().encode(pixels)
            pixels.zero_()
            return rows

        def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
            return self.encode(pixels)[:, 0].numpy()

    Wiping.batch = batch
    shared = pixels().clone()
    assert np.array_equal(checked_encode(Wiping(), shared, "0", NAMES), encode(Brightness()))
    assert np.array_equal(start_score(Wiping(), shared, IMAGES, "0", NAMES)(), np.arange(25))
    assert torch.equal(shared, pixels())


def test_a_model_that_changes_its_pixels_gets_them_whole_again_where_memory_was_short() -> None:
    class Inverting(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            pixels.copy_(255 - pixels)
            if len(pixels) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().encode(pixels)

    assert np.array_equal(encode(Inverting())[:, 0], 255 - np.arange(25))


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
def test_a_model_may_write_all_batches_to_one_place(kind: type) -> None:
    class Reusing(Brightness):
        def __init__(self) -> None:
            super().__init__()
            self.rows = torch.zeros(BATCH, 2)

        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            self.rows.copy_(super().encode(pixels))
            return self.rows if kind is torch.Tensor else self.rows.numpy()  # type: ignore[return-value]

        def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
            return self.encode(pixels)[:, 0]  # type: ignore[return-value]

    assert np.array_equal(encode(Reusing()), encode(Brightness()))
    assert np.array_equal(start_score(Reusing(), pixels(), IMAGES, "0", NAMES)(), np.arange(25))


@pytest.mark.parametrize("at", [0, 13, 24])
def test_an_exception_names_the_sample_that_raises_it(at: int) -> None:
    class Picky(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            if (pixels == at).any():
                raise ZeroDivisionError("no such brightness")
            return super().encode(pixels)

    with pytest.raises(
        ModelError, match=rf"Picky raised ZeroDivisionError: .* \(partition 00007, sample sample-{at}\)"
    ) as caught:
        encode(Picky())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_exception_that_no_sample_raises_alone_names_them_all() -> None:
    class Crowded(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            if len(pixels.unique()) > 1:
                raise RuntimeError("too many")
            return super().encode(pixels)

    with pytest.raises(ModelError, match="samples sample-0 to sample-9"):
        encode(Crowded())


def test_a_fault_of_the_gpu_is_no_samples_fault() -> None:
    class Faulty(Brightness):
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            self.seen.append(len(pixels))
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    encoder = Faulty()
    with pytest.raises(ModelError, match=r"illegal memory access .*samples sample-0 to sample-9"):
        encode(encoder)
    assert len(encoder.seen) == 1


def test_pixel_scorers_get_what_is_known_of_each_image() -> None:
    class Wide:
        name, view = "wide", View(4, 4)

        def score(self, pixels: torch.Tensor, images: Sequence[ImageInfo]) -> np.ndarray:
            assert len(pixels) == len(images)
            return np.array([info.width for info in images], dtype=np.float32)

    found = start_score(Wide(), pixels(), IMAGES, "0", NAMES)()
    assert np.array_equal(found, np.arange(1, 26))


def test_a_column_where_a_row_is_due_is_refused() -> None:
    class Column:
        name = "column"

        def score(self, embeddings: np.ndarray) -> np.ndarray:
            return embeddings[:, :1]

    with pytest.raises(ModelError, match=r"Column gave shape \(1024, 1\) instead of \(1024,\)"):
        checked_embedding_score(Column(), np.ones((25, 3), dtype=np.float32), "0", NAMES)
