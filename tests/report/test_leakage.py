"""Of an evaluation set of which a part is planted in the input, the report says how large a part."""

import io
import json
import re
from pathlib import Path

import numpy as np
from by_hand import MODELS, SIDE, call, make_set, pixels
from flows import pycurate
from PIL import Image

from pycurate.report.leakage import leakage, sentences
from pycurate.results.layout import path_of
from pycurate.results.tables import read_table

WHOLE = f"""
class Whole:
    name, dim, view = "whole", {3 * SIDE * SIDE}, View({SIDE}, {SIDE})
    def __init__(self, model_dir, device): ...
    def encode(self, pixels): return pixels.float().flatten(1) - 127.5
"""
OWN = ["own.py:Whole" if word == "own.py:Mean" else word for word in MODELS]


def copy(number: int) -> bytes:
    """A picture that differs in its last bit from the one of this number."""
    file = io.BytesIO()
    Image.fromarray(pixels(number) ^ np.uint8(1)).save(file, "PNG")
    return file.getvalue()


def test_seven_planted_of_a_hundred_are_seven(tmp_path: Path) -> None:
    evaluation, results = tmp_path / "evaluation", tmp_path / "results"
    planted: list[list[int | bytes]] = [[3, 500, copy(14), 501, b"no image"], [15, copy(92), 65, 502, 503], [35, 89]]
    whole: list[list[int | bytes]] = [list(range(60)), list(range(60, 100))]
    for folder, shards in ((evaluation, whole), (results, planted)):
        folder.mkdir()
        make_set(folder, shards)
        with open(folder / "own.py", "a") as file:
            file.write(WHOLE)
        call(folder, "embed", *OWN)
        call(folder, "score", *OWN)
    call(results, "dedup", "leakage", "--leakage", f"own={evaluation}", "--dedup-threshold", "0.96")
    call(results, "decide", "--no-dedup", "--min-score", "bright=0", "--filter", "own.py:Even")
    call(results, "write")
    call(results, "report", "examples")
    call(results, "report", "render")
    table = read_table(path_of(results, "leakage"))
    similarity = table["similarity"].to_numpy()
    found = table.filter(similarity > 0.9)
    assert (similarity == 1).sum() == 5
    assert found.num_rows == 7 and table.num_rows == 100
    # The pictures have the same names in both sets; of the planted ones those at even places are kept.
    expected = {f"00000.tar/{key:03}" for key in (3, 14, 15, 35)} | {f"00001.tar/{key - 60:03}" for key in (65, 89, 92)}
    names = zip(found["image_shard"].to_pylist(), found["image_key"].to_pylist(), strict=True)
    assert {f"{shard}/{key}" for shard, key in names} == expected
    kept = [row["match_key"] for row in found.to_pylist() if row["reason"] == "kept"]
    assert kept and all(int(key) % 2 == 0 for key in kept)
    assert all((row["reason"] == "kept") == (row["kept_match"] is not None) for row in found.to_pylist())

    summary = json.loads(path_of(results, "summary").read_text())
    [own] = summary["leakage"]
    assert own["set"] == "own" and own["images"] == 100 and len(own["at"]) == 3
    assert own["at"][1] == {"threshold": 0.96, "leaked": 7, "share": 0.07, "kept": len(kept)}
    said = f"Of 100 images of own, 7 are in the input and {len(kept)} in what was kept (cosine at least 0.96)."
    assert said in summary["selection"] and sentences(leakage(results)) == [said]
    page = path_of(results, "page").read_text()
    assert re.search(r'<section id="leakage".*<td>7</td><td>7.0 %</td>', page, re.DOTALL)
    # Another decision says anew what was kept.
    done = pycurate("refilter", results, "--filter", "", "--write", tmp_path / "other")
    assert done.returncode == 0, done.stderr
    [own] = json.loads(path_of(tmp_path / "other", "summary").read_text())["leakage"]
    assert own["at"][1]["leaked"] == own["at"][1]["kept"] == 7
    call(results, "dedup", "leakage", "--leakage", str(evaluation), code=2)
    (evaluation / "img_emb" / "img_emb_00001.npy").unlink()
    assert "lacks" in call(results, "dedup", "leakage", "--leakage", f"own={evaluation}", code=1)
