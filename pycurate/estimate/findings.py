"""What in an input deserves a look before a run, and what each such thing means for the run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from pycurate.estimate.survey import Survey
from pycurate.images.formats import DECODED
from pycurate.shards.count import HUGE, UNREADABLE

UNEVEN = 4  # times the median from which on the largest shard is worth a word


@dataclass(frozen=True)
class Finding:
    """`count` of the `of` things that were looked at; `fatal` if the run would stop there."""

    count: int
    of: int
    what: str
    meaning: str
    fatal: bool = False


SHARDS = {  # error codes that concern a shard: what is so, and what it means
    "shard_truncated": (
        "are truncated or damaged up to the end",
        "their complete samples are used, the rest is reported",
    ),
    "shard_corrupt": ("are damaged inside", "damaged parts are reported, the rest is used"),
    "no_samples": ("are tars without samples", "reported as one row each"),
}
SAMPLES = {  # error codes of samples
    "no_image": ("have no image", "dropped as unreadable"),
    "duplicate_key": ("have several images, or a key that occurred earlier in the shard", "dropped as unreadable"),
    "link": ("contain links that cannot be followed within their shard", "dropped as unreadable"),
    "empty": ("have an image of 0 bytes", "dropped as unreadable"),
    "not_an_image": ("have an image that is not one (for example HTML)", "dropped as unreadable"),
    "unsupported": ("have a sparse file, or a member of a type that POSIX does not define", "dropped as unreadable"),
    "too_large": ("have an image larger than 1 GiB", "dropped as unreadable"),
}


def findings(survey: Survey, partition_bytes: int) -> list[Finding]:
    """The problems found in the input, those that stop a run first."""
    return sorted(
        [*_of_shards(survey, partition_bytes), *_of_samples(survey), *_of_keys(survey)],
        key=lambda finding: not finding.fatal,
    )


def _of_shards(survey: Survey, partition_bytes: int) -> Iterator[Finding]:
    shards, read = len(survey.shards), len(survey.counts)
    if closed := sum(UNREADABLE in one.errors for one in survey.counts):
        yield Finding(closed, read, "shards cannot be read", "EMBED fails on them; repair them or leave them out", True)
    if empty := sum(not shard.bytes for shard in survey.shards):
        yield Finding(empty, shards, "shards are empty files", "reported as one row each")
    if survey.not_tars:
        meaning = "reported; decompress shards that are compressed"
        yield Finding(survey.not_tars, shards, "shards do not begin like a tar", meaning)
    for code, (what, meaning) in SHARDS.items():
        if found := sum(code in one.errors for one in survey.counts):
            yield Finding(found, read, f"shards {what}", meaning)
    sizes = [shard.bytes for shard in survey.shards if shard.bytes]
    middle = median(sizes) if sizes else 0
    if large := sum(size >= UNEVEN * middle for size in sizes):
        longest = max(sizes) / partition_bytes
        meaning = f"a task never splits a shard: one takes {longest:.1f} times as long" if longest > 1.5 else "harmless"
        yield Finding(large, shards, f"shards have more than {UNEVEN} times the median size", meaning)


def _of_samples(survey: Survey) -> Iterator[Finding]:
    samples, images = (sum(getattr(one, name) for one in survey.counts) for name in ("samples", "images"))
    errors = sum((one.errors for one in survey.counts), Counter[str]())
    formats = sum((one.formats for one in survey.counts), Counter[str]())
    if undecoded := {name: formats[name] for name in sorted(formats) if name and name not in DECODED}:
        what = f"samples have a format that is not decoded ({', '.join(undecoded)})"
        yield Finding(sum(undecoded.values()), samples, what, "convert them, or they are dropped as unreadable")
        errors["unsupported"] -= sum(undecoded.values())
    for code, (what, meaning) in SAMPLES.items():
        if errors[code]:
            yield Finding(errors[code], samples, f"samples {what}", meaning)
    if renamed := sum(one.renamed for one in survey.counts):
        yield Finding(renamed, images, "images have a wrong extension", "harmless: formats are detected from the bytes")
    captioned = sum(one.captioned for one in survey.counts)
    if images / 2 < captioned < images:
        meaning = "kept, unless --missing_caption drop"
        yield Finding(images - captioned, images, "samples lack a caption, which most have", meaning)
    if huge := sum(one.huge for one in survey.counts):
        meaning = "EMBED holds several of them in memory at once"
        yield Finding(huge, samples, f"samples are larger than {HUGE // 10**6} MB", meaning)


def _of_keys(survey: Survey) -> Iterator[Finding]:
    """Keys that occur in several shards, among the few that the survey kept of each shard.

    Of shards with more samples than that it kept those of the smallest hashes, so that equal keys are kept in each of
    two shards of about one size. In shards of very different sizes some repeats go unseen.
    """
    if not survey.counts:
        return
    each = [np.unique(one.keys) for one in survey.counts]
    _, number = np.unique(np.concatenate(each), return_counts=True)
    if repeated := int(number[number > 1].sum()):
        meaning = "their samples go to different tars, which may be smaller"
        yield Finding(repeated, int(number.sum()), "keys, of those compared, occur in several shards", meaning)
