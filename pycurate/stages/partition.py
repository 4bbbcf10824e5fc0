"""PARTITION: the input's shards, in groups of about equal bytes and in a stable order."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pycurate.errors import UsageError
from pycurate.shards.count import count
from pycurate.shards.listing import Shard

if TYPE_CHECKING:
    from pycurate.comparison.wanted import Wanted
    from pycurate.filters.filtering import Filtering
    from pycurate.models.selection import ModelSelection


def partition(shards: Sequence[Shard], partition_bytes: int) -> list[list[Shard]]:
    """Cut the shards, in their order, into groups that reach `partition_bytes` each; the last may be smaller.

    A group ends where it comes nearest to its size, so shards added behind the last change only the last group.
    """
    groups: list[list[Shard]] = []
    room = 0.0
    for shard in shards:
        if not groups or room < shard.bytes / 2:
            groups.append([])
            room = partition_bytes
        groups[-1].append(shard)
        room -= shard.bytes
    return groups


def bytes_in(minutes: float, images_per_second: float, shards: Sequence[Shard]) -> int:
    """Bytes of shards that a task of this rate embeds in so many minutes.

    The bytes of an image are those of three shards of the input (first, middle, last), whose headers are read.
    Raises UsageError if they hold no image.
    """
    probes = {shards[at] for at in (0, len(shards) // 2, -1)}
    images = sum(count(shard).images for shard in probes)
    if not images:
        raise UsageError("The first, middle and last shard contain no image; use --partition-bytes instead.")
    return max(1, round(minutes * 60 * images_per_second * sum(shard.bytes for shard in probes) / images))


def check_models(encoders: Iterable[str], scorers: Sequence[str], pixel_scorers: Sequence[str]) -> None:
    """Raise UsageError where what the user names as a model is none, or is given by the other scorer's option.

    That is seen without weights: what shows only when a model is made, MODELS finds.
    """
    from pycurate.models.presets import check_encoder, check_scorer, reads_pixels  # here, since most calls name none

    for spec in encoders:
        check_encoder(spec)
    for spec in (*scorers, *pixel_scorers):
        pixels = reads_pixels(spec)
        if pixels != (spec in pixel_scorers):
            has, option = ("a", "--pixel_scorer") if pixels else ("no", "--scorer")
            raise UsageError(
                f"{spec} has {has} `view`, so it reads {'pixels' if pixels else 'embeddings'}; use {option}."
            )
        check_scorer(spec)


def check_criteria(
    models: "ModelSelection", filtering: "Filtering", wanted: Iterable[str], comparisons: "Wanted"
) -> None:
    """Raise UsageError where a filter of the user's own is none, or a threshold is on a score that no model gives.

    `wanted` are scores that have a threshold beside those of `filtering`. Raises as `check_text` where captions or
    words are embedded.
    """
    import pyarrow as pa

    from pycurate.filters.combined import fitted, with_combined
    from pycurate.filters.language import LANGUAGE_SCORE
    from pycurate.filters.repeats import CAPTION_COUNT
    from pycurate.filters.thresholds import Threshold, score_of
    from pycurate.models.builtin.clip_score import ClipScore, check_text
    from pycurate.results.criteria import Side
    from pycurate.results.tables import SAMPLES

    captions = ClipScore.name in filtering.columns()
    if captions or models.masked or comparisons.s_clip_loss or comparisons.words:
        check_text(models.encoder)
    compared = comparisons.columns()
    scores = models.columns() + ([ClipScore.name] if captions else [])
    scores += [ClipScore.masked] if models.masked else []
    scores += [CAPTION_COUNT] if filtering.counts_captions else []
    scores += [LANGUAGE_SCORE] if filtering.reads_languages else []
    if both := set(scores) & set(compared):
        raise UsageError(f"There are two scores {both.pop()}; give what --similar or --concept names another name.")
    scores += compared
    nothing = pa.schema([*SAMPLES, *(pa.field(name, pa.float32()) for name in scores)]).empty_table()
    nothing = with_combined(nothing, fitted(filtering.combinations(), lambda: [nothing]))
    thresholds = [one for one in filtering.filters() if isinstance(one, Threshold)]
    for top in filtering.tops():
        score_of(nothing, top.column)
    if filtering.balance_by:
        score_of(nothing, filtering.balance_by)
    for one in [*thresholds, *(Threshold(score, Side.AT_LEAST, 0) for score in wanted)]:
        one.passes(nothing)
