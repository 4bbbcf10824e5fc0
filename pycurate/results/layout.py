"""The files that stages hand to each other and that a run leaves: the one place that names them.

Every stage reads what it needs beneath one folder, `results`, and adds its own files to it. A run's `--outdir` holds
those that stay, and beside them `pipeline_info/`, which is about how it ran.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from pycurate.errors import TableError

EMBEDDING = np.float16
"""The numbers of an embedding, as EMBED leaves them."""

INFO = "pipeline_info"
"""The folder of what is about how a run went, and of no use to another."""

PARAMETERS = f"{INFO}/parameters.yaml"  # of a run by `pycurate run`

STAGES = ("PARTITION", "EMBED", "SCORE", "COMPARE", "DEDUP", "DECIDE", "WRITE", "REPORT", "UPLOAD")
"""In the order of the workflow."""


class Per(StrEnum):
    """For each of what there is a file; the number in its name is that one's, counted from zero."""

    RUN = "run"  # one file, whose name has no number
    PARTITION = "partition"
    BUCKET = "bucket"
    PLAN = "plan"  # of what one WRITE task copies
    TAR = "tar"
    STEP = "step"  # a piece of work: the number is its stage's name and a number


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: by which the code asks for it.
        pattern: its path beneath the folder of results; `{}` stands for the number.
        stage: which leaves it; empty where each does.
        per: what has a file of its own.
        stays: whether a run leaves it in `--outdir`; what does not is of use to the run alone.
    """

    name: str
    pattern: str
    stage: str
    per: Per = Per.RUN
    stays: bool = True

    @property
    def top(self) -> str:
        """The file, or the folder that holds it, directly beneath the folder of results."""
        return self.pattern.partition("/")[0]

    @property
    def regex(self) -> str:
        """What the paths of this kind match as a whole, the number as a group; Java reads it likewise."""
        before, _, after = map(re.escape, self.pattern.partition("{}"))
        digits = "" if self.per is Per.RUN else r"[\w-]+" if self.per is Per.STEP else "[0-9]+"
        return f"{before}({digits}){after}"

    def path(self, results: Path, number: str = "") -> Path:
        """Where a file of this kind lies; `number` as it is written there."""
        return results / self.pattern.format(number)

    def number(self, name: str) -> str | None:
        """The number that a path beneath the folder of results has as one of this kind; None if it is none.

        It is empty where there is one file. That of a step is such as `EMBED_00000`.
        """
        match = re.fullmatch(self.regex, name)
        return match[1] if match else None


KINDS = {
    kind.name: kind
    for kind in (
        # shard name, path, bytes and time stamp, tab separated
        Kind("partitions", "partitions/partitions_{}.tsv", "PARTITION", Per.PARTITION),
        # tables.SAMPLES, and what was asked for of DIGESTS, one row per input sample, in the order of the shards
        Kind("samples", "samples/samples_{}.parquet", "EMBED", Per.PARTITION),
        # uid of each readable sample + a float32 column per pixel scorer
        Kind("measures", "measures/measures_{}.parquet", "EMBED", Per.PARTITION),
        # samples, readable ones, seconds, compiled, {kind of embeddings: precision}
        Kind("stats", "stats/stats_{}.json", "EMBED", Per.PARTITION),
        # EMBEDDING (readable samples, dim), unit length
        Kind("img_emb", "img_emb/img_emb_{}.npy", "EMBED", Per.PARTITION),
        # the same of the duplicate descriptor, where that is another encoder, row by row as img_emb; where images are
        # mirrored and turned EMBEDDING (readable samples, views, dim), the image as it is first
        Kind("dedup_emb", "dedup_emb/dedup_emb_{}.npy", "EMBED", Per.PARTITION),
        # the same as img_emb of the images with their text painted over, where that is scored
        Kind("masked_emb", "masked_emb/masked_emb_{}.npy", "EMBED", Per.PARTITION),
        # tables.METADATA, aligned with img_emb row by row
        Kind("metadata", "metadata/metadata_{}.parquet", "EMBED", Per.PARTITION),
        # uid of each readable sample + a float32 column per score
        Kind("scores", "scores/scores_{}.parquet", "SCORE", Per.PARTITION),
        # the same of the captions, where these are scored; zero where there is none
        Kind("text_emb", "text_emb/text_emb_{}.npy", "SCORE", Per.PARTITION),
        # pycurate.comparison.targets.Targets: what all samples are compared with
        Kind("targets", "targets.npz", "COMPARE", stays=False),
        # uid of each readable sample + a float32 column per comparison; the metadata say what belongs to each concept
        Kind("comparisons", "comparisons/comparisons_{}.parquet", "COMPARE", Per.PARTITION),
        # pycurate.dedup.cells.Cells: what `train` decides
        Kind("cells", "cells/cells_00000.npz", "DEDUP"),
        # pycurate.dedup.visits.member_dtype: a partition's visits, by cell; those of reference sets follow
        Kind("assigned", "assigned/assigned_{}.npy", "DEDUP", Per.PARTITION),
        # pycurate.dedup.pairs.PAIRS: duplicates, whatever the filters say
        Kind("pairs", "pairs/pairs_{}.parquet", "DEDUP", Per.BUCKET),
        # pycurate.dedup.leakage.LEAKS: the images most like those of the sets that --leakage names
        Kind("leaks", "leaks/leaks_{}.parquet", "DEDUP", Per.PARTITION),
        # tables.DECISIONS + the score columns, one row per input sample
        Kind("decisions", "decisions.parquet", "DECIDE"),
        # tables.BLOCKED: what is on a list of --blocklist, and of which hash; only its owner can read it
        Kind("blocked", "blocked.parquet", "DECIDE"),
        # pycurate.dedup.leakage.LEAKAGE: of each image of those sets the best match, and what became of it
        Kind("leakage", "leakage.parquet", "DECIDE"),
        # pycurate.results.uids: which samples, as DataComp's tools list them
        Kind("uids_kept", "uids_kept.npy", "DECIDE"),
        Kind("uids_dropped", "uids_dropped.npy", "DECIDE"),
        # groups of duplicates, largest first: group, uid, kept, similarity
        Kind("duplicates", "duplicates.parquet", "DECIDE"),
        # how duplicates were sought, and the share of them that is found
        Kind("dedup", "dedup.json", "DECIDE"),
        # tables.PLAN: what one WRITE task copies, and the names of the shards that it reads, one a line
        Kind("plan", "plan/plan_{}.parquet", "DECIDE", Per.PLAN),
        Kind("plan_shards", "plan/plan_{}.tsv", "DECIDE", Per.PLAN),
        # pycurate.results.criteria.Criteria: what decided, written last of what DECIDE leaves
        Kind("criteria", "decisions.json", "DECIDE"),
        # the kept samples; their PLAN and scores; how many, and how many bytes; DALI's index, if it is asked for
        Kind("tars", "curated/{}.tar", "WRITE", Per.TAR),
        Kind("tar_tables", "curated/{}.parquet", "WRITE", Per.TAR),
        Kind("tar_stats", "curated/{}_stats.json", "WRITE", Per.TAR),
        Kind("tar_indices", "curated/{}.idx", "WRITE", Per.TAR),
        # pycurate.results.costs.Cost: what a piece of work cost
        Kind("times", "times/{}.json", "", Per.STEP, stays=False),
        # pycurate.report.examples.EXAMPLES, and the names of the shards that hold their images, one a line
        Kind("examples", "examples.parquet", "REPORT", stays=False),
        Kind("examples_shards", "examples.tsv", "REPORT", stays=False),
        # of pycurate and the packages that it uses; what the models' self-test found
        Kind("versions", "pipeline_info/versions.json", "REPORT"),
        Kind("models", "pipeline_info/models.json", "MODELS"),
        Kind("page", "report.html", "REPORT"),
        # pycurate.results.manifest: every other file with its bytes and SHA-256
        Kind("manifest", "manifest.tsv", "REPORT"),
        # written last of all: where it is, all is
        Kind("summary", "summary.json", "REPORT"),
    )
}


EMBEDDINGS = ("img_emb", "dedup_emb", "masked_emb")
"""The kinds of embeddings of images."""


def compared(results: Path) -> str:
    """The kind of the embeddings among which duplicates are sought: a descriptor's where there are any."""
    return "dedup_emb" if paths_of(results, "dedup_emb") else "img_emb"


