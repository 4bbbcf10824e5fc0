"""Partitions that were embedded in different precisions are stated as such."""

from pathlib import Path

import pytest

from pycurate.files import write_json
from pycurate.report.precision import mixed_precision
from pycurate.results.layout import path_of


@pytest.mark.parametrize("given", [[{}], [{"img_emb": "fp32"}] * 3, [{"img_emb": "fp32", "dedup_emb": "bf16"}, {}]])
def test_one_precision_for_each_kind_is_not_worth_a_word(tmp_path: Path, given: list[dict[str, str]]) -> None:
    for number, precision in enumerate(given):
        write_json(path_of(tmp_path, "stats", f"{number:05d}"), {"samples": 1, "precision": precision})
    assert mixed_precision(tmp_path) == []


def test_how_many_partitions_were_embedded_in_which_precision_is_said(tmp_path: Path) -> None:
    for number, precision in enumerate(("fp32", "bf16", "fp32")):
        write_json(path_of(tmp_path, "stats", f"{number:05d}"), {"precision": {"img_emb": precision}})
    (said,) = mixed_precision(tmp_path)
    assert "1 in bf16 and 2 in fp32" in said and "--precision" in said
