"""SCORE: every scorer's column for the readable samples of a partition, from embeddings and what EMBED measured."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pycurate.errors import ModelError, TableError
from pycurate.models.builtin.clip_score import ClipScore
from pycurate.models.identity import check_embedded
from pycurate.models.protocols import EmbeddingScorer, PixelScorer
from pycurate.plugins import called
from pycurate.results.layout import EMBEDDING, path_of
from pycurate.results.tables import read_embeddings, read_table, write_array, write_table

log = logging.getLogger(__name__)


def score_partition(
    results: Path,
    number: str,
    measured: Sequence[type[PixelScorer]],
    scorers: Sequence[EmbeddingScorer],
    clip: ClipScore | None = None,
    masked: bool = False,
    encoder: str | None = None,
) -> None:
    """Write the scores of one partition: a column for each scorer measured in EMBED, and for each on embeddings.

    With `clip` captions are scored too, out of `metadata`, and their embeddings written; with `masked` also against
    `masked_emb`. `encoder` names the one by which the embeddings must be, as far as `samples` are there and say it,
    even if nothing here reads them: another has other scorers, too. Raises TableError if they are by another, or a
    measure or embeddings are missing, ModelError if a scorer gives what its protocol does not allow.
    """
    if encoder:
        check_embedded(path_of(results, "samples", number), encoder, clip.tower if clip else None)
    measures = read_table(path_of(results, "measures", number))
    columns = {"uid": measures["uid"]}
    uids = measures["uid"].to_pylist()
    for kind in measured:
        if kind.name not in measures.column_names:
            raise TableError(
                f"Partition {number} has no measure {kind.name!r}; this scorer reads pixels: run embed.py with it "
                "(in the workflow, use --pixel_scorer)."
            )
        columns |= columns_of(kind, measures[kind.name].to_numpy(), number, uids)
    if scorers or clip:
        from pycurate.models.batching import checked_embedding_score  # here, since torch takes seconds to import

        embeddings = read_embeddings(path_of(results, "img_emb", number), measures.num_rows).astype(np.float32)
        for scorer in scorers:
            raw = checked_embedding_score(scorer, embeddings, number, uids)
            columns |= columns_of(type(scorer), raw, number, uids)
        if clip:
            captions = read_table(path_of(results, "metadata", number), ["caption"])["caption"].to_pylist()
            texts = clip.embed(captions)
            columns[clip.name] = clip.score(embeddings, texts)
            if masked:
                without_text = read_embeddings(path_of(results, "masked_emb", number), measures.num_rows)
                columns[clip.masked] = clip.score(without_text, texts)
            write_array(path_of(results, "text_emb", number), texts.astype(EMBEDDING))
    stated = {b"clip_score.precision": clip.tower.precision.encode()} if clip else None
    if not clip:  # those of an earlier call
        path_of(results, "text_emb", number).unlink(missing_ok=True)
    write_table(path_of(results, "scores", number), pa.table(columns, metadata=stated))
    log.info("partition %s: %d samples scored", number, measures.num_rows)


def columns_of(
    kind: type[PixelScorer] | type[EmbeddingScorer], raw: np.ndarray, partition: str, samples: Sequence[str]
) -> dict[str, np.ndarray]:
    """The score on the scale of thresholds, and beside it the raw one where that is another.

    Raises ModelError, naming class, partition and sample, if `calibrate` raises or gives what it should not.
    """
    calibrate = getattr(kind, "calibrate", None)
    if calibrate is None:
        return {kind.name: raw}
    name = f"{kind.__module__}:{kind.__qualname__}.calibrate"
    with called(f"{name} (partition {partition})", ModelError):
        scores = np.asanyarray(calibrate(raw.copy()))
    if scores.dtype.kind not in "fiu":
        raise ModelError(f"{name} gave {scores.dtype} instead of float32 (partition {partition}).")
    if scores.shape != raw.shape:
        raise ModelError(f"{name} gave shape {scores.shape} instead of {raw.shape} (partition {partition}).")
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is found here
        scores = scores.astype(np.float32)
    scores = np.ma.filled(scores, np.nan)  # what stands behind a mask is no value
    if not np.isfinite(scores).all():
        sample = samples[int(np.argmin(np.isfinite(scores)))]
        raise ModelError(f"{name} gave a value that is not finite (partition {partition}, sample {sample}).")
    return {kind.name: scores, f"{kind.name}_raw": raw}
