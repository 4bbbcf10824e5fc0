#!/usr/bin/env python3
"""Train light-copy: learn the matrices of pycurate/models/builtin/light_copy.npz from folders of photographs.

Each photograph and each drawn graphic (training_pictures.py) is edited several times at random; what light-copy sees of
them is computed once and kept in --cache, from where it goes on if it was stopped. Then the matrices are fitted: the
cosine of copies is to be above a number, that of different pictures below it. That of photographs begins as a whitening
of the differences between copies; graphics of one style meet in one batch.

The committed matrices are what this makes, with its defaults, of the folders named here, 75 pictures of each:

    flowers     TensorFlow's flower_photos (a copy: github.com/Oldpel/flower_photos); CC BY 2.0 by the LICENSE.txt of
                the published archive, which this copy lacks
    clothing    github.com/alexeygrigorev/clothing-dataset-small; CC0 1.0
    pets        Oxford-IIIT Pet, 370 of them (github.com/LTSACH/AILearningHub); CC BY-SA 4.0 by the data set's page, the
                photographs their owners'; the copy names academic and educational use
    gcompris    photographs and paintings inside Debian's gcompris-qt-data, each once; CC BY-SA, CC BY, CC0, public
                domain or GPL 3, picture by picture in the package's copyright file
    debian      gnome-backgrounds, lomiri-wallpapers-16.04 and -20.04, mate-backgrounds, plasma-workspace-wallpapers,
                sway-backgrounds and ukui-wallpapers of Debian 12; CC BY-SA, CC BY, CC0 or GPL 2, in their copyright
                files
    openimages  73 of Open Images V4 (github.com/PacktPublishing/Machine-Learning-with-Apache-Spark-Quick-Start-Guide);
                listed there as CC BY 2.0, without warranty
    coco        83 images of COCO 2017 whose entry in the annotations names CC BY 2.0, CC BY-SA 2.0 or no known
                restrictions (github.com/Obmutescence/COCO-MINI and github.com/lizhogn/tiny_coco_dataset)
    popos       19 of github.com/pop-os/wallpapers; CC BY-SA 4.0, and Unsplash's, in its README's words public domain

Pictures that are nearly plain were left out of the last five. Nothing of them but these matrices is in the project.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize, softplus
from training_pictures import edited, family, find_fonts

from pycurate.files import atomic
from pycurate.hardware import cores
from pycurate.images.render import render
from pycurate.models.builtin.light_copy import GRID, MATRICES, LightCopy, inner, layout, pooled, resized

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LONGEST = 480  # pixels, to which photographs are reduced first
PHOTO_COPIES, GRAPHIC_COPIES, MEMBERS = 6, 3, 6
CHUNK = 32  # pictures, or families, of a file in the cache
BATCH, STEPS = 192, 500  # pictures, of each of which two copies are compared
TEMPERATURE = 0.07
BOUND, SLOPE = 0.5, 16.0  # the cosine that parts copies from different pictures, and how sharply
KERNEL = 0.12  # the square of the distance of two layouts at which their similarity is 1/sqrt(e)
GRAPHIC_PULL, GRAPHIC_PUSH = 0.25, 8.0  # weights of copies and of different pictures where photographs have 1 and 2


def see(model: LightCopy, image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """float16 (672,), the content before it is projected, and uint8 (3, 64, 64), of which the layout is made."""
    cut = inner(render(np.array(image), model.view).numpy())
    return pooled(model.maps(cut)).astype(np.float16), resized(cut, 2 * GRID)


def make_chunk(path: Path, jobs: Sequence[Path | int], others: Sequence[Path]) -> None:
    """Write what is seen of these photographs, or families of graphics by number, with names of picture and family."""
    torch.set_num_threads(1)
    model, fonts, beside = LightCopy(Path(), "cpu"), find_fonts(), [opened(other) for other in others]
    seen, names, families = [], [], []
    for job in jobs:
        random = np.random.default_rng(zlib.crc32(str(job).encode()))
        photograph = isinstance(job, Path)
        for place, image in enumerate([opened(job)] if isinstance(job, Path) else family(random, fonts, MEMBERS)):
            for copy in range(PHOTO_COPIES if photograph else GRAPHIC_COPIES):
                seen.append(see(model, edited(image, beside, random, photograph) if copy else image))
                names.append(f"{job}/{place}")
                families.append("" if photograph else str(job))
    content, pixels = (np.stack(part) for part in zip(*seen, strict=True))
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, content=content, pixels=pixels, picture=names, family=families)


def chosen(folder: Path, count: int) -> list[Path]:
    """As many of the folder's photographs, evenly, in the order of their names; all, if it has fewer."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [paths[at] for at in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]


