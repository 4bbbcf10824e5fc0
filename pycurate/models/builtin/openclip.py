"""open_clip's models as encoders: any MODEL/TAG of its list, a checkpoint of one's own, or a folder with both.

ViT-L-14/openai                   an open_clip model and the tag of its weights
ViT-B-32-quickgelu//data/mine.pt  an open_clip model and a checkpoint: safetensors, or what torch.load reads safely
local-dir:/data/mine              a folder with open_clip_config.json (model_cfg, preprocess_cfg) and a checkpoint
"""

import difflib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.transformer import CustomResidualAttentionBlock, ResidualAttentionBlock
from timm.models.vision_transformer import Block

from pycurate.errors import ModelError, UsageError
from pycurate.hardware import computes_bf16, on_all_cores
from pycurate.images.render import normalise
from pycurate.images.views import View
from pycurate.models.identity import check_pin, sha256_of_files
from pycurate.models.precision import AUTO, FORMATS, precision_on
from pycurate.models.uninitialised import Uninitialised
from pycurate.models.weights import HubWeights, fetch_pair, opened_pair
from pycurate.plugins import LOCAL, one_name, unpinned

log = logging.getLogger(__name__)

CONFIG = "open_clip_config.json"
CHECKPOINTS = (".safetensors", ".bin", ".pt", ".pth")
BLOCKS = (ResidualAttentionBlock, CustomResidualAttentionBlock, Block)  # of which the image towers are made
LEFT_OUT = (".query", ".cls_emb")  # parameters of CoCa that open_clip leaves in fp32 whatever the precision
FEW_TOKENS = 500  # at once, from which on more of them take little less time each
GROUPS = (10, 5, 4, 2)  # images at once: divisors of the twenty that EMBED hands two cores
TEXT_BATCH = 32  # captions in a batch; a GPU computes them together, always as many
MOST_CHARACTERS = 4096  # of a caption; a tokenizer takes time that grows with the square of its longest word


@dataclass(frozen=True)
class ClipSource:
    """Where an open_clip model comes from: of `hub` and `path` one is given.

    `model` is open_clip's name of the architecture, or local-dir:FOLDER. `config` is what its list says of the tag:
    mean, std, interpolation, resize_mode, quick_gelu; empty for checkpoints of one's own. `due` is the SHA-256 that
    those must have, if one is known.
    """

    name: str
    model: str
    config: dict[str, Any]
    hub: HubWeights | None = None
    path: Path | None = None
    due: str | None = None

    @property
    def folder(self) -> bool:
        """Whether `path` is a folder with the configuration, and not a checkpoint alone."""
        return self.model.startswith(LOCAL)

    def files(self) -> list[Path]:
        """The files of one's own that say what the model is: checkpoints, and of a folder its configuration too."""
        assert self.path is not None
        if not self.folder:
            return [self.path]
        return [path for path in self.path.iterdir() if path.suffix in CHECKPOINTS or path.name == CONFIG]


