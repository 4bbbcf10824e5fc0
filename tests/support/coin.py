"""A filter that draws at random, and so never says the same twice, for the tests of who asks it how often."""

from collections import Counter
from typing import ClassVar

import numpy as np
import pyarrow as pa


class Coin:
    """Pass each sample with this chance; `asked` counts, for all coins, how often each uid was asked about."""

    reason = "coin"
    asked: ClassVar[Counter[str]] = Counter()
    random: ClassVar[np.random.Generator] = np.random.default_rng(0)

    def __init__(self, chance: float = 0.5) -> None:
        self.chance = chance

    def passes(self, table: pa.Table) -> np.ndarray:
        self.asked.update(table["uid"].to_pylist())
        return self.random.random(table.num_rows) < self.chance
