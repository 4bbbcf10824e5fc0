#!/usr/bin/env python3
"""Which copies of a picture a duplicate descriptor finds, and which different pictures it takes for copies.

Copies are made of photographs by the edits of tests/support/edits.py. A copy is found if its cosine with its original
reaches the descriptor's threshold. False pairs are counted among photographs of different things, and among the drawn
graphics of tests/support/graphics.py within each kind; of these, what a run would drop wrongly is counted, too.

Photographs are all images of the folders given, tars of them included: else ../shared/images and scikit-image's.
--copies of them, evenly chosen, are edited; the others serve for false pairs alone. With --styles the graphics are of
training_pictures.py, in styles that light-copy was not trained on: by these its threshold was chosen, on photographs
of other sources than those that it is measured on.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import skimage
from edits import EDITS
from graphics import graphics
from PIL import Image
from training_pictures import family, find_fonts

from pycurate.errors import ModelError
from pycurate.images.loader import Loader
from pycurate.models.batching import checked_encode
from pycurate.models.presets import DESCRIPTORS, PRESETS, load_encoder
from pycurate.models.protocols import Encoder
from pycurate.stages.embed import normalised

MEASURED = {name: (preset.encoder, preset.dedup_threshold) for name, preset in PRESETS.items()} | {
    name: (descriptor.encoder, descriptor.dedup_threshold) for name, descriptor in DESCRIPTORS.items()
}
SHARED = Path(__file__).resolve().parents[2] / "shared" / "images"
PACKAGED = (
    "astronaut brick camera cell chelsea clock_motion coffee coins grass gravel hubble_deep_field ihc moon "
    "motorcycle_left retina rocket"
).split()
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
STYLE_MEMBERS = 6
OTHERS = 20  # photographs that stand beside another in a collage
GROUPS = ("encoding", "framing", "heavy")


@dataclass(frozen=True)
class Pictures:
    """Files: photographs by name, the edited copies of some of them by edit, graphics by kind."""

    photographs: dict[str, bytes]
    copies: dict[str, dict[str, bytes]]
    graphics: dict[str, list[bytes]]


@dataclass(frozen=True)
class Cosines:
    """What a descriptor says of them.

    Attributes:
        copies: by edit, float32 (n,): of each copy and its original.
        photographs: float32 (pairs,): of different photographs.
        graphics: by kind, float32 (n, n): of different graphics, -1 on the diagonal.
    """

    copies: dict[str, np.ndarray]
    photographs: np.ndarray
    graphics: dict[str, np.ndarray]

    def found(self, group: str, threshold: float) -> float:
        """The share of the copies by a group's edits."""
        return float(np.mean([self.copies[name] >= threshold for name, edit in EDITS.items() if edit.group == group]))

    def false_photographs(self, threshold: float) -> int:
        return int((self.photographs >= threshold).sum())

    def false_graphics(self, threshold: float) -> int:
        return sum(dropped(cosines, threshold) for cosines in self.graphics.values())


def dropped(cosines: np.ndarray, threshold: float) -> int:
    """How many of a kind a run drops: each that reaches the threshold with one kept before it."""
    kept: list[int] = []
    for at, row in enumerate(cosines):
        if not (row[kept] >= threshold).any():
            kept.append(at)
    return len(cosines) - len(kept)


