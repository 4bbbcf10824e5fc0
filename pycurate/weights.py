"""The files of weights: their names, addresses and hashes, where they lie, and bringing them there.

Two kinds: heads, whose SHA-256 is known here; and open_clip's models, which lie on the model hub that open_clip's
own list names. The hub states each file's SHA-256; it is written beside the file when that is fetched, in the format
of `sha256sum -c`, and holds from then on. Only `fetch` and `fetch_pair` touch the network; `locate` and
`locate_pair` never do.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pycurate.download import download
from pycurate.errors import ModelError
from pycurate.files import adopt, atomic, sha256_of


@dataclass(frozen=True)
class Weights:
    """One published file. `size` is in bytes."""

    file: str
    url: str
    sha256: str
    size: int
    licence: str


_AESTHETIC_V2 = "https://raw.githubusercontent.com/christophschuhmann/improved-aesthetic-predictor/main"
_AESTHETIC_V1 = "https://raw.githubusercontent.com/LAION-AI/aesthetic-predictor/main"
_NSFW = "https://raw.githubusercontent.com/LAION-AI/CLIP-based-NSFW-Detector/main"

AESTHETIC_V2_L14 = Weights(
    "sac+logos+ava1-l14-linearMSE.pth",
    f"{_AESTHETIC_V2}/sac%2Blogos%2Bava1-l14-linearMSE.pth",
    "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
    3714759,
    "Apache-2.0",
)
AESTHETIC_V1_L14 = Weights(
    "sa_0_4_vit_l_14_linear.pth",
    f"{_AESTHETIC_V1}/sa_0_4_vit_l_14_linear.pth",
    "2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba",
    4071,
    "MIT",
)
AESTHETIC_V1_B32 = Weights(
    "sa_0_4_vit_b_32_linear.pth",
    f"{_AESTHETIC_V1}/sa_0_4_vit_b_32_linear.pth",
    "c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f",
    3047,
    "MIT",
)
AESTHETIC_V1_B16 = Weights(
    "sa_0_4_vit_b_16_linear.pth",
    f"{_AESTHETIC_V1}/sa_0_4_vit_b_16_linear.pth",
    "8ad3923d7ecf019df20ecd2ab5542a3075fbba0278d239c0371345f3d7fcbde0",
    3047,
    "MIT",
)
NSFW_L14 = Weights(
    "clip_autokeras_binary_nsfw.zip",
    f"{_NSFW}/clip_autokeras_binary_nsfw.zip",
    "905520bb0336accc73ee282c605d926aef90cf14248889d44b9cee50eef71f8a",
    1094585,
    "MIT",
)
NSFW_B32 = Weights(
    "clip_autokeras_nsfw_b32.zip",
    f"{_NSFW}/clip_autokeras_nsfw_b32.zip",
    "78715ab9d64485167e8c9ade3b8e6761a17a16c24d114bd47431ac1dab46462b",
    231831,
    "MIT",
)


def locate(weights: Weights, model_dir: Path, wanted_by: str) -> Path:
    """The path of a published file in `model_dir`, its hash checked.

    `wanted_by` is the option of `models.py fetch` that brings it. Raises ModelError if it is missing or altered.
    """
    return _intact(model_dir / weights.file, weights.sha256, wanted_by)


def fetch(weights: Weights, model_dir: Path) -> Path:
    """The path of a published file in `model_dir`; brought there if it is not. Raises ModelError if it cannot be.

    What a folder beside `model_dir` has is not fetched but linked.
    """
    path = model_dir / weights.file
    adopt(path, weights.sha256)
    download(weights.url, path, weights.sha256, weights.size)
    return path


@dataclass(frozen=True)
class HubWeights:
    """The weights of an open_clip model on the model hub: the first of `names` that is there, safest first."""

    pair: str  # MODEL/TAG
    repository: str
    names: tuple[str, ...]

    def path(self, model_dir: Path, name: str) -> Path:
        """Where a file of that name is kept: named by the pair, since names on the hub are all alike."""
        return model_dir / (self.pair.replace("/", ".") + Path(name).suffix)


def locate_pair(weights: HubWeights, model_dir: Path) -> Path:
    """The path of an open_clip model's weights in `model_dir`, the hash checked that was stated when it was fetched.

    Raises ModelError if the file is missing or altered.
    """
    wanted_by = f"--encoder {weights.pair}"
    places = [weights.path(model_dir, name) for name in weights.names]
    path = next((place for place in places if place.is_file()), places[0])
    beside = _beside(path)
    if path.is_file() and not beside.is_file():
        raise ModelError(f"{beside} is missing, which says what {path.name} should be; {_how(wanted_by, model_dir)}.")
    return _intact(path, _stated(path) if beside.is_file() else "", wanted_by)


def fetch_pair(weights: HubWeights, model_dir: Path) -> Path:
    """The path of an open_clip model's weights in `model_dir`; brought there if it is not, as by `fetch`.

    The hub is HF_ENDPOINT where that is set. Raises ModelError if the hub cannot be reached or lacks the files.
    """
    for name in weights.names:
        path = weights.path(model_dir, name)
        if adopt(_beside(path)) and adopt(path, _stated(path)):
            return locate_pair(weights, model_dir)
    # Here, since it is needed here only.
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    hub = os.environ.get("HF_ENDPOINT")
    for name in weights.names:
        try:
            stated = get_hf_file_metadata(hf_hub_url(weights.repository, name, endpoint=hub))
        except EntryNotFoundError:
            continue
        except Exception as error:
            raise ModelError(
                f"the model hub does not answer for {weights.repository} ({error}); fetch where there is a network, "
                f"or copy the folder {model_dir} from a machine that has the weights."
            ) from error
        if stated.etag is None or len(stated.etag) != 64 or stated.size is None:
            raise ModelError(f"the model hub states no SHA-256 for {name} in {weights.repository}; it is not fetched.")
        path = weights.path(model_dir, name)
        url = hf_hub_url(weights.repository, name, revision=stated.commit_hash, endpoint=hub)
        download(url, path, stated.etag, stated.size)
        with atomic(_beside(path)) as written:
            written.write_text(f"{stated.etag}  {path.name}\n")
        return path
    raise ModelError(f"{weights.repository} on the model hub has none of {', '.join(weights.names)}.")


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _stated(path: Path) -> str:
    """The SHA-256 that was stated when `path` was fetched."""
    return _beside(path).read_text().split()[0]


def _intact(path: Path, sha256: str, wanted_by: str) -> Path:
    if not path.is_file():
        raise ModelError(f"{path} is missing; {_how(wanted_by, path.parent)}.")
    if (found := sha256_of(path)) != sha256:
        raise ModelError(
            f"{path} has SHA-256 {found} where {sha256} is due; delete it, then {_how(wanted_by, path.parent)}."
        )
    return path


def _how(wanted_by: str, model_dir: Path) -> str:
    return f"where there is a network, run `bin/models.py fetch {wanted_by} --model-dir {model_dir}`"