def opened(path: Path) -> Image.Image:
    file = Image.open(path)
    file.draft("RGB", (LONGEST, LONGEST))
    image = file.convert("RGB")
    image.thumbnail((LONGEST, LONGEST))
    return image


class Projections(torch.nn.Module):
    """What light_copy.Projection computes, of many at once and with gradients."""

    def __init__(self, content: np.ndarray, picture: np.ndarray, layout_dim: int) -> None:
        """`content` float32 (n, 672) and `picture` int (n,) are of the photographs: the whitening is of them."""
        super().__init__()
        mean, matrix = whitening(content, picture, 256)
        self.mean = torch.from_numpy(mean)
        self.content = torch.nn.Parameter(torch.from_numpy(matrix))
        self.layout = torch.nn.Parameter(torch.randn(layout_dim, 128) / KERNEL**0.5)
        self.share = torch.nn.Parameter(torch.zeros(len(mean)))
        self.bias = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, content: torch.Tensor, laid_out: torch.Tensor) -> torch.Tensor:
        content = content - self.mean
        share = torch.sigmoid(20 * content @ self.share + self.bias)[:, None]
        angles = laid_out @ self.layout
        waves = torch.cat([angles.cos(), angles.sin()], 1) / angles.shape[1] ** 0.5
        return torch.cat([share.sqrt() * normalize(content @ self.content), (1 - share).sqrt() * waves], 1)

    def save(self, path: Path) -> None:
        mean, content, laid_out, share, bias = (
            one.detach().numpy().astype(np.float16)
            for one in (self.mean, self.content, self.layout, 20 * self.share, self.bias)
        )
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, mean=mean, content=content, layout=laid_out, share=share, bias=bias)


