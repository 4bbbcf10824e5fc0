"""The tables that stages hand to each other, and the folder that they share.

Every stage reads what it needs beneath one folder, `results`, and adds its own files to it:

    partitions/partitions_00000.tsv   PARTITION  shard name, path, bytes and time stamp, tab separated
    samples/samples_00000.parquet     EMBED      SAMPLES, one row per input sample, in the order of the shards
    measures/measures_00000.parquet   EMBED      uid of each readable sample + a float32 column per pixel scorer
    stats/stats_00000.json            EMBED      samples, readable ones, seconds, compiled
    img_emb/img_emb_00000.npy         EMBED      float16 (readable samples, dim), unit length
    metadata/metadata_00000.parquet   EMBED      METADATA, aligned with img_emb row by row
    scores/scores_00000.parquet       SCORE      uid of each readable sample + a float32 column per score
    cells/cells_00000.npz             DEDUP      pycurate.dedup.cells.Cells: what `train` decides, one file
    assigned/assigned_00000.npy       DEDUP      pycurate.dedup.visits.member_dtype: a partition's visits, by cell
    pairs/pairs_00000.parquet         DEDUP      pycurate.dedup.pairs.PAIRS: duplicates, whatever the filters say
    decisions.parquet                 DECIDE     DECISIONS + the score columns, one row per input sample
    decisions.json                    DECIDE     pycurate.results.criteria.Criteria: what decided, written last
    uids_kept.npy, uids_dropped.npy   DECIDE     pycurate.results.uids: which samples, as DataComp's tools list them
    duplicates.parquet                DECIDE     groups of duplicates, largest first: group, uid, kept, similarity
    dedup.json                        DECIDE     how duplicates were sought, and the share of them that is found
    plan/plan_00000.parquet           DECIDE     PLAN: what one WRITE task copies
    curated/00000.tar                 WRITE      the kept samples, with 00000.parquet, _stats.json, maybe .idx
    times/EMBED_00000.json            each       pycurate.results.costs.Cost: what a piece of work cost
    summary.json, report.html         REPORT

The number in a name is the partition's (in `plan`, the WRITE task's; in `pairs`, the bucket's).
"""

import re
from pathlib import Path

from pycurate.errors import TableError


def path_of(results: Path, kind: str, number: str) -> Path:
    """The path of a numbered file, such as `samples/samples_00000.parquet`."""
    suffix = {"img_emb": "npy", "partitions": "tsv", "cells": "npz", "assigned": "npy", "stats": "json"}.get(
        kind, "parquet"
    )
    return results / kind / f"{kind}_{number}.{suffix}"


def numbers(results: Path, kind: str) -> list[str]:
    """The numbers for which `results` holds a file of this kind, in order (shorter ones first, then by digits).

    Raises TableError if there is none.
    """
    found = {  # a plan has two files of a number
        match[1]
        for path in (results / kind).glob(f"{kind}_*")
        if (match := re.fullmatch(rf"{kind}_(\d+)\.\w+", path.name))
    }
    if not found:
        raise TableError(f"{results / kind} holds no {kind} files; run the stage that writes them first.")
    return sorted(found, key=lambda number: (len(number), number))
