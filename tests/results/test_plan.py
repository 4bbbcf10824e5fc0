"""The plan fills tars in the order of the input, with no key twice in one."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pycurate.results.plan import tar_starts


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.integers(1, 9))
def test_tars_are_full_unless_a_key_comes_again(keys: list[str], images_per_tar: int) -> None:
    starts = tar_starts(iter(keys), images_per_tar).tolist()
    assert starts[:1] == [0][: len(keys)]
    groups = [keys[start:stop] for start, stop in pairwise([*starts, len(keys)])]
    assert all(0 < len(group) == len(set(group)) <= images_per_tar for group in groups)
    for group, following in pairwise(groups):
        assert len(group) == images_per_tar or following[0] in group
