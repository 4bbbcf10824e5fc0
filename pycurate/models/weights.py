"""The files of weights: their names, addresses and hashes, where they lie, and bringing them there.

Two kinds: heads and SSCD, whose SHA-256 is known here; and open_clip's models, which lie on the model hub that
open_clip's own list names. The hub states each file's SHA-256; it is written beside the file when that is fetched, in
the format of `sha256sum -c`, and holds from then on: if it was written by this user, by root or by the owner of the
folder of all models, and nobody else can change it. Only `fetch` and `fetch_pair` touch the network; `opened` and
`opened_pair` never do.
"""

import glob
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pycurate.errors import ModelError, WeightsError
from pycurate.files import atomic, believed, changed_only_by, link_from_sibling, open_regular, sha256_of, unchanging
from pycurate.models.download import download


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
SSCD_DISC_MIXUP = Weights(
    "sscd_disc_mixup.torchscript.pt",
    "https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchscript.pt",
    "9f26bd4c848cc19b73d2ae92eea6e04886f61a7b764ceb7a13aeee62e6a6db56",
    98791638,
    "MIT",
)


@contextmanager
def opened(weights: Weights, model_dir: Path, wanted_by: str) -> Iterator[Path]:
    """A name for the bytes of a published file in `model_dir`, their hash checked; they stay what they are meanwhile.

    `wanted_by` is the option of `models.py fetch` that brings it. Raises WeightsError if it is missing or altered.
    """
    with _intact(model_dir / weights.file, weights.sha256, wanted_by) as path:
        yield path


def fetch(weights: Weights, model_dir: Path) -> Path:
    """The path of a published file in `model_dir`; brought there if it is not. Raises ModelError if it cannot be.

    What a folder beside `model_dir` has is not fetched but linked or copied.
    """
    path = model_dir / weights.file
    if not _holds(path, weights.sha256) and not _adopted(path, weights.sha256, weights.size):
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

    def place(self, model_dir: Path) -> Path:
        """Where the file is, or will be."""
        places = [self.path(model_dir, name) for name in self.names]
        return next((place for place in places if place.is_file()), places[0])

    def stated(self, model_dir: Path) -> str:
        """The SHA-256 of the file there, as the hub stated it; empty if nothing says it."""
        return _stated(self.place(model_dir))[0]


@contextmanager
def opened_pair(weights: HubWeights, model_dir: Path) -> Iterator[Path]:
    """A name for the bytes of an open_clip model's weights in `model_dir`, as by `opened`.

    Raises WeightsError if the file is missing or altered, or what says its hash is missing or may be another user's.
    """
    path, wanted_by = weights.place(model_dir), f"--encoder {weights.pair}"
    sha256, doubt = _stated(path) if path.is_file() else ("", "")
    if doubt:
        raise WeightsError(f"{doubt};", wanted_by, model_dir, ", or copy both files if you trust them")
    with _intact(path, sha256, wanted_by) as name:
        yield name


def fetch_pair(weights: HubWeights, model_dir: Path) -> Path:
    """The path of an open_clip model's weights in `model_dir`; brought there if it is not.

    They come from the hub's cache of this user, which the hub fills: HF_HOME, HF_ENDPOINT, HF_TOKEN and
    HF_HUB_OFFLINE mean what they mean to huggingface_hub. What `model_dir` or a folder beside it has already is not
    fetched, if it has the hash that the hub states. Raises ModelError if the hub cannot be reached or lacks the files.
    """
    path = weights.place(model_dir)
    if path.is_file() and _stated(path)[0]:
        return path
    from pycurate.models import hub  # here, since importing the hub's library takes long

    found = hub.find(weights.repository, weights.names)
    path = weights.path(model_dir, found.name)
    here = _holds(path, found.sha256) or _adopted(path, found.sha256, found.size)
    if not here and not any(link_from_sibling(file, path, found.sha256, found.size) for file in found.files()):
        raise ModelError(
            f"{found.name} of {weights.repository} does not have the SHA-256 {found.sha256} that the Hugging Face Hub "
            "states; try again later, or copy the right file to the hub's cache."
        )
    with atomic(_hash_file(path)) as written:
        written.write_text(f"{found.sha256}  {path.name}\n")
        written.chmod(0o644)  # whatever the umask: it is not believed where a group could change it
    return path


def _hash_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _stated(path: Path) -> tuple[str, str]:
    """The SHA-256 that the hub stated when `path` was fetched, or '' and why nothing says it that can be believed.

    Who may write to a folder may put other weights there and their hash beside them. So what counts is who wrote that.
    """
    hash_file = _hash_file(path)
    try:
        with open_regular(hash_file) as file:
            if not changed_only_by(file, believed(path.parent.resolve().parent)):
                return "", f"{hash_file}, which states the hash of {path.name}, may have been written by another user"
            words = file.read(4096).decode(errors="replace").split()
    except FileNotFoundError:
        return "", f"{hash_file} is missing, which states the hash of {path.name}"
    except OSError as error:
        return "", f"{hash_file}, which states the hash of {path.name}, cannot be read ({error.strerror})"
    if len(words) != 2 or words[1].lstrip("*") != path.name:
        return "", f"{hash_file} does not state the hash of {path.name}"
    return words[0], ""


def _holds(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False


def _adopted(path: Path, sha256: str, size: int) -> bool:
    """Whether `path` is now what a folder beside its own has, so that folders of several models hold a file once."""
    folder = path.absolute().parent.parent  # absolute, since `.` is its own parent
    twins = sorted(folder.glob(f"*/{glob.escape(path.name)}"))
    return any(link_from_sibling(twin, path, sha256, size) for twin in twins)


@contextmanager
def _intact(path: Path, sha256: str, wanted_by: str) -> Iterator[Path]:
    def wrong(fault: str) -> WeightsError:
        return WeightsError(fault, wanted_by, path.parent)

    with ExitStack() as stack:
        try:
            name, found = stack.enter_context(unchanging(path))
        except FileNotFoundError as error:
            raise wrong(f"{path} is missing;") from error
        except OSError as error:
            raise wrong(f"{path} cannot be read ({error.strerror}); delete it, then") from error
        if found != sha256:
            raise wrong(f"{path} has SHA-256 {found} instead of {sha256}; delete it, then")
        yield name
