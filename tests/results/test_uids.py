"""The lists of kept and dropped uids: what DataComp's tools read, and all samples in one of the two."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from curated import finished, write_uids
from hypothesis import given
from hypothesis import strategies as st
from tars import jpeg, write_tar

from pycurate.results.layout import path_of
from pycurate.results.tables import DECISIONS, SAMPLES, write_table
from pycurate.results.uids import subset, uid_numbers

hex_uids = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@given(st.lists(hex_uids, max_size=30))
def test_two_numbers_for_a_uid_and_back_in_sorted_order(uids: list[str]) -> None:
    pairs = subset(uid_numbers(pa.chunked_array([uids[:7], uids[7:]], pa.string())))
    assert pairs.dtype == np.dtype("u8,u8") and pairs.dtype.names == ("f0", "f1")
    assert [f"{first:016x}{second:016x}" for first, second in pairs.tolist()] == sorted(uids)
    # As DataComp's documents say that a subset is made, and as its resharder looks a sample up.
    stated = np.array([(int(uid[:16], 16), int(uid[16:32], 16)) for uid in uids], np.dtype("u8,u8"))
    stated.sort()
    assert np.array_equal(pairs, stated)
    for uid in uids:
        wanted = np.array([divmod(int(uid, 16), 2**64)], pairs.dtype)[0]
        assert pairs[np.searchsorted(pairs, wanted)] == wanted


@given(st.lists(st.tuples(hex_uids, st.none() | hex_uids, st.booleans()), unique_by=lambda row: row[0], max_size=20))
def test_each_sample_is_in_one_list_under_the_uid_that_it_came_with(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | None, bool]]
) -> None:
    results = tmp_path_factory.mktemp("results")
    samples = [{"uid": uid, "given_uid": given} for uid, given, _ in rows]
    for number, part in enumerate((samples[:8], samples[8:])):
        write_table(path_of(results, "samples", f"{number:05}"), pa.Table.from_pylist(part, SAMPLES))
    decisions = [{"uid": uid, "kept": kept} for uid, _, kept in rows]
    write_uids(results, pa.Table.from_pylist(decisions, DECISIONS))
    for name, wanted in (("kept", True), ("dropped", False)):
        expected = sorted(given or uid for uid, given, kept in rows if kept == wanted)
        found = np.load(results / f"uids_{name}.npy", mmap_mode="r")
        assert [f"{first:016x}{second:016x}" for first, second in found.tolist()] == expected


def test_samples_of_a_pool_are_listed_by_the_uids_in_their_json(tmp_path: Path) -> None:
    members = [("a.jpg", jpeg(0)), ("a.json", b'{"uid": "139e4a9b22a614771f06c700a8ebe150"}'), ("b.jpg", jpeg(1))]
    write_tar(tmp_path / "in" / "00000.tar", members)
    decisions = finished(tmp_path / "in", tmp_path, {("00000.tar", "a")})
    write_uids(tmp_path, decisions)
    assert np.load(tmp_path / "uids_kept.npy").tolist() == [(0x139E4A9B22A61477, 0x1F06C700A8EBE150)]
    own = decisions["uid"][1].as_py()
    assert np.load(tmp_path / "uids_dropped.npy").tolist() == [(int(own[:16], 16), int(own[16:], 16))]
