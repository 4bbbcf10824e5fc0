"""A member's name gives the key and extension that webdataset gives it."""

import itertools

from webdataset.tariterators import base_plus_ext

from pycurate.shards.membernames import key_of


def test_keys_are_those_of_webdataset() -> None:
    for length in range(8):
        for letters in itertools.product("a./\n", repeat=length):
            name = "".join(letters)
            assert (key_of(name) or (None, None)) == base_plus_ext(name), name
