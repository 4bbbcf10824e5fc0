"""Which models a run uses, and loading them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pycurate.errors import UsageError, WeightsError
from pycurate.hardware import default_device
from pycurate.images.symmetries import VIEWS, check_views
from pycurate.models.builtin.clip_score import ClipScore
from pycurate.models.presets import (
    SAME,
    check_fit,
    find_descriptor,
    find_preset,
    load_encoder,
    load_scorer,
    reads_pixels,
)
from pycurate.models.protocols import EmbeddingScorer, Encoder, PixelScorer
from pycurate.parameters import default_of, optional_scores
from pycurate.plugins import load_class
from pycurate.results.comparisons import is_comparison
from pycurate.results.tables import TAKEN


@dataclass(frozen=True)
class ModelSelection:
    """The models of a run, by name (see pycurate.models.presets), and where: on `wanted`, or a GPU if there is one.

    `encoders` are by the kind of file (pycurate.results.layout) that holds their embeddings: `img_emb` is the one that
    embedding scorers fit; another is there for those who read its file. `dedup_views` is how many views of each image
    are in `dedup_emb` (pycurate.images.symmetries). `masked_emb`, the last, is of the encoder of `img_emb`, for images
    without their text. `precision` is what open_clip's models compute in, as it was asked for
    (pycurate.models.precision). `preset` is whose models they are, None where the encoder is another.
    """

    encoders: Mapping[str, str]
    scorers: tuple[str, ...]
    model_dir: Path
    wanted: str | None
    dedup_views: int
    precision: str
    preset: str | None

    @property
    def encoder(self) -> str:
        """The one that embedding scorers fit."""
        return self.encoders["img_emb"]

    @property
    def masked(self) -> bool:
        """Whether images are also embedded with their text painted over, for the score ClipScore.masked."""
        return "masked_emb" in self.encoders

    @property
    def device(self) -> str:
        """A torch device name. Asked for only by who makes a model, since to look for a GPU imports torch."""
        return self.wanted or default_device()

    @property
    def views(self) -> dict[str, int]:
        """How many embeddings an image has, by kind."""
        return {kind: self.dedup_views if kind == "dedup_emb" else 1 for kind in self.encoders}

    def load_encoders(self) -> dict[str, Encoder]:
        """Make the encoders, by kind; one that stands twice is made once.

        Raises as presets.load_encoder does, and UsageError where an encoder does not take images that are turned.
        """
        specs = dict.fromkeys(self.encoders.values())
        made: dict[str, Encoder] = {}
        for spec in specs:
            with self.fetched_by_preset(spec):
                made[spec] = load_encoder(spec, self.model_dir, self.device, self.precision)
        for kind, spec in self.encoders.items():
            check_views(self.views[kind], made[spec].view, spec)
        return {kind: made[spec] for kind, spec in self.encoders.items()}

    def load_pixel_scorers(self) -> list[PixelScorer]:
        """Make the scorers that are measured on pixels. Raises UsageError if two of them give the same column."""
        specs = [spec for spec in self.scorers if reads_pixels(spec)]
        check_columns(specs)
        return [cast(PixelScorer, self._load(spec)) for spec in specs]

    def load_embedding_scorers(self) -> list[EmbeddingScorer]:
        """Make the scorers that are computed from embeddings. Raises UsageError if two of all give the same column."""
        check_columns(self.scorers)
        return [cast(EmbeddingScorer, self._load(spec)) for spec in self.scorers if not reads_pixels(spec)]

    def pixel_scorer_classes(self) -> list[type[PixelScorer]]:
        """The classes of the pixel scorers; to read what they measured needs no weights."""
        return [load_class(spec) for spec in self.scorers if reads_pixels(spec)]

    def columns(self) -> list[str]:
        """The columns of scores that the scorers give. Raises UsageError as `check_columns` does."""
        check_columns(self.scorers)
        return [column for spec in self.scorers for column in columns_of(spec)]

    def load_clip_score(self) -> ClipScore:
        """Make the scorer of captions. Raises UsageError if the encoder has no text tower."""
        with self.fetched_by_preset(self.encoder):
            return ClipScore(self.encoder, self.model_dir, self.device, self.precision)

    @contextmanager
    def fetched_by_preset(self, spec: str) -> Iterator[None]:
        """Let a WeightsError of the block, which makes the model `spec`, advise to fetch the preset if that has it."""
        try:
            yield
        except WeightsError as error:
            if self.preset is None or spec not in find_preset(self.preset).models():
                raise
            raise error.asking_for(f"--preset {self.preset}") from error

    def _load(self, spec: str) -> PixelScorer | EmbeddingScorer:
        with self.fetched_by_preset(spec):
            return load_scorer(spec, self.model_dir, self.device, self.encoder)


def select_models(
    preset: str,
    model_dir: Path,
    *,
    encoder: str | None = None,
    dedup_encoder: str | None = None,
    dedup_views: str | None = None,
    scorers: tuple[str, ...] = (),
    without: Collection[str] | None = None,
    masked: bool = False,
    device: str | None = None,
    precision: str = default_of("precision"),
) -> ModelSelection:
    """The models of a preset, those aside that give a score of `without`, with the user's own.

    Without `without`, the scores that are computed unless they are switched off.

    Another `encoder` than the preset's replaces its scorers, too, since a head fits one encoder only, and its duplicate
    descriptor. `dedup_encoder` has a file of its own, `dedup_emb`, unless it is the same encoder and sees but one view
    of each image. `masked` adds `masked_emb`, and the scorer that finds text. `device` None: cuda where there is one.
    Raises UsageError for an unknown preset or descriptor, a scorer that does not fit, or scorers of the user's own
    whose columns collide.
    """
    found = find_preset(preset)
    without = {score for score in optional_scores() if not default_of(score)} if without is None else without
    own = [name for score, name in found.scorers.items() if score not in without] if encoder is None else []
    names = tuple(dict.fromkeys([*own, *scorers, *([found.scorers["text_area"]] if masked else [])]))
    chosen = encoder or found.encoder
    for name in names:
        check_fit(name, chosen)
    check_columns(scorers)  # those of a preset may be named where they are not used: when its folder is filled, say
    descriptor = find_descriptor(dedup_encoder or (SAME if encoder else found.dedup_encoder))
    views = VIEWS[dedup_views or "none"]
    apart = {"dedup_emb": descriptor or chosen} if descriptor not in (None, chosen) or views > 1 else {}
    apart |= {"masked_emb": chosen} if masked else {}
    own_preset = preset if encoder is None else None
    return ModelSelection({"img_emb": chosen} | apart, names, model_dir, device, views, precision, own_preset)


def check_columns(scorers: Sequence[str]) -> None:
    """Raise UsageError unless each scorer's class has a `name`, and their columns are no other's and none of TAKEN."""
    owners = dict.fromkeys(TAKEN, "pycurate's tables") | dict.fromkeys(
        (ClipScore.name, ClipScore.masked), "the CLIP score"
    )
    for spec in dict.fromkeys(scorers):
        for column in columns_of(spec):
            if is_comparison(column):
                owners[column] = "a comparison"
            if column in owners:
                switches = ", ".join(f"--no-{score.replace('_', '-')}" for score in optional_scores())
                raise UsageError(
                    f"The column {column!r} of {spec} is also that of {owners[column]}; give its class another `name`, "
                    f"or leave the other out (a preset's by {switches})."
                )
            owners[column] = spec


def columns_of(spec: str) -> tuple[str, ...]:
    """The columns of a scorer: its score, and the raw one where that is another. Raises UsageError without a name."""
    kind = load_class(spec)
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name:
        raise UsageError(f"{spec} has no name; its class needs an attribute `name`, the column of its scores.")
    if not name.isprintable():
        raise UsageError(
            f"The name {name!r} of {spec} is not printable; give its class a `name` without control characters."
        )
    return (name, f"{name}_raw") if hasattr(kind, "calibrate") else (name,)
