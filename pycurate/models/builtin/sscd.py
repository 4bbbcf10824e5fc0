"""SSCD, a descriptor made to find copies of images."""

from pathlib import Path

from pycurate.models.builtin.torchscript import VIEW, TorchScript
from pycurate.models.weights import SSCD_DISC_MIXUP, opened


class Sscd(TorchScript):
    """`sscd_disc_mixup`: a ResNet-50 trained on edited copies (Pizzi et al., arXiv:2202.10261), 512 numbers.

    Its authors publish two preparations, the shorter side at 288 and a square of 320 without regard to the aspect
    ratio; a batch needs the second. Of pairs in DISC with a cosine above 0.75, they say, 90 % are copies.
    """

    name = "sscd"
    dim = 512
    view = VIEW
    sha256 = SSCD_DISC_MIXUP.sha256
    weights = (SSCD_DISC_MIXUP,)

    def __init__(self, model_dir: Path, device: str) -> None:
        """Raises ModelError where the weights are missing or altered."""
        with opened(SSCD_DISC_MIXUP, model_dir, "--dedup-encoder sscd") as path:
            self._load(path, SSCD_DISC_MIXUP.file, device)