def path_of(results: Path, kind: str, number: str = "") -> Path:
    """The path of a file, such as `samples/samples_00000.parquet`, by the name of its kind and its number."""
    return KINDS[kind].path(results, number)


def paths_of(results: Path, kind: str) -> dict[str, Path]:
    """{number: path} of the files of this kind that are there, in order (shorter numbers first, then by digits)."""
    which = KINDS[kind]
    paths = {
        which.number(path.relative_to(results).as_posix()): path for path in results.glob(which.pattern.format("*"))
    }
    there = sorted((number for number in paths if number is not None), key=lambda number: (len(number), number))
    return {number: paths[number] for number in there}


def numbers(results: Path, kind: str) -> list[str]:
    """The numbers of the files of `paths_of`. Raises TableError if there is none."""
    there = list(paths_of(results, kind))
    if not there:
        raise TableError(f"{results / KINDS[kind].top} holds no {kind} files; run the stage that writes them first.")
    return there


def forget_derived(results: Path, number: str) -> None:
    """Remove what SCORE, COMPARE and DEDUP made of a partition that is embedded anew: it would fit, row by row."""
    for kind in KINDS.values():
        if kind.stage in ("SCORE", "COMPARE", "DEDUP"):
            of_all = kind.per is not Per.PARTITION
            for path in paths_of(results, kind.name).values() if of_all else [kind.path(results, number)]:
                path.unlink(missing_ok=True)


def kinds_of(stage: str) -> list[str]:
    """The names of the kinds of files that a stage leaves for good."""
    return [kind.name for kind in KINDS.values() if kind.stage == stage and kind.stays]


def entries(stages: Collection[str]) -> list[str]:
    """What these stages leave for good directly beneath the folder of results, in the order above; INFO apart."""
    tops = (kind.top for kind in KINDS.values() if kind.stage in stages and kind.stays)
    return [top for top in dict.fromkeys(tops) if top != INFO]
