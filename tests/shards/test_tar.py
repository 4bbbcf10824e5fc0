"""No header, sidecar or cut ends a shard's reading, and what Python's tarfile reads whole is read equally."""

from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tar_fuzz import PATIENCE, by_tarfile, check, make


@settings(
    max_examples=400,
    deadline=timedelta(seconds=PATIENCE),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_tar_is_read_to_its_end_and_as_tarfile_reads_it(tmp_path: Path, seed: int) -> None:
    note(f"python -c 'import sys, tar_fuzz; sys.stdout.buffer.write(tar_fuzz.make({seed}))' > bad.tar, in tests/")
    tar = make(seed)
    path = tmp_path / "s.tar"
    path.write_bytes(tar)
    check(path, tar)


def test_the_fuzz_has_tars_that_tarfile_reads_and_some_that_it_does_not() -> None:
    whole = [by_tarfile(make(seed)) is not None for seed in range(100)]
    assert 20 < sum(whole) < 80