def find_source(spec: str) -> ClipSource:
    """What a name means. Raises UsageError, naming the nearest right name, if it means nothing."""
    spec, due = unpinned(spec)
    if spec.startswith("hf-hub:"):
        raise UsageError(
            f"{spec!r} cannot be downloaded by pycurate; run `hf download "
            f"{spec.removeprefix('hf-hub:')} --local-dir FOLDER`, then give local-dir:FOLDER."
        )
    if spec.startswith(LOCAL):
        folder = Path(spec.removeprefix(LOCAL))
        if not (folder / CONFIG).is_file():
            raise UsageError(f"{folder} is not a folder with an {CONFIG}.")
        return ClipSource(spec, spec, {}, path=folder, due=due)
    model, _, tag = spec.partition("/")
    config = open_clip.get_pretrained_cfg(model, tag)
    if config:
        name = one_name(spec)
        repository, _, file = config["hf_hub"].rpartition("/")
        names = (file,) if file else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)
        return ClipSource(name, model, config, hub=HubWeights(name, repository, names))
    if model in open_clip.list_models() and Path(tag).is_file():
        return ClipSource(spec, model, {}, path=Path(tag), due=due)
    pairs = open_clip.list_pretrained(as_str=False)
    close = difflib.get_close_matches(spec, [f"{model}/{tag}" for model, tag in pairs], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise UsageError(
        f"{spec!r} is not an encoder{hint} Encoders are open_clip models MODEL/TAG (`bin/models.py list --encoders` "
        "lists them), MODEL/CHECKPOINT, local-dir:FOLDER, module:Class or path/to/file.py:Class."
    )


def fetch(spec: str, model_dir: Path) -> None:
    """Bring the weights of an encoder to `model_dir`, unless they are there, or are a checkpoint of one's own."""
    source = find_source(spec)
    if source.hub:
        fetch_pair(source.hub, model_dir)


class OpenClip:
    """An open_clip model: image and text towers into one space.

    Preparation (size, resize mode, interpolation, mean, deviation) is the model's own; QuickGELU is what the tag
    says, not what the model's name says: open_clip itself only warns of the difference. On a CPU each core computes one
    image at once, or a few of few tokens (see `_group_size`); a GPU whole batches, compiled. In fp32 or with weights in
    bf16 (pycurate.models.precision); normalisations are always computed in fp32, though of numbers in bf16 in towers of
    timm and ResNets. Never touches the network.
    """

    def __init__(self, spec: str, model_dir: Path, device: str, precision: str = AUTO) -> None:
        """Raises UsageError for an unknown name or precision, ModelError where weights are missing or do not fit."""
        source = find_source(spec)
        self.name = source.name
        self.own_weights = source.hub is None
        # Of weights of one's own the path does not count, since they may lie elsewhere the next time.
        self.identity = source.name if source.hub else LOCAL.rstrip(":") if source.folder else source.model
        self._device = torch.device(device)
        self.precision = precision_on(self._device, precision)
        self._dtype = FORMATS[self.precision]
        if self._device.type == "cpu":
            self.batch: int | None = None  # it takes any number, see pycurate.models.protocols
        self._model = _create(source, model_dir, self._device, self.precision)
        self.compiled = False
        self._blocks: list[torch.nn.Module] = []
        if self._device.type == "cuda" and os.environ.get("TORCH_COMPILE_DISABLE") != "1":  # torch's own switch
            self.compile()
        self.sha256 = source.hub.stated(model_dir) if source.hub else sha256_of_files(source.files())
        check_pin(source.path, self.sha256, source.due)
        self._tokenize: Callable[[list[str]], torch.Tensor] | None = None
        self._model_name = source.model
        self.preparation: dict[str, Any] = open_clip.get_model_preprocess_cfg(self._model)
        self.view = view_of(self.preparation)
        # On the device, since to send them with each batch would wait for the batch before.
        self.mean = torch.tensor(_channels(self.preparation["mean"]), device=self._device)
        self.std = torch.tensor(_channels(self.preparation["std"]), device=self._device)
        self.dim = int(_model_config(source.model)["embed_dim"])
        self.group = self._group_size()

    def compile(self) -> None:
        """Have torch.compile fuse what lies between the matrix products of the image tower, from the next batch on.

        Block by block: they are equal, so that what is compiled for one serves all, in seconds where the whole tower
        takes a minute. A tower without such blocks, a ResNet say, stays as it is. `deterministic` keeps torch from
        trying on the spot what is fastest, which may come out, and round, otherwise on the next machine.
        """
        self._blocks = [part for part in self._model.visual.modules() if isinstance(part, BLOCKS)]
        for block in self._blocks:
            block.compile(fullgraph=True, dynamic=False, options={"deterministic": True})
        self.compiled = bool(self._blocks)

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, 3, view.height, view.width), RGB -> float32 (n, dim), not of unit length."""
        images = normalise(pixels.to(self._device, non_blocking=True), self.mean, self.std)
        if self.compiled:
            try:
                return self._embed(images)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - the compiler's, of many kinds; any other comes again below
                cause = getattr(error, "inner_exception", error)  # torch wraps what its compilers raise
                log.warning(
                    "%s continues without torch.compile, which failed: %s: %s",
                    *(self.name, type(cause).__name__, _first_line(cause)),
                )
                self.compiled = False
        return self.embed(images)

    @torch.inference_mode()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (n, 3, view.height, view.width), prepared as open_clip's transform does it -> as `encode`.

        Never compiled.
        """
        with torch.compiler.set_stance("force_eager") if self._blocks else nullcontext():
            return self._by_rows(self._embed, images, self.group)

    def _group_size(self) -> int:
        """How many images a core of a CPU is given at once: as many as have FEW_TOKENS, if that changes no bit.

        ViT-B/32, whose 50 tokens fill no product, takes three quarters of the time for four at once, and a tenth less
        for ten. They are always as many, and are only if on this processor an image's embedding is the same at each
        place among them.
        """
        grid = getattr(self._model.visual, "grid_size", None)
        most = FEW_TOKENS // (grid[0] * grid[1] + 1) if grid and self._device.type == "cpu" else 1
        return next((size for size in GROUPS if size <= most and self._same_at_each_place(size)), 1)

    def _same_at_each_place(self, size: int) -> bool:
        """Whether each of `size` images has the same embedding one place further, which compares all places."""
        images = torch.randn((size, 3, self.view.height, self.view.width), generator=torch.Generator().manual_seed(0))
        here, further = self._by_rows(self._embed, torch.cat([images, images.roll(1, dims=0)]), size).split(size)
        return torch.equal(further.roll(-1, dims=0), here)

    def _by_rows(self, compute: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, size: int) -> torch.Tensor:
        """compute(rows); on a CPU always `size` of them at once, since MKL rounds the last of ten otherwise than eight.

        They are copied to a place of their own, so that they begin where torch aligns them.
        """
        if self._device.type != "cpu" or not len(rows):
            return compute(rows)
        missing = -len(rows) % size

        @torch.inference_mode()  # of which each thread has its own
        def compute_some(some: torch.Tensor) -> torch.Tensor:
            return compute(some.clone())

        filled = torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])
        return torch.cat(on_all_cores(compute_some, filled.split(size)))[: len(rows)]

    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = self._model.encode_image(images.to(self._device, self._dtype))
        return embeddings.float()

    @torch.inference_mode()
    def encode_text(self, captions: Sequence[str]) -> np.ndarray:
        """n captions -> float32 (n, dim), unit length. What goes beyond the model's context (CLIP: 77 tokens) is cut.

        Of a caption longer than MOST_CHARACTERS no more are read, which fill the context all the same.

        Raises ModelError if the model's tokenizer is not at hand.
        """
        if self._tokenize is None:
            check_tokenizer(self._model_name)
            self._tokenize = open_clip.get_tokenizer(self._model_name)
        rows = [np.zeros((0, self.dim), dtype=np.float32)]
        for start in range(0, len(captions), TEXT_BATCH):
            part = [_beginning(caption) for caption in captions[start : start + TEXT_BATCH]]
            missing = 0 if self._device.type == "cpu" else TEXT_BATCH - len(part)
            tokens = self._tokenize(part + [""] * missing).to(self._device)
            rows.append(self._by_rows(self._embed_text, tokens, 1)[: len(part)].cpu().numpy())
        return np.concatenate(rows)

    @property
    def scale(self) -> float:
        """By what cosines are multiplied before a softmax over texts, as the model was trained."""
        return float(self._model.logit_scale.float().exp())

    def _embed_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self._model.encode_text(tokens).float(), dim=-1)


