"""Sets so small that importing torch, and learning keys and cells, takes longer than comparing all with all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pycurate.dedup.cells import Cells, cells_path
from pycurate.dedup.partitions import Source, embeddings_of
from pycurate.dedup.rank import shard_names
from pycurate.dedup.settings import Settings
from pycurate.hardware import default_device

FEW = 16384  # vectors, from which on more than one cell may pay and numpy takes longer than torch with its import


def device_for(vectors: int) -> str | None:
    """Where the products of so many keys are made: a device of torch, or None for numpy."""
    return None if vectors < FEW else default_device()


def are_few(sources: Sequence[Source], settings: Settings) -> bool:
    """Whether `cells_of_few` will do: the set is small, and neither cells nor the fast search were asked for."""
    embeddings = embeddings_of(sources)
    vectors = embeddings.shape[0] * sum(embeddings.rows(source.number) for source in sources)
    return vectors < FEW and settings.cells in (None, 1) and settings.exact is not False


def cells_of_few(results: Path, sources: Sequence[Source], settings: Settings) -> Cells:
    """One cell, in which vectors are their own keys; written and returned as by `pycurate.dedup.train.train`."""
    dim = embeddings_of(sources).shape[1]
    shards = shard_names(sources) if settings.keep == "first" else []
    cells = Cells(
        settings.threshold,
        settings.keep,
        1.0,
        np.eye(dim, dtype=np.float32),
        np.zeros((1, dim), np.float32),
        np.array([0, 1]),
        np.array(shards, dtype=np.str_),
        sources[0].kind,
    )
    cells.save(cells_path(results))
    return cells
