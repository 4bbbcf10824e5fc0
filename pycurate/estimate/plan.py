"""What a run will take: time for each number of GPUs, disk, tasks. Arithmetic on what a survey and a trial found."""

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pycurate.dedup.fit import MOST_COST
from pycurate.estimate.findings import Finding, findings
from pycurate.estimate.sampling import Interval
from pycurate.estimate.survey import Survey
from pycurate.estimate.trial import Trial
from pycurate.models.presets import is_open_clip, load_encoder
from pycurate.models.selection import ModelSelection
from pycurate.parameters import default_of
from pycurate.plugins import is_class, load_class
from pycurate.results.layout import EMBEDDING
from pycurate.shards.listing import Shard
from pycurate.stages.partition import partition

DEDUP_SECONDS = 0.25e-3
"""Seconds of one core that the search for duplicates takes per image. docs/dedup.md, "What it costs": 47.8 cpu-s for
200,000 vectors at 0.95, growing as the 0.91th power from 50,000 to 400,000 at 0.99 (taken as linear here); and on paper
70 core hours for a thousand million in fast mode, which `auto` chooses there. An exact search of that many takes 16
times as long. Not measured for embeddings of more than 512 numbers."""

DEDUP_GROWTH = {0.9: 3e-10, 0.0: 4.8e-9}
"""{from which threshold on: seconds per image for each image of the set, in an exact search}: docs/dedup.md, "Exact or
fast"."""

DEDUP_BYTES = 2034
"""Bytes per image that the search for duplicates keeps in the work folder. docs/dedup.md, the same table, at 0.95. Both
are of one view of each image. With k views the time is taken as 2 k - 1 times as long, since so many pairs of vectors
of two images are compared, and the bytes as k^1.45 times as many: k vectors, each with k^0.45 times as many visits."""

SELECT_SECONDS = 2e-6
"""Seconds of one core that a score made of two others, and the choice of the best by it, take per image in DECIDE:
docs/selection.md, "What it costs"."""

CAPTION_SECONDS = 3e-6
"""The same of how many samples share a caption."""

LANGUAGE_SECONDS = 11e-6
"""The same of the language of a caption."""

WORDS_SECONDS = 74e-6
"""The same of a balance over the words of captions, with half a million entries."""

CELL_SECONDS = 4.7e-8
"""The same of a balance over cells, per cell of the lowest level, for embeddings of 512 dimensions."""

COMPARE_SECONDS = 2.9e-3
"""The same of s_clip_loss in COMPARE, for embeddings of 512 numbers."""

SIMILAR_SECONDS = 5e-8
"""The same of each image of a --similar set: docs/selection.md, "What it costs"."""

CONCEPT_SECONDS = 3e-6
"""The same of a --concept."""

TEXT_SECONDS = 0.11
"""The same of text_area, in EMBED: docs/models.md, "Text in images"."""

PDQ_SECONDS = 1.5e-3
"""The same of PDQ hashes, in EMBED: docs/blocklists.md, "Cost"."""

LEAKAGE_SECONDS = 27e-9
"""The same of each image of a --leakage set, for embeddings of 512 numbers: docs/leakage.md, "Cost"."""

MINUTES = 60
"""Of an EMBED task, for which the estimate says what --partition_minutes would make of it."""


@dataclass(frozen=True)
class Defaults:
    """Those parameters of the workflow on which an estimate depends."""

    partition_bytes: int
    batch_size: int
    images_per_tar: int
    tars_per_task: int
    dedup_single: int

    @classmethod
    def read(cls) -> "Defaults":
        """Those of nextflow_schema.json."""
        return cls(**{name: default_of(name) for name in cls.__annotations__})


@dataclass(frozen=True)
class Machine:
    """What is known of the machine that the run is planned for.

    Attributes:
        rate: images per second of one EMBED task, the slowest and the fastest run as bounds; None if not known.
        dim: numbers of an image's embeddings, of all encoders together; None if not known.
        cores: of the machine, for each of its GPUs.
        views: of each image, among which duplicates are sought.
        trial: what was measured on it; None if nothing was.
        threshold: cosine of duplicates.
    """

    rate: Interval | None
    dim: int | None
    cores: float
    views: int = 1
    trial: Trial | None = None
    threshold: float = 0.95

    @classmethod
    def of(cls, trial: Trial, cores: float, views: int, threshold: float) -> "Machine":
        """The machine of a trial; its rate is the mean of the runs."""
        rate = Interval(sum(trial.rates) / len(trial.rates), min(trial.rates), max(trial.rates))
        return cls(rate, trial.dim, cores, views, trial, threshold)

    @property
    def embed_start(self) -> float:
        """Seconds of an EMBED task beyond its images; 0 if not known."""
        return self.trial.embed_start if self.trial else 0.0


@dataclass(frozen=True)
class Workload:
    """EMBED tasks: how many, and how large the mean one is; seconds are None without a rate."""

    count: int
    bytes: float
    images: float
    seconds: float | None


@dataclass(frozen=True)
class Times:
    """Seconds by the clock of each stage with `gpus` EMBED tasks at a time; None where nothing was measured.

    `all` is the sum of what is known, None without EMBED; unless it is `complete`, the run takes longer.
    """

    gpus: int
    embed: Interval | None
    score: Interval | None
    dedup: Interval
    write: Interval | None
    all: Interval | None
    complete: bool


@dataclass(frozen=True)
class Disk:
    """Bytes of what a run leaves, at most, and of what the search for duplicates needs meanwhile in the work folder."""

    embeddings: Interval | None
    tables: Interval | None
    output: int
    dedup: Interval


