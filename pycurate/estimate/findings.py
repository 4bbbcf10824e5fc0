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
    "shard_truncated": ("are cut or damaged up to their end", "their whole samples count, the rest becomes a row each"),
    "shard_corrupt": ("are damaged inside", "what is damaged becomes rows, the rest counts"),
    "no_samples": ("are tars without a sample", "a row each"),
}
SAMPLES = {  # error codes of samples
    "no_image": ("have no image", "rows with that reason"),
    "duplicate_key": ("have several images, or a key that came before in the shard", "rows with that reason"),
    "link": ("hold links that cannot be followed within their shard", "rows with that reason"),
    "empty": ("have an image of 0 bytes", "rows with that reason"),
    "not_an_image": ("have an image that begins like none (HTML, say)", "rows with that reason"),
    "unsupported": ("are stored in a way that is not decoded:", "convert them, or do without"),
    "too_large": ("have an image of over 1 GiB", "rows with that reason"),
}


def findings(survey: Survey, partition_bytes: int) -> list[Finding]:
    """What there is to say, what stops a run first; nothing for an input without fault."""
    return sorted(
        [*_of_shards(survey, partition_bytes), *_of_samples(survey), *_of_keys(survey)],
        key=lambda finding: not finding.fatal,
    )


def _of_shards(survey: Survey, partition_bytes: int) -> Iterator[Finding]:
    shards, read = len(survey.shards), len(survey.counts)
    if closed := sum(UNREADABLE in one.errors for one in survey.counts):
        yield Finding(closed, read, "shards cannot be read", "EMBED stops there; mend them or leave them out", True)
    if empty := sum(not shard.bytes for shard in survey.shards):
        yield Finding(empty, shards, "shards are empty files", "a row each")
    if survey.not_tars:
        meaning = "a row each, and what tar follows; unpack compressed ones"
        yield Finding(survey.not_tars, shards, "shards do not begin like a tar", meaning)
    for code, (what, meaning) in SHARDS.items():
        if found := sum(code in one.errors for one in survey.counts):
            yield Finding(found, read, f"shards {what}", meaning)
    sizes = [shard.bytes for shard in survey.shards if shard.bytes]
    middle = median(sizes) if sizes else 0
    if large := sum(size >= UNEVEN * middle for size in sizes):
        longest = max(sizes) / partition_bytes
        meaning = (
            f"a task never splits a shard: one takes {longest:.1f} times as long" if longest > 1.5 else "no matter"
        )
        yield Finding(large, shards, f"shards have over {UNEVEN} times the median's bytes", meaning)


def _of_samples(survey: Survey) -> Iterator[Finding]:
    samples, images = (sum(getattr(one, name) for one in survey.counts) for name in ("samples", "images"))
    errors = sum((one.errors for one in survey.counts), Counter[str]())
    formats = sum((one.formats for one in survey.counts), Counter[str]())
    for code, (what, meaning) in SAMPLES.items():
        if errors[code]:
            if code == "unsupported":
                what = " ".join([what, *sorted(name for name in formats if name and name not in DECODED)])
            yield Finding(errors[code], samples, f"samples {what}", meaning)
    if renamed := sum(one.renamed for one in survey.counts):
        yield Finding(renamed, images, "images are of another format than their name says", "no matter: bytes decide")
    captioned = sum(one.captioned for one in survey.counts)
    if images / 2 < captioned < images:
        meaning = "kept, unless --missing_caption drop"
        yield Finding(images - captioned, images, "samples lack the caption that most have", meaning)
    if huge := sum(one.huge for one in survey.counts):
        meaning = "EMBED holds some of them in memory at a time"
        yield Finding(huge, samples, f"samples have over {HUGE // 10**6} MB", meaning)


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
        meaning = "two of a key never share an output tar, so tars may hold fewer"
        yield Finding(repeated, int(number.sum()), "keys looked at stand in several shards", meaning)
