"""The partitions among which duplicates are looked for, as DEDUP and DECIDE read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycurate.dedup.sets import identity, one_encoder, whole
from pycurate.dedup.vectors import ROW_BITS, Embeddings
from pycurate.errors import TableError, UsageError
from pycurate.results.comparisons import read_concepts
from pycurate.results.layout import compared, path_of
from pycurate.results.tables import DIGESTS, SAMPLES, known_columns, opened, read_table, stream

REFERENCE = 1 << 24  # added to the numbers of a reference set's partitions, twice for the second set, and so on
REFERENCES = (1 << 63 - ROW_BITS) // REFERENCE - 1  # as many sets as the numbers of samples tell apart


@dataclass(frozen=True)
class Source:
    """One partition: `number` names it in sample numbers, `name` in its files beneath `results`.

    `reference` is 0 for what is to be curated, 1 for the first reference set, and so on; `kind` is that of the
    embeddings that are compared.
    """

    results: Path
    name: str
    reference: int = 0
    kind: str = "img_emb"

    @property
    def number(self) -> int:
        """Of the partition, also in `assigned`; those of reference sets begin at REFERENCE."""
        return int(self.name) + REFERENCE * self.reference

    @property
    def label(self) -> str:
        """What the user calls it: 00000, or 1:00000 in the first reference set."""
        return f"{self.reference}:{self.name}" if self.reference else self.name

    @property
    def embeddings(self) -> Path:
        """float (readable samples, dim), or of several views (readable samples, views, dim)."""
        return path_of(self.results, self.kind, self.name)

    def samples(self, columns: list[str]) -> pa.Table:
        """All samples of the partition, good and bad. Raises TableError.

        Of the types of SAMPLES and DIGESTS, whatever a tool that wrote them has in their place.
        """
        path = path_of(self.results, "samples", self.name)
        table, types = read_table(path, columns), pa.schema([*SAMPLES, *DIGESTS])
        try:
            return table.cast(pa.schema([types.field(name) for name in columns]))
        except pa.ArrowException as error:
            raise TableError(f"{path} has a column of another type ({error}); see docs/output.md.") from error

    @property
    def count(self) -> int:
        """How many samples it has, good and bad. Raises TableError."""
        with opened(path_of(self.results, "samples", self.name)) as file:
            return int(file.metadata.num_rows)

    def known(self, columns: Sequence[str]) -> list[str]:
        """Those of these columns of SAMPLES that its table has: an earlier version did not write all of them."""
        return known_columns(path_of(self.results, "samples", self.name), columns)

    def readable(self, columns: list[str]) -> pa.Table:
        """Its readable samples, one per embedding, in their order.

        Raises TableError if the rows that the samples name are not 0, 1, 2, ..., each once.
        """
        samples = self.samples([*columns, "row"])
        samples = samples.filter(pc.is_valid(samples["row"]))
        if (np.diff(samples["row"].to_numpy()) < 0).any():  # not as EMBED leaves them
            samples = samples.sort_by("row")  # which arrow cannot where their captions take more than 2 GiB
        if not np.array_equal(samples["row"].to_numpy(), np.arange(samples.num_rows)):
            raise TableError(
                f"The samples of partition {self.name} do not refer to each embedding once; embed it again."
            )
        return samples.drop_columns("row")

    def facts(self) -> pa.Table:
        """The columns of SAMPLES, a row per readable sample."""
        return self.readable(self.known([name for name in SAMPLES.names if name != "row"]))

    def chosen(self, samples: pa.Table) -> np.ndarray:
        """bool (n,): which of these readable samples, of which `uid` and `shard` are asked for, are searched.

        All, but of a reference set that a run has curated, those that it kept.
        """
        decisions = path_of(self.results, "decisions")
        if not self.reference or not decisions.exists():
            return np.ones(samples.num_rows, bool)
        uids, kept = samples["uid"], [pa.array([], pa.string())]
        for batch in stream(decisions, ["uid", "kept"], samples["shard"]):  # of a few partitions, out of all
            kept.append(batch["uid"].filter(pc.and_(batch["kept"], pc.is_in(batch["uid"], value_set=uids))))
        return pc.is_in(uids, value_set=pa.concat_arrays(kept)).to_numpy()

    def scores(self, uids: pa.ChunkedArray) -> pa.Table:
        """The scores of these samples, without the uid, then their comparisons; no columns where no stage left a table.

        Raises TableError if a sample has no score, or two columns have one name.
        """
        found = pa.table({"uid": uids}).drop_columns("uid")
        for kind in ("scores", "comparisons"):
            path = path_of(self.results, kind, self.name)
            if not path.parent.is_dir():
                continue
            table = read_table(path)
            named = table["uid"].cast(pa.string())
            if not named.equals(uids):
                place = pc.index_in(uids, value_set=named)
                if place.null_count:
                    raise TableError(
                        f"{path} lacks {place.null_count} of the readable samples; score the partition again."
                    )
                table = table.take(place)
            for name in table.drop_columns("uid").column_names:
                if name in found.column_names:
                    raise TableError(f"{path} has a score {name}, as others have; give one of them another name.")
                found = found.append_column(name, table[name])
        return found

    def concepts(self) -> dict[str, float]:
        """{column of a concept: the score from which a sample belongs to it}. Raises TableError."""
        path = path_of(self.results, "comparisons", self.name)
        return read_concepts(path) if path.exists() else {}


def sources_of(
    results: Path,
    references: Sequence[Path] = (),
    by: str = "samples",
    kind: str | None = None,
    option: str = "--reference",
) -> list[Source]:
    """The partitions of a folder that stages share, then those of its reference sets, in order.

    `by` names the files that tell which there are, `kind` the embeddings that are compared, in the references too: by
    default what `results` holds (pycurate.results.layout.compared). `option` is the one that names the references.

    Raises UsageError if `results` are among their own references, or these are too many; TableError if one of the
    folders has no partitions, or not all of them (see `pycurate.dedup.sets`).
    """
    for folder in references:
        if folder.resolve() == results.resolve():
            raise UsageError(f"{option}: {folder} holds the results themselves; give those of another run.")
    check_count(len(references), "reference")
    kind = kind or compared(results)
    folders = enumerate([results, *references])
    return [
        Source(folder, name, which, kind) for which, folder in folders for name in whole(folder, by, kind, which > 0)
    ]


def check_count(sets: int, option: str) -> None:
    """Raise UsageError if an option names more sets than the numbers of samples tell apart."""
    if sets > REFERENCES:
        raise UsageError(f"--{option} names {sets} sets; give at most {REFERENCES}.")


def source_named(results: Path, references: Sequence[Path], label: str, kind: str) -> Source:
    """The partition that the user calls so, with the embeddings of this kind. Raises UsageError if there is none."""
    which, _, name = label.rpartition(":")
    folders = [results, *references]
    if (which or "0").isdecimal() and int(which or 0) < len(folders):
        source = Source(folders[int(which or 0)], name, int(which or 0), kind)
        if name.isdecimal() and path_of(source.results, "samples", name).exists():
            return source
    raise UsageError(f"There is no partition {label}; give one such as 00000, or 1:00000 for the first reference set.")


def check_encoder(sources: Sequence[Source]) -> None:
    """Raise TableError if `sources` were embedded by different encoders, as `pycurate.dedup.sets` tells."""
    tables = ((source.results, source.name, source.reference > 0) for source in sources)
    one_encoder(tables, sources[0].kind)


def references_of(sources: Sequence[Source]) -> tuple[str, ...]:
    """The identity of each reference set among `sources`, in order, whatever its folder is called.

    Raises TableError if a table is missing or cut.
    """
    tables: dict[int, list[Path]] = {}
    for source in sources:
        if source.reference:
            tables.setdefault(source.reference, []).append(path_of(source.results, "samples", source.name))
    return tuple(identity(tables[which]) for which in sorted(tables))


def embeddings_of(sources: Sequence[Source]) -> Embeddings:
    """The embeddings of all `sources`."""
    return Embeddings({source.number: source.embeddings for source in sources})


def aesthetic_of(scores: pa.Table, rows: int) -> np.ndarray:
    """float64 (rows,): the aesthetic score; NaN where there is none."""
    if "aesthetic" not in scores.column_names:
        return np.full(rows, np.nan)
    return scores["aesthetic"].to_numpy().astype(np.float64)