@dataclass(frozen=True)
class Estimate:
    """All of it. `formats` are shares of the images that were read; `minutes_tasks` are those of MINUTES each."""

    shards: int
    bytes: int
    read: int
    samples: Interval
    images: Interval
    formats: dict[str, float]
    findings: list[Finding]
    machine: Machine
    tasks: Workload
    minutes_tasks: Workload | None
    times: list[Times]
    disk: Disk


def make_estimate(survey: Survey, machine: Machine, gpus: Sequence[int], defaults: Defaults) -> Estimate:
    """Put the parts together, with an entry of `times` for each of `gpus`: how many EMBED tasks run at a time."""
    trial, rate = machine.trial, machine.rate
    groups = partition(survey.shards, defaults.partition_bytes)
    minutes = None
    if rate:
        each = survey.bytes / survey.images.value
        minutes = tasks(partition(survey.shards, max(1, round(MINUTES * 60 * rate.value * each))), survey, machine)
    seen = sum((one.formats for one in survey.counts), Counter[str]())
    return Estimate(
        shards=len(survey.shards),
        bytes=survey.bytes,
        read=len(survey.counts),
        samples=survey.samples,
        images=survey.images,
        formats={name: number / seen.total() for name, number in seen.most_common() if name},
        findings=findings(survey, defaults.partition_bytes),
        machine=machine,
        tasks=tasks(groups, survey, machine),
        minutes_tasks=minutes,
        times=[times(survey, groups, machine, one, defaults) for one in gpus],
        disk=Disk(
            survey.images.scaled(np.dtype(EMBEDDING).itemsize * machine.dim) if machine.dim else None,
            survey.samples.scaled(sum(trial.tables.values())) if trial else None,
            survey.bytes,
            survey.images.scaled(DEDUP_BYTES * machine.views**1.45),
        ),
    )


def tasks(groups: Sequence[Sequence[Shard]], survey: Survey, machine: Machine) -> Workload:
    """EMBED tasks of these groups, the mean one with its images and its time."""
    images = survey.images.value / len(groups)
    seconds = machine.embed_start + images / machine.rate.value if machine.rate else None
    return Workload(len(groups), survey.bytes / len(groups), images, seconds)


def times(survey: Survey, groups: Sequence[Sequence[Shard]], machine: Machine, gpus: int, defaults: Defaults) -> Times:
    """How long each stage takes with `gpus` EMBED tasks at a time, a task for each of `groups`.

    An EMBED task takes its start, and its images at the rate; a group has images as it has bytes. Stages without a
    GPU have the machine's cores beside each of `gpus`, but for a search for duplicates that is one task. WRITE is taken
    to keep everything. Queues, Nextflow itself and REPORT are left out.
    """
    images, trial, rate = survey.images, machine.trial, machine.rate
    shares = [sum(shard.bytes for shard in group) / survey.bytes for group in groups]

    def in_groups(start: float, seconds: float) -> float:
        return makespan([start + seconds * share for share in shares], gpus)

    embed = score = write = None
    if rate:
        embed = Interval(
            in_groups(machine.embed_start, images.value / rate.value),
            in_groups(machine.embed_start, images.low / rate.high),
            in_groups(machine.embed_start, images.high / rate.low),
        )
    if trial:
        score = images.through(lambda number: in_groups(trial.score_start, number * trial.score_seconds))
    if trial and trial.write_rate:
        count = math.ceil(survey.samples.value / (defaults.images_per_tar * defaults.tars_per_task))
        spent = makespan([trial.start_without_torch + survey.bytes / count / trial.write_rate] * count, gpus)
        write = Interval(spent, spent, spent)
    hands = machine.cores * (gpus if images.value > defaults.dedup_single else 1)
    start = trial.start if trial else 0.0
    each = dedup_seconds(images.value * machine.views, machine.threshold) * (2 * machine.views - 1)
    dedup = images.through(lambda number: start + number * each / hands)
    parts = (embed, score, dedup, write)
    known = [part for part in parts if part]
    whole = Interval(*(sum(getattr(part, name) for part in known) for name in ("value", "low", "high")))
    return Times(gpus, embed, score, dedup, write, whole if embed else None, len(known) == len(parts))


def dedup_seconds(vectors: float, threshold: float) -> float:
    """Seconds of one core that the search for duplicates takes per image, among so many vectors."""
    growth = next(growth for least, growth in DEDUP_GROWTH.items() if threshold >= least)
    exact = max(DEDUP_SECONDS, growth * vectors)
    return exact if exact <= MOST_COST * 1e-9 else DEDUP_SECONDS


def makespan(seconds: Sequence[float], workers: int) -> float:
    """When the last task ends, if each starts, in order, as soon as one of the workers is free."""
    ends = [0.0] * min(workers, len(seconds))
    for task in seconds:
        heapq.heapreplace(ends, ends[0] + task)
    return max(ends, default=0.0)


def dim_of(models: ModelSelection) -> int | None:
    """Numbers of an image's embeddings, of all encoders together, if they are known without weights."""
    dims = {kind: _dim(encoder, models) for kind, encoder in models.encoders.items()}
    return None if None in dims.values() else sum(models.views[kind] * (dim or 0) for kind, dim in dims.items())


def _dim(encoder: str, models: ModelSelection) -> int | None:
    if is_class(encoder):
        dim: int | None = getattr(load_class(encoder), "dim", None)
        return dim
    if not is_open_clip(encoder):
        return load_encoder(encoder, models.model_dir, "cpu").dim
    import open_clip  # here, since it takes seconds

    from pycurate.models.builtin.openclip import find_source

    return int(open_clip.get_model_config(find_source(encoder).model)["embed_dim"])
