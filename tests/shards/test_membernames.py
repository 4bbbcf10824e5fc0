"""A member's name gives the key and extension that webdataset gives it."""

import io
import itertools
import tarfile

from webdataset.tariterators import base_plus_ext, tar_file_iterator

from pycurate.shards.membernames import key_of, metadata_kind


def test_keys_are_those_of_webdataset() -> None:
    for length in range(8):
        for letters in itertools.product("a./\n", repeat=length):
            name = "".join(letters)
            assert (key_of(name) or (None, None)) == base_plus_ext(name), name


def test_metadata_is_what_webdataset_passes_over() -> None:
    names = [
        "".join(parts)
        for length in range(1, 6)
        for parts in itertools.product(["_", "__", "a", ".", "/", "\n"], repeat=length)
    ]
    names = sorted({name for name in names if key_of(name) and not name.rpartition("/")[2].startswith("._")})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    out.seek(0)
    left = [name for name in names if not metadata_kind(name)]
    assert len(names) > len(left) > 100 and left == [sample["fname"] for sample in tar_file_iterator(out)]
