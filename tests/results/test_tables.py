"""Tables and arrays of a run are read only where they are what they should be, and run nothing that is in them."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.errors import TableError
from pycurate.results.tables import read_array, read_table, side_by_side, stream, write_array_parts, written

CUTS = st.lists(st.integers(0, 4), max_size=8)


class Touch:
    """What, unpickled, leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_an_array_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    with pytest.raises(TableError, match=r"a\.npy cannot be read as an array"):
        read_array(tmp_path / "a.npy")
    assert not (tmp_path / "ran").exists()


def test_an_array_in_parts_is_that_of_numpy(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(6, 4)[:, ::2]
    for parts in ([array[:2, 0], array[2:2, 0], array[2:, 0]], []):
        rows = np.concatenate([array[:0, 0], *parts])
        write_array_parts(tmp_path / "a.npy", array.dtype, len(rows), parts)
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rows)


def test_parts_of_a_table_have_the_same_columns_or_leave_none(tmp_path: Path) -> None:
    first, other = pa.table({"uid": ["a"], "nsfw": [0.5]}), pa.table({"uid": ["b"], "aesthetic": [0.5]})
    with (
        pytest.raises(TableError, match="different columns, uid, nsfw and uid, aesthetic; score all of them"),
        written(tmp_path / "t.parquet") as table,
    ):
        table.add(first)
        table.add(other)
    assert not list(tmp_path.iterdir())
    with written(tmp_path / "t.parquet") as table:
        table.add(first)
    assert read_table(tmp_path / "t.parquet").equals(first)
    for reading in (
        lambda: read_table(tmp_path / "t.parquet", ["key"]),
        lambda: [*stream(tmp_path / "t.parquet", ["key"])],
    ):
        with pytest.raises(TableError, match="has no column 'key'"):
            reading()


@given(CUTS, CUTS)
def test_two_streams_run_side_by_side_to_the_end_of_the_shorter_and_say_so(first: list[int], second: list[int]) -> None:
    def cut(sizes: list[int]) -> Iterator[pa.RecordBatch]:
        rows = iter(range(100))
        for size in sizes:
            yield pa.record_batch({"row": [next(rows) for _ in range(size)]}, pa.schema([("row", pa.int64())]))

    both = [*side_by_side(cut(first), cut(second))]
    whole = [(one, other) for one, other in both if one is not None and other is not None]
    assert all(one.equals(other) and one.num_rows for one, other in whole)
    shorter, longer = sorted((sum(first), sum(second)))
    assert sum(one.num_rows for one, _ in whole) == shorter
    assert both[len(whole) :] == [] if shorter == longer else len(both) == len(whole) + 1
    if shorter < longer:
        assert (both[-1][0] is None) == (sum(first) < sum(second)) != (both[-1][1] is None)