def photographs(folders: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Name and file of each image in the folders and in the tars there."""
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            yield str(path), path.read_bytes()
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    if Path(member.name).suffix.lower() in SUFFIXES and (file := tar.extractfile(member)):
                        yield f"{path}/{member.name}", file.read()


def packaged() -> Iterator[tuple[str, bytes]]:
    """scikit-image's photographs."""
    for path in sorted((Path(skimage.__file__).parent / "data").iterdir()):
        if path.stem in PACKAGED and path.suffix in SUFFIXES:
            yield path.name, path.read_bytes()


def styles(count: int) -> dict[str, list[Image.Image]]:
    """Graphics in as many styles; train_light_copy.py seeds its own otherwise."""
    fonts = find_fonts()
    return {f"style {at}": family(np.random.default_rng(at), fonts, STYLE_MEMBERS) for at in range(count)}


def make_pictures(found: dict[str, bytes], copies: int, drawn: dict[str, list[Image.Image]]) -> Pictures:
    """All pictures of the benchmark."""
    names = list(found)
    chosen = [names[at] for at in np.linspace(0, len(names) - 1, min(copies, len(names))).astype(int)]
    others = [_opened(found[name]) for name in names[:: max(1, len(names) // OTHERS)][:OTHERS]]
    edited: dict[str, dict[str, bytes]] = {edit: {} for edit in EDITS}
    for name in chosen:
        image = _opened(found[name])
        beside = [other for other in others if other != image]
        for edit, how in EDITS.items():
            edited[edit][name] = how.file(image, name, beside)
    return Pictures(found, edited, {kind: [_png(image) for image in images] for kind, images in drawn.items()})


def measure(encoder: Encoder, pictures: Pictures) -> Cosines:
    """Embed them all, and compare."""
    originals = dict(zip(pictures.photographs, embed(encoder, list(pictures.photographs.values())), strict=True))
    copies = {
        edit: np.einsum("nd,nd->n", embed(encoder, list(files.values())), np.stack([originals[name] for name in files]))
        for edit, files in pictures.copies.items()
    }
    whole = np.stack(list(originals.values()))
    between = (whole @ whole.T)[np.triu_indices(len(whole), 1)]
    drawn = {}
    for kind, files in pictures.graphics.items():
        vectors = embed(encoder, files)
        drawn[kind] = vectors @ vectors.T
        np.fill_diagonal(drawn[kind], -1)
    return Cosines(copies, between, drawn)


def embed(encoder: Encoder, files: list[bytes]) -> np.ndarray:
    """float32 (n, dim), unit length, with the rounding to float16 of what is stored."""
    found = []
    with Loader([encoder.view], batch_size=20) as loader:
        for batch in loader.batches(enumerate(files)):
            wrong = [image.message for image in batch.images if image.error]
            if wrong:
                raise SystemExit(f"A picture of the benchmark cannot be read: {wrong[0]}")
            found.append(checked_encode(encoder, batch.pixels[0], "bench", ["x"] * len(batch.items)))
    return normalised(np.concatenate(found)).astype(np.float16).astype(np.float32)


def show(measured: dict[str, tuple[Cosines, float]], pictures: Pictures) -> None:
    """Both tables for all descriptors side by side, then each one's curve."""
    print("| copies found, of 100 |" + "".join(f" {name}, {at:.2f} |" for name, (_, at) in measured.items()))
    print("|---|" + "---|" * len(measured))
    for edit, files in pictures.copies.items():
        shares = (float((cosines.copies[edit] >= at).mean()) for cosines, at in measured.values())
        print(f"| {edit} ({len(files)}) |" + "".join(f" {100 * share:.0f} |" for share in shares))
    print("\n| false pairs |" + "".join(f" {name} |" for name in measured))
    print("|---|" + "---|" * len(measured))
    count, pairs = len(pictures.photographs), next(iter(measured.values()))[0].photographs.size
    cells = "".join(f" {cosines.false_photographs(at)} |" for cosines, at in measured.values())
    print(f"| pairs of {count} photographs, of {pairs} |{cells}")
    for kind, drawn in pictures.graphics.items():
        cells = "".join(f" {dropped(cosines.graphics[kind], at)} |" for cosines, at in measured.values())
        print(f"| {kind}: dropped of {len(drawn)} |{cells}")
    for name, (cosines, at) in measured.items():
        print(f"\n{name}; the greatest cosine of two photographs is {cosines.photographs.max():.3f}\n")
        print("| threshold | " + " | ".join(GROUPS) + " | false pairs of photographs | graphics dropped |")
        print("|---|---|---|---|---|---|")
        for threshold in np.round(np.arange(at - 0.12, min(at + 0.13, 1), 0.02), 2):
            groups = " | ".join(f"{cosines.found(group, threshold):.3f}" for group in GROUPS)
            false = f"{cosines.false_photographs(threshold)} | {cosines.false_graphics(threshold)}"
            print(f"| {threshold:.2f} | {groups} | {false} |")


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--copies", default=100, show_default=True, help="Photographs that are edited.")
@click.option("--model-dir", default=Path("models"), show_default=True, type=click.Path(path_type=Path))
@click.option("--only", type=click.Choice(list(MEASURED)), multiple=True, help="These descriptors; else all.")
@click.option("--styles", "count", default=0, help="Graphics in so many styles of training_pictures.py.")
@click.option("--also", multiple=True, metavar="ENCODER=THRESHOLD", help="Another encoder, by any name of pycurate's.")
def main(
    folders: tuple[Path, ...], copies: int, model_dir: Path, only: tuple[str, ...], count: int, also: tuple[str, ...]
) -> None:
    found = dict(photographs(folders or [SHARED]))
    if not folders:
        found |= dict(packaged())
    pictures = make_pictures(found, copies, styles(count) if count else graphics())
    named = {name: one for name, one in MEASURED.items() if not only or name in only}
    for text in also:
        encoder, _, cosine = text.rpartition("=")
        named[encoder] = encoder, float(cosine)
    measured = {}
    for name, (spec, threshold) in named.items():
        try:
            model = load_encoder(spec, model_dir, "cpu")
        except ModelError as error:
            print(f"{name} left out: {error}\n")
            continue
        measured[name] = measure(model, pictures), threshold
    show(measured, pictures)


if __name__ == "__main__":
    main()
