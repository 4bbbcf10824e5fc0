"""Filters are made by name, or refused."""

import pytest

from pycurate.errors import UsageError
from pycurate.filters.filtering import load_filter


@pytest.mark.parametrize("spec", ["MinSide=wide", "HasCaption=3", "MinSide="])
def test_a_filter_that_cannot_be_made(spec: str) -> None:
    with pytest.raises(UsageError, match="cannot be created as a filter"):
        load_filter(f"pycurate.filters.metadata:{spec}")
