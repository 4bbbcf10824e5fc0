"""The folder of weights is where --model-dir says, or the call is refused with what to give."""

from pathlib import Path

import pytest

from pycurate.cli.model_options import weights_folder
from pycurate.errors import UsageError


def test_a_folder_of_weights_may_lie_in_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert [weights_folder(folder) for folder in ("~/models", "models")] == [Path("/home/me/models"), Path("models")]
    with pytest.raises(UsageError, match="no user whose home ~no-such-user/models could lie in; give another"):
        weights_folder("~no-such-user/models")
    monkeypatch.delenv("HOME")
    with pytest.raises(UsageError, match="HOME is not set, so there is no ~/models"):
        weights_folder("~/models")
