"""Targets are read as they were written, or refused."""

from pathlib import Path

import numpy as np
from damage import check_refusals

from pycurate.comparison.concepts import Concept
from pycurate.comparison.contrast import Contrast
from pycurate.comparison.targets import Targets


def test_targets_are_read_as_they_were_written(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float16)
    concepts = {"a": Concept.of_words(vectors, 100.0), "b": Concept.of_examples(vectors)}
    contrast = Contrast(vectors, vectors[::-1], np.array(["x", "y", "z"]))
    for written in (Targets({"s": vectors}, concepts, contrast), Targets({}, {}, None)):
        written.save(tmp_path / "targets.npz")
        read = Targets.load(tmp_path / "targets.npz")
        np.testing.assert_equal(dict(read.similar), dict(written.similar))
        for name, concept in written.concepts.items():
            np.testing.assert_equal(vars(read.concepts[name]), vars(concept))
        assert read.concepts.keys() == written.concepts.keys() and (read.contrast is None) == (written.contrast is None)
        if read.contrast:
            np.testing.assert_equal(vars(read.contrast), vars(contrast))


def test_damaged_targets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "targets.npz"
    Targets({"s": np.eye(3)}, {"c": Concept.of_examples(np.eye(3))}, None).save(path)
    check_refusals(path, Targets.load, "cannot be read as targets .*; run compare.py targets again")
