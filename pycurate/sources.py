"""The partitions among which duplicates are looked for, as DEDUP reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.errors import TableError
from pycurate.tables import numbers, path_of, read_table
from pycurate.vectors import Embeddings

REFERENCE = 1 << 30  # added to the numbers of a reference set's partitions


@dataclass(frozen=True)
class Source:
    """One partition: `number` names it in sample numbers, `name` in its files beneath `results`."""

    results: Path
    name: str
    reference: bool = False

    @property
    def number(self) -> int:
        """Of the partition, also in `assigned`; those of reference sets begin at REFERENCE."""
        return int(self.name) + REFERENCE * self.reference

    @property
    def embeddings(self) -> Path:
        """float (readable samples, dim)."""
        return path_of(self.results, "img_emb", self.name)

    def samples(self, columns: list[str]) -> pa.Table:
        """All samples of the partition, good and bad. Raises TableError."""
        return read_table(path_of(self.results, "samples", self.name), columns)

    def readable(self, columns: list[str]) -> pa.Table:
        """Its readable samples, one per embedding, in their order.

        Raises TableError if the rows that the samples name are not 0, 1, 2, ..., each once.
        """
        samples = self.samples([*columns, "row"])
        samples = samples.filter(pc.is_valid(samples["row"])).sort_by("row")
        if not np.array_equal(samples["row"].to_numpy(), np.arange(samples.num_rows)):
            raise TableError(f"The samples of partition {self.name} do not name each embedding once; embed it again.")
        return samples.drop_columns("row")

    def scores(self, uids: pa.ChunkedArray) -> pa.Table:
        """The scores of these samples, without the uid; of none, no columns, where SCORE left no table.

        Raises TableError if a sample has no score.
        """
        path = path_of(self.results, "scores", self.name)
        if not path.parent.is_dir():
            return pa.table({"uid": uids}).drop_columns("uid")
        scores = read_table(path)
        place = pc.index_in(uids, value_set=scores["uid"])
        if place.null_count:
            raise TableError(f"{path} lacks {place.null_count} of the readable samples; score the partition again.")
        return scores.drop_columns("uid").take(place)


def sources_of(results: Path, reference: bool = False) -> list[Source]:
    """The partitions of a folder that stages share, in order. Raises TableError if there are none."""
    return [Source(results, name, reference) for name in numbers(results, "samples")]


def embeddings_of(sources: Sequence[Source]) -> Embeddings:
    """The embeddings of all `sources`."""
    return Embeddings({source.number: source.embeddings for source in sources})


def aesthetic_of(scores: pa.Table, rows: int) -> np.ndarray:
    """float64 (rows,): the aesthetic score; NaN where there is none."""
    if "aesthetic" not in scores.column_names:
        return np.full(rows, np.nan)
    return scores["aesthetic"].to_numpy().astype(np.float64)
