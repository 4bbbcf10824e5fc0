"""A duplicate descriptor that needs no network: what an image shows, and how it is laid out, in one unit vector.

Two halves are joined so that their cosine is a weighted sum of both halves' cosines:

    content  features from the middle of EfficientNet-Lite0, where they still tell one thing of a kind from another,
             their map pooled by a generalised mean (Radenović et al., arXiv:1711.02512) as SSCD pools its own (Pizzi
             et al., arXiv:2202.10261), projected by a learned matrix: it survives crops, but thinks one page of text
             like any other
    layout   the strength of edges on a grid, and the mean colour, projected likewise: it tells pages, letters, charts
             and codes apart

The share of each is learned, too: a drawing counts mostly by its layout, a photograph by its content. Borders of one
colour are cut off first. benchmarks/train_light_copy.py made light_copy.npz and says of which pictures.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from pycurate.hardware import on_all_cores
from pycurate.images.views import View
from pycurate.models.builtin.efficientnet import WEIGHTS_SHA256, Lite0, read_weights
from pycurate.models.builtin.onnx_session import run_one, session

MATRICES = Path(__file__).with_name("light_copy.npz")
SIDE = 160  # pixels, of what the network sees
STAGES = 5  # of the network, of seven, before its last map of a sixteenth of SIDE
GRID = 32  # cells to a side, of the layout; each is of 2 x 2 pixels
PLAIN = 2.0  # levels of 255 by which a line of a border may differ from one colour, on average
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
FAINT = 2.0  # the length of the vector of edges below which there are hardly any
COLOUR = 0.05  # the square of the mean colour's weight, that of the edges being 1
LEAST = 8  # the share of a side, one in so many, that must be left between two borders
LINES = 8  # that are looked at at a time, for a border


class LightCopy:
    """Pixels to descriptors. On the CPU ONNX Runtime runs the network; on a GPU torch does, for the rest of it the CPU.

    Raises ModelError where the installed weights are not the published ones.
    """

    name = "light-copy"
    dim = 512
    view = View(224, 224, "longest")  # which keeps the shape; the bars beside the image are cut off like any border

    def __init__(self, model_dir: Path, device: str) -> None:
        data = MATRICES.read_bytes()
        self.sha256 = hashlib.sha256(WEIGHTS_SHA256.encode() + data).hexdigest()
        self._projection = Projection(io.BytesIO(data))
        self._device = torch.device(device)
        if self._device.type == "cuda":
            self._model = Lite0().eval().to(memory_format=torch.channels_last).to(self._device)
        else:
            from pycurate.models.builtin.lite0_graph import make_graph  # here, since a GPU needs no graph

            self.batch = None  # it takes any number, see pycurate.models.protocols
            graph = make_graph([tensor.numpy() for tensor in read_weights()], SIDE, stages=STAGES)
            self._session = session(graph)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, 224, 224), RGB -> float32 (n, 512), unit length, on the CPU."""
        images = pixels.cpu().numpy()
        if self._device.type == "cpu":
            rows = on_all_cores(self._encode_one, images)
        else:
            cut = on_all_cores(inner, images)
            views = torch.from_numpy(np.stack([squared(image) for image in cut])).to(self._device)
            with torch.inference_mode():
                maps = self._model.middle(views, STAGES).float().cpu().numpy()
            rows = [self._projection(pooled(one), layout(image)) for one, image in zip(maps, cut, strict=True)]
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, self.dim)

    def _encode_one(self, pixels: np.ndarray) -> np.ndarray:
        image = inner(pixels)
        return self._projection(pooled(self.maps(image)), layout(image))

    def maps(self, image: np.ndarray) -> np.ndarray:
        """uint8 (3, h, w) -> float32 (672, 10, 10), on the CPU: the network's features, from 0 to 6."""
        return run_one(self._session, squared(image))


class Projection:
    """The learned part: what becomes of both halves, and the share of each."""

    def __init__(self, file: io.BytesIO) -> None:
        with np.load(file) as arrays:
            self._arrays = {name: arrays[name].astype(np.float32) for name in arrays.files}

    def __call__(self, content: np.ndarray, laid_out: np.ndarray) -> np.ndarray:
        """float32 (672,) and (1030,), as `pooled` and `layout` give them -> float32 (512,), unit length.

        The cosine of two layouts comes to be about exp(-d^2 / 2), d the distance of their projections: random Fourier
        features (Rahimi and Recht, NeurIPS 2007), since two drawings of one kind may have a cosine of 0.8, and those
        of copies lie close to 1.
        """
        a = self._arrays
        content = content - a["mean"]
        share = 1 / (1 + np.exp(-(content @ a["share"] + a["bias"])))
        angles = laid_out @ a["layout"]
        waves = np.concatenate([np.cos(angles), np.sin(angles)]) / np.sqrt(np.float32(len(angles)))
        return np.concatenate([np.sqrt(share) * _unit(content @ a["content"]), np.sqrt(1 - share) * waves])