def whitening(rows: np.ndarray, picture: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and `count` directions in which pictures differ, scaled by how little the copies of one differ there.

    float32 (n, dim) and int (n,) -> float32 (dim,), (dim, count). The covariance within pictures is shrunk half-way
    to a multiple of the identity.
    """
    mean = rows.mean(axis=0)
    order = np.argsort(picture, kind="stable")
    rows, (_, starts, counts) = (rows - mean)[order], np.unique(picture[order], return_index=True, return_counts=True)
    means = np.add.reduceat(rows, starts) / counts[:, None]
    within = rows - np.repeat(means, counts, axis=0)
    covariance = within.T @ within / len(within)
    covariance += np.eye(len(covariance), dtype=np.float32) * np.trace(covariance) / len(covariance)
    values, vectors = np.linalg.eigh(covariance)
    scaled = vectors / np.sqrt(values)
    values, vectors = np.linalg.eigh((means @ scaled).T @ (means @ scaled) / len(means))
    matrix = scaled @ vectors[:, ::-1][:, :count] / values[::-1][:count] ** 0.25
    return mean, (matrix / np.linalg.norm(rows @ matrix, axis=1).mean()).astype(np.float32)


def fit(content: np.ndarray, laid_out: np.ndarray, picture: np.ndarray, families: np.ndarray, seed: int) -> Projections:
    """float32 (n, 672), (n, 1030), int (n,): which picture; int (pictures,): which family, -1 of photographs."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    photographs = families[picture] < 0
    model = Projections(content[photographs], picture[photographs], laid_out.shape[1])
    rates = [3e-4, 9e-5, 3e-3, 3e-3]
    parameters = [model.content, model.layout, model.share, model.bias]
    adam = torch.optim.Adam([{"params": [one], "lr": rate} for one, rate in zip(parameters, rates, strict=True)])
    decay = torch.optim.lr_scheduler.ExponentialLR(adam, 0.05 ** (1 / STEPS))
    copies = [np.flatnonzero(picture == one) for one in range(len(families))]
    groups = [np.flatnonzero(families == one) for one in range(families.max() + 1)]
    single = np.flatnonzero(families < 0)
    tensors = torch.from_numpy(content), torch.from_numpy(laid_out)
    for _ in range(STEPS):
        chosen = list(random.choice(single, min(len(single), BATCH * 2 // 3), replace=False))
        for group in random.choice(len(groups), min(len(groups), BATCH // 15), replace=False):
            chosen += list(groups[group])
        pairs = np.array([random.choice(copies[one], 2, replace=False) for one in chosen])
        original = random.random(len(pairs)) < 0.5
        pairs[original & (pairs[:, 1] != [copies[one][0] for one in chosen]), 0] = -1
        first = np.where(pairs[:, 0] < 0, [copies[one][0] for one in chosen], pairs[:, 0])
        rows = torch.from_numpy(np.concatenate([first, pairs[:, 1]]))
        loss = loss_of(model(tensors[0][rows], tensors[1][rows]), torch.tensor(chosen * 2), torch.from_numpy(families))
        adam.zero_grad()
        loss.backward()
        adam.step()
        decay.step()
    return model


def loss_of(rows: torch.Tensor, picture: torch.Tensor, families: torch.Tensor) -> torch.Tensor:
    """InfoNCE, the spreading of SSCD (arXiv:2202.10261, eq. 4), and on which side of BOUND each cosine lies."""
    cosines, itself = rows @ rows.T, torch.eye(len(rows), dtype=torch.bool)
    copy = (picture[:, None] == picture[None]) & ~itself
    drawn = families[picture] >= 0
    pull = torch.where(drawn, GRAPHIC_PULL, 1.0)[copy.nonzero()[:, 0]]
    push = torch.where(drawn, GRAPHIC_PUSH, 2.0)[:, None]
    logits = (cosines / TEMPERATURE).masked_fill(itself, -1e4)
    contrast = (pull * (torch.logsumexp(logits, 1)[copy.nonzero()[:, 0]] - logits[copy])).mean()
    nearest = cosines.masked_fill(copy | itself, -2).topk(4, 1).values
    spread = -torch.log((2 - 2 * nearest[:, 0]).clamp_min(1e-6)).mean() / 2
    above = (pull * softplus(SLOPE * (BOUND - cosines[copy]))).mean()
    below = (push * softplus(SLOPE * (nearest - BOUND + 0.08))).mean()
    return contrast + 0.3 * spread + above + below


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--each", default=75, show_default=True, help="Photographs of a folder, evenly chosen by name.")
@click.option("--families", default=100, show_default=True, help="Styles of graphics, six pictures of each.")
@click.option("--jobs", default=cores(), show_default="the cores", help="Processes that edit pictures.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default=MATRICES, show_default=True, type=click.Path(dir_okay=False, path_type=Path))
def main(folders: tuple[Path, ...], cache: Path, each: int, families: int, jobs: int, seed: int, out: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    found = [path for folder in folders for path in chosen(folder, each)]
    chunks: dict[Path, Sequence[Path | int]] = {}
    for kind, all_of_it in (("photographs", found), ("graphics", range(families))):
        for at in range(0, len(all_of_it), CHUNK):
            chunks[cache / f"{kind}_{at:06}.npz"] = all_of_it[at : at + CHUNK]
    with ProcessPoolExecutor(jobs) as pool:
        missing = [path for path in chunks if not path.exists()]
        beside = found[:: max(1, len(found) // 24)]
        list(pool.map(make_chunk, missing, [chunks[path] for path in missing], [beside] * len(missing)))
    loaded = [np.load(path) for path in chunks]
    content, pixels, names, kinds = (
        np.concatenate([one[name] for one in loaded]) for name in ("content", "pixels", "picture", "family")
    )
    _, first, picture = np.unique(names, return_index=True, return_inverse=True)
    named, numbers = np.unique(kinds[first], return_inverse=True)
    numbers -= int("" in named)  # which comes first, and is that of photographs
    laid_out = np.stack([layout(one) for one in pixels]).astype(np.float32)
    fit(content.astype(np.float32), laid_out, picture, numbers, seed).save(out)


if __name__ == "__main__":
    main()
