"""Weights of the model hub arrive whole whatever the hub does, through the cache of its own library."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub import DATA, FETCH, IMPORTS, PAIR, SHA256, Hub, gets

from pycurate.errors import ModelError
from pycurate.models.weights import fetch_pair

pytestmark = pytest.mark.timeout(60)


def test_a_connection_that_breaks_is_made_anew_and_goes_on(hub: Hub, source: Path, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(25 << 20)  # the hub's library goes on in steps of ten megabytes
    source.write_bytes(data)
    hub.serve(f"/store/{hashlib.sha256(data).hexdigest()}", data, cut=15 << 20, cuts=1)
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == data
    assert gets(hub) == [[0, 10 << 20]]


def test_a_hub_that_is_out_of_order_for_a_moment(
    hub: Hub, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycurate.models.hub.PAUSES", (0.01, 0.01, 0.01))
    served = f"/store/{SHA256}"
    hub.serve(served, DATA, failures=2)
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == DATA
    hub.files[served].failures = 99
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(
        ModelError, match=r"cannot be downloaded from the Hugging Face Hub \(.*503.*\); run the command"
    ):
        fetch_pair(PAIR, tmp_path / "others" / "models")


@pytest.mark.parametrize("data", [b"x" * len(DATA), DATA[:-1] + b"x"], ids=["other bytes", "one byte wrong"])
def test_a_hub_that_sends_other_bytes_than_it_states_is_refused(
    hub: Hub, source: Path, tmp_path: Path, data: bytes
) -> None:
    hub.serve(f"/store/{SHA256}", data)
    with pytest.raises(
        ModelError, match=f"does not have the SHA-256 {SHA256} that the Hugging Face Hub states"
    ) as refused:
        fetch_pair(PAIR, tmp_path / "models")
    assert gets(hub) == [[0, 0]]  # once more, since the cache may have been spoilt
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("models/*"))


def test_who_has_the_weights_in_the_hubs_cache_fetches_nothing(
    hub: Hub, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as huggingface_hub itself fills it, with a token; then as it is found where nobody answers."""
    from huggingface_hub import hf_hub_download

    hub.token = "hf_secret"
    with pytest.raises(ModelError, match="hf auth login") as gated:
        fetch_pair(PAIR, tmp_path / "models")
    assert "\n" not in str(gated.value)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hf_hub_download("someone/model", PAIR.names[1], endpoint=hub.url)
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == DATA
    (blob,) = (tmp_path / "cache").rglob("blobs/*")
    assert blob.samefile(tmp_path / "models" / "Model.tag.bin")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    assert fetch_pair(PAIR, tmp_path / "without" / "models").read_bytes() == DATA
    assert gets(hub) == [[0]]
    blob.unlink()
    blob.write_bytes(b"spoilt")
    with pytest.raises(ModelError, match="does not have the SHA-256"):
        fetch_pair(PAIR, tmp_path / "spoilt" / "models")
    assert not list(tmp_path.glob("spoilt/models/*"))


def test_the_hubs_own_switch_is_heeded(hub: Hub, source: Path, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": IMPORTS,
    }
    command = [sys.executable, "-c", FETCH, str(tmp_path / "models")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "ModelError: the Hugging Face Hub does not answer for someone/model" in done.stderr
    assert gets(hub) == []


def test_the_address_of_a_hub_may_end_with_a_slash(
    hub: Hub, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.store("mirror/someone/model", PAIR.names[1], source)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/mirror/")
    assert fetch_pair(PAIR, tmp_path / "models").read_bytes() == DATA


def test_a_hub_without_the_files(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with pytest.raises(ModelError, match=r"has none of open_clip_model\.safetensors, open_clip_pytorch_model\.bin"):
        fetch_pair(PAIR, tmp_path)
