"""EMBED: everything that needs pixels, in one decode: embeddings, and the scores that are measured on pixels."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import UsageError
from pycurate.files import write_json
from pycurate.hardware import cores, start_in_turn, start_on_all_cores
from pycurate.images.decode import ImageInfo
from pycurate.images.evidence import Evidence, evidence
from pycurate.images.loader import Batch, Loader
from pycurate.images.pdq import Pdq, pdq
from pycurate.images.symmetries import transformed
from pycurate.images.views import PDQ, TILES
from pycurate.models.batching import Rows, one_behind, start_encode, start_score
from pycurate.models.builtin.text_area import areas
from pycurate.models.identity import identity_of
from pycurate.models.masking import Masking
from pycurate.models.protocols import Encoder, PixelScorer
from pycurate.results.layout import EMBEDDING, EMBEDDINGS, forget_derived, path_of
from pycurate.results.partitions import read_partition
from pycurate.results.tables import DIGESTS, METADATA, SAMPLES, write_array, write_table
from pycurate.shards.captions import CAPTION_KEY
from pycurate.shards.listing import Shard, check_unchanged
from pycurate.shards.samples import Sample, read_samples

log = logging.getLogger(__name__)


CPU_BATCH = 20
"""Images that two cores read at a time; with 24 malloc keeps half a gigabyte more (benchmarks/stages.py)."""


@dataclass(frozen=True)
class LoaderOptions:
    """How images are read. None of these changes a result but `max_pixels`."""

    backend: Literal["cpu", "dali"]
    device: str
    batch_size: int
    max_pixels: int
    workers: int

    @classmethod
    def fill(
        cls, backend: str | None, device: str, batch_size: int, max_pixels: int, workers: int | None
    ) -> "LoaderOptions":
        """Fill what was left open: DALI on a GPU, else the CPU backend; a worker for each core.

        On a CPU small batches are as fast if each core has some of their images, and several of them wait in memory at
        a time.
        """
        chosen = cast(Literal["cpu", "dali"], backend or ("cpu" if device == "cpu" else "dali"))
        batch = min(batch_size, CPU_BATCH * ceil(cores() / 2)) if device == "cpu" else batch_size
        return cls(chosen, device, batch, max_pixels, workers or cores())


def check_digests(names: Sequence[str]) -> None:
    """Raise UsageError for a digest that cannot be computed."""
    for name in names:
        if name not in DIGESTS.names or name == "pdq_quality":
            raise UsageError(f"There is no digest {name!r}; choose among md5, sha1 and pdq (sha256 is always there).")


def embed_partition(
    results: Path,
    number: str,
    encoders: Mapping[str, Encoder],
    scorers: Sequence[PixelScorer],
    options: LoaderOptions,
    views: Mapping[str, int] | None = None,
    digests: Sequence[str] = (),
    caption_key: str = CAPTION_KEY,
) -> None:
    """Read, decode, embed and measure the images of one partition; write its samples, measures, metadata and, of each
    of `encoders`, the embeddings, in the file of the kind that names it.

    `views` says of how many pycurate.images.symmetries a kind has an embedding per image, where it has more than one.
    `caption_key` is as in pycurate.shards.captions.chosen_caption.

    The kind `masked_emb`, the last, is of images without the text in them, which a TextArea among `scorers` finds; its
    encoder is that of `img_emb`.

    `digests` are columns of DIGESTS that `samples` gets, too. With `pdq` among them images are decoded by the CPU.

    Every sample of the shards gets one row in `samples`, in the order of the shards; the table's metadata states the
    encoders (see `pycurate.results.encoder`). What later stages made of an earlier call's embeddings is removed. Raises
    ShardError if a shard is gone or changed, ModelError if a model gives what its protocol does not allow.
    """
    began = time.monotonic()
    shards = read_partition(results, number)
    rows: list[Sample] = []
    infos: list[ImageInfo] = []
    told: list[Evidence] = []  # of the readable ones
    hashes: list[Pdq] = []  # likewise
    hashed = "pdq" in digests
    per_image = dict.fromkeys(encoders, 1) | dict(views or {})
    each_view = [(kind, view) for kind in encoders for view in range(per_image[kind])]
    embeddings = [[np.zeros((0, encoders[kind].dim), dtype=EMBEDDING)] for kind, _ in each_view]
    seen = [(encoders[kind], view) for kind, view in each_view if kind != "masked_emb"]
    masking = Masking.of(encoders["masked_emb"], scorers) if "masked_emb" in encoders else None
    measures: list[list[np.ndarray]] = [[np.zeros(0, dtype=np.float32)] for _ in scorers]

    def start(batch: Batch[int]) -> tuple[list[Rows], Iterator[Pdq], Iterator[Evidence]]:
        """Note what was found of each image, and begin with what the readable ones need."""
        found = list(zip(batch.items, batch.images, strict=True))
        for index, info in found:
            infos[index] = info
            if info.error:
                rows[index].fail(info.error, info.message or "")
        uids = [rows[index].uid for index, info in found if not info.error]
        images = [info for _, info in found if not info.error]
        log.info("partition %s: %d samples read", number, len(rows))
        *rendered, tiles = batch.pixels
        encoded: dict[tuple[int, int], Rows] = {}  # an encoder of two kinds is asked once
        for (encoder, view), pixels in zip(seen, rendered, strict=False):
            if (id(encoder), view) not in encoded:
                encoded[id(encoder), view] = start_encode(encoder, transformed(pixels, view), number, uids)
        started = [encoded[id(encoder), view] for encoder, view in seen]
        scored = list(zip(scorers, rendered[len(seen) : len(seen) + len(scorers)], strict=True))
        known: dict[int, Rows] = {}
        if masking:
            (pixels,) = (pixels for scorer, pixels in scored if scorer is masking.scorer)
            text = masking.find(pixels, images, number, uids)
            started.append(masking.start(started[0], rendered[0], text, images, number, uids))
            known[id(masking.scorer)] = lambda: areas(text)  # and text is not sought twice
        for scorer, pixels in scored:
            started.append(known.get(id(scorer)) or start_score(scorer, pixels, images, number, uids))
        hashing = start_on_all_cores(pdq, rendered[-1].cpu().numpy() if hashed else ())
        return started, hashing, start_in_turn(evidence, zip(tiles.cpu().numpy(), images, strict=True))

    inputs = [*(encoder.view for encoder, _ in seen), *(scorer.view for scorer in scorers)]
    inputs += [PDQ, TILES] if hashed else [TILES]
    options = replace(options, backend="cpu") if hashed else options
    items = _items(shards, rows, infos, [name for name in digests if name != "pdq"], caption_key)
    with Loader(inputs, **vars(options)) as loader:
        for started, hashing, telling in one_behind(map(start, loader.batches(items))):
            hashes.extend(hashing)
            told.extend(telling)
            encoded, measured = started[: len(embeddings)], started[len(embeddings) :]
            for vectors, result in zip(embeddings, encoded, strict=True):
                vectors.append(normalised(result()).astype(EMBEDDING))
            for values, result in zip(measures, measured, strict=True):
                values.append(result())

    samples = with_digests(samples_table(rows, infos, told), rows, hashes, digests)
    readable_samples = samples.filter(pc.is_valid(samples["row"]))
    forget_derived(results, number)
    path_of(results, "samples", number).unlink(missing_ok=True)  # written last: without it the partition is missing
    whole = map(np.concatenate, embeddings)
    for kind in encoders:
        each = [next(whole) for _ in range(per_image[kind])]
        write_array(path_of(results, kind, number), each[0] if len(each) == 1 else np.stack(each, axis=1))
    for kind in set(EMBEDDINGS) - encoders.keys():  # those of an earlier call, with other encoders
        path_of(results, kind, number).unlink(missing_ok=True)
    write_table(path_of(results, "metadata", number), metadata_table(readable_samples))
    columns = {scorer.name: np.concatenate(values) for scorer, values in zip(scorers, measures, strict=True)}
    write_table(path_of(results, "measures", number), pa.table({"uid": readable_samples["uid"], **columns}))
    identities = {kind: identity_of(encoder, per_image[kind]) for kind, encoder in encoders.items()}
    stated: dict[bytes, bytes] = {}
    for kind, identity in identities.items():
        stated |= identity.to_metadata(kind)
    write_table(path_of(results, "samples", number), samples.replace_schema_metadata(stated))
    seconds = time.monotonic() - began
    counts = {"samples": samples.num_rows, "readable": readable_samples.num_rows, "seconds": round(seconds, 3)}
    # by torch.compile, which changes last bits
    compiled = any(getattr(encoder, "compiled", False) for encoder in encoders.values())
    precision = {kind: identity.precision for kind, identity in identities.items() if identity.precision}
    write_json(path_of(results, "stats", number), counts | {"compiled": compiled, "precision": precision})
    log.info(
        "partition %s: %d samples, %d readable, %.1f s, %.1f images/s",
        *(number, counts["samples"], counts["readable"], seconds, counts["samples"] / seconds),
    )


def normalised(vectors: np.ndarray) -> np.ndarray:
    """float32 (n, dim) -> the rows at unit L2 length; a zero row stays zero."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    vectors = np.ldexp(vectors, -np.frexp(largest)[1])  # by a power of two: no square of it overflows or vanishes
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def samples_table(rows: Sequence[Sample], infos: Sequence[ImageInfo], told: Sequence[Evidence]) -> pa.Table:
    """The SAMPLES table of these samples; `told` is of the readable ones, which are numbered in `row`."""
    readable = np.array([sample.error is None for sample in rows], dtype=bool)
    numbering = np.cumsum(readable) - 1
    place = ("uid", "shard", "key", "ext", "offset", "size", "sha256", "tar_offset", "tar_size")
    own = (*place, "caption", "given_uid")
    columns: dict[str, object] = {name: [getattr(sample, name) for sample in rows] for name in own}
    columns |= {name: [getattr(info, name) for info in infos] for name in ("width", "height", "format")}
    numbered = pa.array(numbering, pa.int64(), mask=~readable)
    for name in ("detail", "loss", "jpeg_quality"):
        columns[name] = pa.array([getattr(one, name) for one in told], SAMPLES.field(name).type).take(numbered)
    columns["status"] = np.where(readable, "ok", "error")
    columns["error"] = [sample.error for sample in rows]
    columns["error_message"] = [sample.message for sample in rows]
    columns["row"] = numbered
    return pa.table({name: columns[name] for name in SAMPLES.names}, schema=SAMPLES)


