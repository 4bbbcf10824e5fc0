"""COMPARE: scores of each sample that others enter into: the contrast set of captions, target sets, concepts."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pycurate.comparison.concepts import Concept
from pycurate.comparison.contrast import SIZE, Contrast, hashes, s_clip_loss
from pycurate.comparison.similarity import norm_sim
from pycurate.comparison.targets import Targets
from pycurate.comparison.wanted import Wanted
from pycurate.dedup.partitions import Source, sources_of
from pycurate.dedup.sets import one_encoder
from pycurate.dedup.vectors import ROW_BITS, Smallest, sample_numbers
from pycurate.errors import TableError
from pycurate.results.comparisons import CONCEPT, S_CLIP_LOSS, SIMILAR_2, SIMILAR_INF, concepts_metadata
from pycurate.results.layout import numbers, path_of, paths_of
from pycurate.results.tables import read_embeddings, write_table

if TYPE_CHECKING:  # it takes seconds to import
    from pycurate.models.builtin.openclip import OpenClip

log = logging.getLogger(__name__)


def gather_targets(results: Path, wanted: Wanted, tower: "OpenClip | None") -> None:
    """Leave targets.npz in `results`: what all samples are compared with. Earlier comparisons are removed.

    `tower` embeds the prompts of concepts by words. Of a folder with decisions the kept images count, of another all
    readable ones. Raises TableError if `results` has no samples; a folder has no image, lacks tables, or was embedded
    by another encoder than the input; or captions are to be compared and none has an embedding; UsageError if a folder
    is `results` itself.
    """
    numbers(results, "samples")  # prompts by themselves would not look for them
    similar = {name: _images(results, "--similar", name, folder) for name, folder in wanted.similar.items()}
    concepts = {
        name: Concept.of_examples(_images(results, "--concept", name, folder))
        for name, folder in wanted.examples.items()
    }
    for name, prompts in wanted.words.items():
        assert tower is not None
        concepts[name] = Concept.of_words(tower.encode_text(list(prompts)), tower.scale)
    contrast = _contrast(results) if wanted.s_clip_loss else None
    for earlier in paths_of(results, "comparisons").values():
        earlier.unlink()  # with other targets, which may have the same names
    Targets(similar, concepts, contrast).save(path_of(results, "targets"))


def compare_partition(results: Path, number: str, targets: Targets) -> None:
    """Write the comparisons of one partition. Raises TableError if its tables are missing or do not fit."""
    source = Source(results, number)
    uids = source.readable(["uid"])["uid"]
    images = np.asarray(read_embeddings(source.embeddings, len(uids)))
    columns: dict[str, object] = {"uid": uids}
    if targets.contrast:
        texts = np.asarray(_texts(source, len(uids)))
        columns[S_CLIP_LOSS] = s_clip_loss(images, texts, np.array(uids.to_pylist(), str), targets.contrast)
    for name, target in targets.similar.items():
        _check_dimension(images, target, name)
        columns[SIMILAR_INF + name], columns[SIMILAR_2 + name] = norm_sim(images, target)
    for name, concept in targets.concepts.items():
        _check_dimension(images, concept.directions, name)
        columns[CONCEPT + name] = concept.score(images)
    table = pa.table(columns).replace_schema_metadata(concepts_metadata(targets.thresholds()))
    write_table(path_of(results, "comparisons", number), table)
    log.info("partition %s: %d samples compared", number, len(uids))


def _images(results: Path, option: str, name: str, folder: str) -> np.ndarray:
    """float (n, dim): the embeddings of a set's images that count, each once."""
    option = f"{option} {name}"
    try:
        both = sources_of(results, [Path(folder)], kind="img_emb", option=option)
        sources = [source for source in both if source.reference]
        one_encoder([(one.results, one.name, one.reference > 0) for one in both], "img_emb")
    except TableError as error:
        raise TableError(f"{option}: {error}") from error
    parts = []
    for source in sources:
        samples = source.readable(["uid", "shard"])
        parts.append(np.asarray(read_embeddings(source.embeddings, samples.num_rows))[source.chosen(samples)])
    vectors = np.concatenate(parts)
    if not len(vectors):
        raise TableError(f"{option}: {folder} has no readable image that counts; name a folder with images.")
    return vectors


def _contrast(results: Path) -> Contrast:
    """What captions are compared with. Of all samples none but the chosen ones are held."""
    sources = sources_of(results, kind="img_emb")
    smallest = Smallest(SIZE)
    for source in sources:
        own = source.readable(["uid"])["uid"]
        captioned = np.flatnonzero(_texts(source, len(own)).any(axis=1))
        smallest.add(hashes(own.take(pa.array(captioned)).to_pylist()), sample_numbers(source.number, captioned))
    chosen = smallest.numbers()
    if not len(chosen):
        raise TableError(
            "No sample has a caption, so there is nothing that s_clip_loss could compare; leave it out, or see "
            "docs/inputs.md for where captions are looked for."
        )
    images, texts, uids, places = [], [], [], []
    for source in sources:
        here = np.flatnonzero(chosen >> ROW_BITS == source.number)
        if len(here):
            rows, own = chosen[here] & ((1 << ROW_BITS) - 1), source.readable(["uid"])["uid"]
            images.append(read_embeddings(source.embeddings, len(own))[rows])
            texts.append(_texts(source, len(own))[rows])
            uids.append(np.array(own.take(pa.array(rows)).to_pylist(), str))
            places.append(here)
    by_hash = np.argsort(np.concatenate(places))
    return Contrast(*(np.concatenate(part)[by_hash] for part in (images, texts, uids)))


def _texts(source: Source, rows: int) -> np.ndarray:
    """float16 (rows, dim), mapped: the embeddings of the captions of a partition; zero where there is none."""
    return read_embeddings(path_of(source.results, "text_emb", source.name), rows)


def _check_dimension(images: np.ndarray, others: np.ndarray, name: str) -> None:
    if images.shape[1] != others.shape[1]:
        raise TableError(
            f"What {name} names was embedded in {others.shape[1]} dimensions, the input in {images.shape[1]}; embed "
            "both with the same encoder."
        )