def view_of(config: dict[str, Any]) -> View:
    """open_clip's preprocess configuration as a View. What is not `bilinear` is bicubic to open_clip, `random` too."""
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    return View(
        height,
        width,
        config["resize_mode"],
        "bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        config["fill_color"],
    )


def _create(source: ClipSource, model_dir: Path, device: torch.device, precision: str) -> Any:
    _check_offline(source.name, _model_config(source.model))
    options: dict[str, Any] = {"force_quick_gelu": True} if source.config.get("quick_gelu") else {}
    with ExitStack() as stack:
        if source.hub:
            path = stack.enter_context(opened_pair(source.hub, model_dir))
            options |= {"pretrained": str(path), "force_preprocess_cfg": source.config}
        elif not source.model.startswith(LOCAL):
            options |= {"pretrained": str(source.path)}
        try:
            with Uninitialised():
                model = open_clip.create_model(
                    source.model,
                    precision=precision,
                    device=device,
                    weights_only=True,
                    require_pretrained=True,
                    **options,
                )
        except Exception as error:
            raise ModelError(f"open_clip cannot create {source.name}: {_first_line(error)}") from error
    for name, parameter in model.named_parameters():
        if name.endswith(LEFT_OUT):
            parameter.data = parameter.data.to(FORMATS[precision])
    if device.type == "cpu" and precision == "bf16" and computes_bf16():
        _lay_out(model)
    return model.eval().requires_grad_(False)


