"""A sentence where the partitions of a run were not all embedded in the same precision."""

import json
from collections import Counter
from pathlib import Path

from pycurate.results.layout import paths_of


def mixed_precision(results: Path) -> list[str]:
    """One sentence if the `stats` of the partitions state several precisions for embeddings of one kind, else none."""
    stats = [json.loads(path.read_text()) for path in paths_of(results, "stats").values()]
    found = []
    # masked_emb is of img_emb's encoder.
    for kind in sorted({kind for one in stats for kind in one["precision"]} - {"masked_emb"}):
        counts = Counter(one["precision"][kind] for one in stats if kind in one["precision"])
        if len(counts) > 1:
            shares = " and ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
            found.append(
                f"Partitions of {kind} were embedded in different precisions, {shares}, since processors differ. "
                "--precision fp32 or bf16 has all of them embedded in the same."
            )
    return found