def with_digests(samples: pa.Table, rows: Sequence[Sample], hashes: Sequence[Pdq], digests: Sequence[str]) -> pa.Table:
    """The SAMPLES of these rows with those columns of DIGESTS that were asked for, `hashes` of the readable ones."""
    columns = {name: pa.array([row.digests.get(name) for row in rows], pa.string()) for name in digests}
    if "pdq" in digests:
        columns["pdq"] = pa.array([one.hash for one in hashes], pa.string()).take(samples["row"])
        columns["pdq_quality"] = pa.array([one.quality for one in hashes], pa.int16()).take(samples["row"])
    for name in DIGESTS.names:
        if name in columns:
            samples = samples.append_column(name, columns[name])
    return samples


def metadata_table(samples: pa.Table) -> pa.Table:
    """The METADATA table of the readable samples, in the order of their embeddings."""
    records = samples.select(["shard", "key", "ext"]).to_pylist()
    paths = [f"{record['shard']}/{record['key']}.{record['ext']}" for record in records]
    return samples.append_column("image_path", pa.array(paths, pa.string())).select(METADATA.names)


def _items(
    shards: Sequence[Shard],
    rows: list[Sample],
    infos: list[ImageInfo],
    digests: Sequence[str],
    caption_key: str,
) -> Iterator[tuple[int, bytes]]:
    """The images of all shards with their number in `rows`, which fills as they are read; bad samples go there only."""
    for shard in shards:
        check_unchanged(shard)
        for sample in read_samples(shard.path, shard.name, digests=digests, caption_key=caption_key):
            data, sample.data = sample.data, b""
            rows.append(sample)
            infos.append(ImageInfo(0, 0, ""))
            if sample.error is None:
                yield len(rows) - 1, data
