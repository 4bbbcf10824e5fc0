"""What DECIDE promises: each filter is asked once about a sample, whatever it answers."""

from collections import Counter

import numpy as np
import pytest
from coin import Coin
from dedup_sets import Samples, chains, clustered, stars, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycurate.decide import decide
from pycurate.dedup import find_pairs
from pycurate.filters import Filtering
from pycurate.plan import Layout
from pycurate.settings import Settings
from pycurate.sources import sources_of
from pycurate.tables import read_table
from pycurate.verify import verify


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from([clustered, chains, stars]),
    n=st.integers(1, 200),
    share=st.sampled_from([0.05, 0.5, 0.9]),
    parts=st.integers(1, 3),
    referred=st.sampled_from([0, 0.3]),
)
def test_a_filter_that_draws_at_random_loses_no_image(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: object, n: int, share: float, parts: int, referred: float
) -> None:
    samples = Samples.of(kind(n, 8, seed), seed)  # type: ignore[operator]
    folder, first = tmp_path_factory.mktemp("set"), int(referred * n)
    references = [write_set(folder / "old", samples, [np.arange(first)])] if first else []
    results = write_set(folder / "new", samples, np.array_split(np.arange(first, n), parts))
    sources = sources_of(results, references)
    find_pairs(results, sources, Settings(0.9, cells=4, exact=True))
    Coin.asked.clear()
    decisions = decide(results, sources, Filtering(filter=[f"coin:Coin={share}"]), Layout(), dedup=True)
    assert Coin.asked == Counter(samples.uid(i) for i in range(first, n))
    verify(sources, decisions, 0.9)  # no two kept ones are duplicates, each dropped one names one that is kept
    kept = set(decisions.filter(decisions["kept"])["uid"].to_pylist())
    groups = read_table(results / "duplicates.parquet").to_pylist()
    named = {row["uid"] for row in groups if row["kept"]}
    assert named <= kept | {samples.uid(i) for i in range(first)}
    assert {row["uid"] for row in groups if not row["kept"]}.isdisjoint(kept)
