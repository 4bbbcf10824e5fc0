"""The plan fills tars in the order of the input, with no key twice in one."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pycurate.results.plan import assign_tars


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.integers(1, 9))
def test_tars_are_full_unless_a_key_comes_again(keys: list[str], images_per_tar: int) -> None:
    tars = assign_tars(keys, images_per_tar)
    assert len(tars) == len(keys) and not np.any(np.diff(tars) < 0)
    groups = [
        [key for key, tar in zip(keys, tars, strict=True) if tar == number]
        for number in range(max(tars, default=-1) + 1)
    ]
    assert all(0 < len(group) == len(set(group)) <= images_per_tar for group in groups)
    for group, following in pairwise(groups):
        assert len(group) == images_per_tar or following[0] in group
