"""Views of byte-equal images stand as one, the best of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycurate.dedup.visits import member_dtype, nodes_of, visits_of
from pycurate.errors import TableError
from pycurate.results.layout import path_of
from pycurate.results.tables import write_array

CELLS = "0" * 32  # the identity that visits state


@given(seed=st.integers(0, 2**16), n=st.integers(0, 30), contents=st.integers(1, 12))
def test_the_same_views_of_byte_equal_images_are_one_node(seed: int, n: int, contents: int) -> None:
    random = np.random.default_rng(seed)
    members = np.zeros(n, member_dtype(2, CELLS))
    members["sample"], members["view"] = random.permutation(n), random.integers(0, 3, n)
    members["content"] = random.integers(0, 2, (contents, 2))[random.integers(0, contents, n)]
    members["home"], members["probe"] = random.random(n) < 0.4, random.integers(0, 3, n)
    members["order"]["new"], members["order"]["uid"][:, 1] = random.random(n) < 0.6, random.permutation(n)
    members["order"]["keys"][:, 0] = random.integers(0, 3, n)

    best_first = sorted(
        members, key=lambda one: (bool(one["order"]["new"]), one["order"]["keys"][0], *one["order"]["uid"])
    )
    groups: dict[tuple[int, ...], list[np.void]] = {}
    for one in best_first:
        groups.setdefault((*one["content"].tolist(), int(one["view"])), []).append(one)
    found = nodes_of(members)
    assert found.members["sample"].tolist() == [group[0]["sample"] for group in groups.values()]
    assert found.members["home"].tolist() == [any(one["home"] for one in group) for group in groups.values()]
    assert found.members["probe"].tolist() == [min(one["probe"] for one in group) for group in groups.values()]
    copies = {
        (int(one["sample"]), int(group[0]["sample"]))
        for (*_, view), group in groups.items()
        for one in group[1:]
        if view == 0 and one["home"] and one["order"]["new"]
    }
    assert len(found.copies) == len(copies) and {(one, best) for one, best in found.copies.tolist()} == copies


def test_what_is_no_list_of_visits_and_visits_to_other_cells_are_refused(tmp_path: Path) -> None:
    path = path_of(tmp_path, "assigned", "00000")
    for wrong in (np.zeros(3), np.zeros((2, 2), member_dtype(4, CELLS))):
        write_array(path, wrong)
        with pytest.raises(TableError, match=r"does not contain visits but .*; run dedup.py assign again"):
            visits_of(tmp_path, 0, 0, 1, CELLS)
    write_array(path, np.zeros(1, member_dtype(4, "1" * 32)))
    with pytest.raises(TableError, match="contains visits to the cells of another search"):
        visits_of(tmp_path, 0, 0, 1, CELLS)
