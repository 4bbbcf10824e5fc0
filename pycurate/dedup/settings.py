"""What may be chosen for the search for duplicates."""

from dataclasses import dataclass

from pycurate.dedup.rank import Keep
from pycurate.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """What may be chosen for the search; what is None follows from the data.

    Attributes:
        threshold: cosine from which on two samples are duplicates, above 0 and at most 1.
        keep: which of several duplicates outranks the others.
        exact: whether to lose no duplicate, or to visit few cells and measure what that loses. By default exact where
            it costs at most MOST_VISITS per vector.
        cells: number of cells.
        buckets: number of buckets of cells, each one match task.

    Raises UsageError for values out of range.
    """

    threshold: float
    keep: Keep = "best"
    exact: bool | None = None
    cells: int | None = None
    buckets: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"The duplicate threshold must be a cosine above 0 and at most 1, not {self.threshold}.")
        for name, value in (("cells", self.cells), ("buckets", self.buckets)):
            if value is not None and value < 1:
                raise UsageError(f"There must be at least one of {name}, not {value}.")
