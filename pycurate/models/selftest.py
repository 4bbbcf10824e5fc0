"""The self-test of fidelity: do the models of a run, as they stand on this machine, give what was published?

weights      the files have the hashes that were published, or stated when they were fetched
golden       pycurate's own models give known numbers for known pixels and vectors
preparation  the loader's pixels agree with open_clip's own transform, and embeddings (compiled on a GPU) with the
             uncompiled tower's, on two photographs, with each backend
batches      an image's embedding is bit for bit the same alone, among others and at every place in a batch
captions     each of the two photographs is nearest to its own caption of three
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import torch

from pycurate.errors import ModelError
from pycurate.images.decode import ImageInfo
from pycurate.images.loader import Loader
from pycurate.models.batching import batch_of, checked_encode
from pycurate.models.golden import GOLDEN, answers
from pycurate.models.presets import is_open_clip, load_encoder, load_scorer
from pycurate.models.protocols import Encoder
from pycurate.models.selection import ModelSelection

PIXELS = 0.5  # of 255: the largest mean difference between the loader's pixels and open_clip's, for each image
COSINE = 0.999  # the smallest between embeddings of the two
CAPTIONS = {
    "astronaut.jpg": "a portrait of a smiling astronaut in an orange space suit",
    "chelsea.jpg": "a close photo of the face of a ginger cat",
    "": "a plate of spaghetti on a table",
}


@dataclass(frozen=True)
class Difference:
    """What one check found. `state`: `skipped` says that what it needs is not here, and `detail` what."""

    check: str
    subject: str
    state: Literal["passed", "failed", "skipped"]
    detail: str


def self_test(models: ModelSelection) -> Iterator[Difference]:
    """Run each check that applies to these models. Never touches the network."""
    photographs = {path.name: path.read_bytes() for path in (files("pycurate.models") / "photographs").iterdir()}
    for spec in dict.fromkeys(models.encoders.values()):
        yield from _encoder(spec, models, photographs)
    for spec in models.scorers:
        yield from _scorer(spec, models)


def _encoder(spec: str, models: ModelSelection, photographs: dict[str, bytes]) -> Iterator[Difference]:
    try:
        with models.fetched_by_preset(spec):
            encoder = load_encoder(spec, models.model_dir, models.device, models.precision)
    except ModelError as error:
        missing = "is missing" in str(error)
        yield Difference("weights", spec, "skipped" if missing else "failed", str(error))
        return
    precision = f" in {encoder.precision}" if hasattr(encoder, "precision") else ""
    yield Difference("weights", spec, "passed", f"built on {models.device}{precision}")
    yield from _golden(spec, encoder)
    yield _batches(spec, encoder, photographs, models)
    if is_open_clip(spec):
        backends: tuple[Literal["cpu", "dali"], ...] = ("cpu", "dali")
        for backend in backends:
            yield _preparation(spec, encoder, photographs, models, backend)
        yield _captions(spec, encoder, photographs, models)


def _scorer(spec: str, models: ModelSelection) -> Iterator[Difference]:
    try:
        with models.fetched_by_preset(spec):
            scorer = load_scorer(spec, models.model_dir, models.device, models.encoder)
    except ModelError as error:
        yield Difference("weights", spec, "failed", str(error))
        return
    published = [weight.file for weight in getattr(scorer, "weights", ())]
    yield Difference("weights", spec, "passed", ", ".join(published) or "has no files in the model folder")
    yield from _golden(spec, scorer)


def _golden(spec: str, model: Any) -> Iterator[Difference]:
    """Nothing for a model that pycurate knows no numbers of."""
    if spec in GOLDEN:
        worst = float(np.abs(answers(model) - GOLDEN[spec].values).max())
        allowed = GOLDEN[spec].within
        yield _within("golden", spec, worst <= allowed, f"largest difference {worst:.1e}, {allowed:.0e} allowed")


def _batches(spec: str, encoder: Encoder, photographs: dict[str, bytes], models: ModelSelection) -> Difference:
    pixels = _pixels(encoder, photographs, models.device, "cpu")
    kinds, size = len(pixels), max(len(pixels), batch_of(encoder, pixels) or 1)
    which = np.arange(size + kinds) % kinds  # so that in whole batches each image comes to every place
    names = [list(photographs)[kind] for kind in which]

    def encoded(start: int, stop: int) -> np.ndarray:
        part = pixels[torch.from_numpy(which[start:stop]).to(pixels.device)]
        return checked_encode(encoder, part, "of verify", names[start:stop])

    alone = np.concatenate([encoded(kind, kind + 1) for kind in range(kinds)])
    whole = [slice(start, start + size) for start in range(kinds)]
    equal = all(np.array_equal(encoded(part.start, part.stop), alone[which[part]]) for part in whole)
    detail = "bit-identical" if equal else "an embedding depends on the other images or the position"
    return _within("batches", spec, equal, detail)


def _preparation(
    spec: str, encoder: Any, photographs: dict[str, bytes], models: ModelSelection, backend: Literal["cpu", "dali"]
) -> Difference:
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image, ImageOps

    transform: Callable[[Image.Image], torch.Tensor] = image_transform_v2(
        PreprocessCfg(**encoder.preparation), is_train=False
    )
    images = [ImageOps.exif_transpose(Image.open(io.BytesIO(data))) for data in photographs.values()]
    theirs = torch.stack([transform(image) for image in images])
    mean, std = (values.cpu().view(3, 1, 1) for values in (encoder.mean, encoder.std))
    ours = _pixels(encoder, photographs, models.device, backend)
    difference = float(((theirs * std + mean) * 255 - ours.cpu()).abs().mean(dim=(1, 2, 3)).max())
    cosine = float(torch.cosine_similarity(encoder.embed(theirs).cpu(), encoder.encode(ours).cpu()).min())
    return _within(
        "preparation",
        f"{spec}, {backend}",
        difference <= PIXELS and cosine >= COSINE,
        f"mean difference {difference:.3f} of 255 ({PIXELS} allowed), cosine {cosine:.5f} ({COSINE} due)",
    )


def _captions(spec: str, encoder: Any, photographs: dict[str, bytes], models: ModelSelection) -> Difference:
    if encoder.own_weights:
        return Difference("captions", spec, "skipped", "your own checkpoint may not know these words")
    try:
        texts = encoder.encode_text(list(CAPTIONS.values()))
    except ModelError as error:
        return Difference("captions", spec, "skipped", str(error))
    images = encoder.encode(_pixels(encoder, photographs, models.device, "cpu")).cpu().numpy()
    best = [list(CAPTIONS)[index] for index in (images @ texts.T).argmax(axis=1)]
    return _within("captions", spec, best == list(photographs), f"nearest: {best}, due {list(photographs)}")


def _pixels(
    encoder: Encoder, photographs: dict[str, bytes], device: str, backend: Literal["cpu", "dali"]
) -> torch.Tensor:
    with Loader([encoder.view], backend, device, len(photographs), workers=1) as loader:
        (batch,) = loader.batches(photographs.items())
    broken: list[ImageInfo] = [info for info in batch.images if info.error]
    if broken:
        raise ModelError(f"the loader cannot read pycurate's own photographs ({broken[0].message}).")
    return batch.pixels[0]


def _within(check: str, subject: str, good: bool, detail: str) -> Difference:
    return Difference(check, subject, "passed" if good else "failed", detail)