def _lay_out(model: torch.nn.Module) -> None:
    """Put the weights of linear layers down column by column, as oneDNN's products read them.

    AMX took a fifth less time for those of ViT-B/32, in which it turned them at each call, and AVX-512 BF16 as long.
    What torch does without such instructions took six times as long.
    """
    weights = [part.weight for part in model.modules() if isinstance(part, torch.nn.Linear)]
    weights += [part.in_proj_weight for part in model.modules() if isinstance(part, torch.nn.MultiheadAttention)]
    for weight in weights:
        if weight is not None:  # as of CoCa's poolers, which keep three apart
            weight.data = weight.data.t().contiguous().t()


def _model_config(model: str) -> dict[str, Any]:
    """open_clip's configuration of an architecture. Raises ModelError if that of a local-dir is none."""
    try:
        config: dict[str, Any] = open_clip.get_model_config(model)
        if int(config["embed_dim"]) > 0 and isinstance(config["vision_cfg"] | config["text_cfg"], dict):
            return config
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        cause: Exception | None = error
    else:
        cause = None
    raise ModelError(
        f"The open_clip_config.json of {model} has no model_cfg with embed_dim, vision_cfg and text_cfg."
    ) from cause


def _check_offline(name: str, config: dict[str, Any]) -> None:
    """Raise ModelError if a part of the model would be sought on the network, or somewhere else, when it is made."""
    parts = [part for part in config.values() if isinstance(part, dict)]
    if any(part.get("hf_model_name") for part in parts):
        raise ModelError(
            f"{name} has a text tower from the transformers library, which needs the network to load its "
            "configuration; use a model with open_clip's own text tower."
        )
    for tower in filter(None, (part.get("timm_model_name") for part in parts)):
        if ":" in tower or not timm.is_model(tower):
            raise ModelError(
                f"{name} has an image tower {tower!r}, which is not one of timm's own models; towers from a hub "
                "or another folder are not loaded."
            )


def _beginning(caption: str) -> str:
    return caption if len(caption) <= MOST_CHARACTERS else " ".join(caption.split())[:MOST_CHARACTERS]


def check_tokenizer(model: str) -> None:
    """Raise ModelError if the tokenizer of an architecture, by open_clip's name, is not at hand."""
    listed_siglip = "siglip" in model.lower() and not model.startswith(LOCAL)  # the name of a folder says nothing
    if _model_config(model)["text_cfg"].get("hf_tokenizer_name") or listed_siglip:
        raise ModelError(
            f"{model} has a tokenizer from the transformers library, which needs the network to load its vocabulary; "
            "this encoder has no CLIP score."
        )


def _channels(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (float(value),) * 3  # type: ignore[arg-type]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
