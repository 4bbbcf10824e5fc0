"""Image files as models get them: through the loader."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import torch
from pictures import photographs

from pycurate.images.decode import ImageInfo
from pycurate.images.loader import Loader
from pycurate.images.views import View
from pycurate.models.builtin.openclip import OpenClip


def load(files: Sequence[bytes], view: View) -> tuple[torch.Tensor, list[ImageInfo]]:
    """uint8 (n, 3, h, w) and what is known of each file; all of them are readable."""
    with Loader([view], batch_size=len(files)) as loader:
        (batch,) = loader.batches(enumerate(files))
    assert [image.error for image in batch.images] == [None] * len(files)
    return batch.pixels[0], batch.images


def members(folder: Path, suffix: str) -> list[bytes]:
    """All files with this suffix in the tars of a folder, in order."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found += [file.read() for name in tar if name.name.endswith(suffix) and (file := tar.extractfile(name))]
    return found


def loaded(encoder: OpenClip) -> torch.Tensor:
    """The photographs by the loader."""
    with Loader([encoder.view], "cpu", "cpu", 100, workers=2) as loader:
        (batch,) = loader.batches(photographs().items())
    return batch.pixels[0]