def inner(pixels: np.ndarray) -> np.ndarray:
    """uint8 (3, h, w) -> the part of it within borders of one colour, one within another; all, if that is all."""
    while True:
        rows = pixels.transpose(1, 2, 0)
        top, bottom = _borders(rows)
        left, right = _borders(rows[top:bottom].transpose(1, 0, 2))
        cut = pixels[:, top:bottom, left:right]
        if cut.shape == pixels.shape:
            return cut
        pixels = cut


def _borders(lines: np.ndarray) -> tuple[int, int]:
    """uint8 (n, m, 3) -> where the lines of one colour at the beginning end, and where those at the end begin."""
    first, last = _plain(lines), len(lines) - _plain(lines[::-1])
    return (first, last) if last - first >= max(len(lines) // LEAST, 1) else (0, len(lines))


def _plain(lines: np.ndarray) -> int:
    ordered = np.sort(lines[0], axis=0).astype(np.float32)
    colour = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2  # the median, faster than numpy's
    if np.abs(lines[0] - colour).mean() > PLAIN:  # as in most photographs
        return 0
    for at in range(0, len(lines), LINES):
        other = np.abs(lines[at : at + LINES] - colour).mean(axis=(1, 2)) > PLAIN
        if other.any():
            return at + int(other.argmax())
    return len(lines)


def squared(pixels: np.ndarray) -> np.ndarray:
    """uint8 (3, h, w) -> uint8 (3, SIDE, SIDE): half of what is too long is cropped, the other half squeezed.

    So neither a copy that was cropped to a square nor one that was squeezed into it is as far from its original as it
    would be from a view that does one of them.
    """
    height, width = pixels.shape[1:]
    mean = (height * width) ** 0.5
    high, wide = min(height, round(mean)), min(width, round(mean))
    top, left = (height - high) // 2, (width - wide) // 2
    return resized(pixels[:, top : top + high, left : left + wide], SIDE)


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 (3, h, w) -> uint8 (3, side, side), with antialias."""
    whole = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    return interpolate(whole, size=(side, side), mode="bilinear", antialias=True)[0].numpy()


def pooled(maps: np.ndarray) -> np.ndarray:
    """float32 (672, h, w), from 0 to 6 -> float32 (672,), unit length: the square roots of the cubic means."""
    flat = maps.reshape(len(maps), -1)
    return _unit((flat * flat * flat).mean(axis=1) ** (1 / 6))


def layout(pixels: np.ndarray) -> np.ndarray:
    """uint8 (3, h, w) -> float32 (1030,), unit length.

    Down and across: how much pixels of the luminance differ from their neighbours in each cell of the grid, its fourth
    root as faint lines count almost as strong ones, added to that of the mirrored cell, since a mirror image is a copy.
    Then the mean colour as angles, which tells plain pictures apart and hardly counts in any other.
    """
    image = resized(pixels, 2 * GRID).astype(np.float32)
    luminance = np.tensordot(LUMINANCE, image, 1)
    edges = []
    for steps in (_steps(luminance), _steps(luminance.T).T):
        cells = steps.reshape(GRID, 2, GRID, 2).mean(axis=(1, 3)) ** 0.25
        half = (cells + cells[:, ::-1])[:, : GRID // 2].ravel()
        edges.append(half - half.mean())
    lines = np.concatenate(edges)
    lines /= max(float(np.linalg.norm(lines)), FAINT)
    angles = image.mean(axis=(1, 2)) * np.float32(1.5 * np.pi / 255)
    colour = np.concatenate([np.cos(angles), np.sin(angles)]) * np.float32((COLOUR / 3) ** 0.5)
    return _unit(np.concatenate([lines, colour]))


def _steps(lines: np.ndarray) -> np.ndarray:
    """float32 (n, m) -> (n, m): the mean difference of each pixel from its two neighbours along the first axis."""
    steps = np.abs(np.diff(lines, axis=0, prepend=lines[:1], append=lines[-1:]))
    return (steps[1:] + steps[:-1]) / 2


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
