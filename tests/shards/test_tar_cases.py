"""Small tars that lie beside the project, each with what is right: samples read, and codes of the rest."""

from pathlib import Path

import pytest

from pycurate.shards.samples import read_samples

CASES: dict[str, dict[str, str | None]] = {  # file: {key: code, or None where it is read}
    "hardlinks_nosidecar": {"a": None, "b": None, "c": None},
    "mac_folder": {"train/a": None, "train/b": None},
    "size_nul_garbage": {"a": None, "b": None},
    "slow_chainL500": {"a": None, "": "shard_truncated"},
    "slow_slashes16000": {"a": None, "": "shard_corrupt", "z": None},
    "sparse_caption": {"a": "unsupported", "b": None},
    "tar_base256_2p62": {"a": None, "b": "shard_corrupt", "z": None},
    "tar_base256_huge_mid": {"a": None, "b": "shard_corrupt", "z": None},
    "tar_pax_size_5000digits": {"a": None, "b": "shard_corrupt", "z": None},
    "tar_pax_size_huge": {"a": None, "b": "shard_corrupt", "z": None},
    "trailing_newline": {"a": None, "b": None},
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_comes_out_right(shared: Path, name: str) -> None:
    path = shared / "cases" / "tars" / f"{name}.tar"
    if not path.is_file():
        pytest.skip(f"needs {path}, which is not part of the project")
    samples = list(read_samples(path, path.name))
    assert {sample.key: sample.error for sample in samples} == CASES[name]
    if name == "mac_folder":
        assert [sample.caption for sample in samples] == ["cap a", "cap b"]
    if name == "hardlinks_nosidecar":
        assert samples[0].data == samples[1].data
