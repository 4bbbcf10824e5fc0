"""The columns of `comparisons`: scores of a sample that others enter into, so that a sample alone has none."""

import json
from collections.abc import Mapping
from pathlib import Path

from pycurate.errors import TableError
from pycurate.results.tables import opened

S_CLIP_LOSS = "s_clip_loss"
SIMILAR_INF, SIMILAR_2, CONCEPT = "norm_sim_inf_", "norm_sim_2_", "concept_"  # each followed by a name

_KEY = b"concepts"


def is_comparison(column: str) -> bool:
    """Whether a score of this name is one of `comparisons`."""
    return column == S_CLIP_LOSS or column.startswith((SIMILAR_INF, SIMILAR_2, CONCEPT))


def concepts_metadata(thresholds: Mapping[str, float]) -> dict[bytes, bytes]:
    """Metadata of the table: {column of a concept: the score from which a sample belongs to it}."""
    return {_KEY: json.dumps(dict(thresholds)).encode()}


def read_concepts(path: Path) -> dict[str, float]:
    """The same of a table. Raises TableError if it cannot be read."""
    with opened(path) as file:
        text = (file.schema_arrow.metadata or {}).get(_KEY, b"{}")
    try:
        return {str(name): float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise TableError(f"{path} does not state its concepts ({error}); run COMPARE again.") from error
