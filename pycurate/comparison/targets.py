"""What all samples of a run are compared with, in one file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pycurate.comparison.concepts import Concept
from pycurate.comparison.contrast import Contrast
from pycurate.errors import TableError
from pycurate.files import atomic
from pycurate.results.comparisons import CONCEPT
from pycurate.results.tables import DAMAGED


@dataclass(frozen=True)
class Targets:
    """What is compared with.

    Attributes:
        similar: {name: float (m, dim)}, the embeddings of a target set.
        concepts: by name.
        contrast: of the captions; None where they are not compared.
    """

    similar: Mapping[str, np.ndarray]
    concepts: Mapping[str, Concept]
    contrast: Contrast | None

    def thresholds(self) -> dict[str, float]:
        """{column of a concept: the score from which a sample belongs to it}."""
        return {CONCEPT + name: concept.threshold for name, concept in self.concepts.items()}

    def save(self, path: Path) -> None:
        """Write one `.npz` file."""
        arrays = {f"similar.{name}": vectors for name, vectors in self.similar.items()}
        for name, concept in self.concepts.items():
            arrays |= {f"concept.{name}.{part}": np.asarray(value) for part, value in vars(concept).items()}
        arrays |= {f"contrast.{part}": value for part, value in vars(self.contrast).items()} if self.contrast else {}
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Targets":
        """Read what `save` wrote. Raises TableError if it cannot be read."""
        parts: dict[str, dict[str, np.ndarray]] = {"similar": {}, "concept": {}, "contrast": {}}
        try:
            with np.load(path, allow_pickle=False) as file:
                for key in file.files:
                    kind, _, name = key.partition(".")
                    parts[kind][name] = file[key]
            found = parts["concept"]
            names = [key.removesuffix(".scale") for key in found if key.endswith(".scale")]
            concepts = {
                name: Concept(
                    found[f"{name}.directions"], found[f"{name}.scale"].item(), found[f"{name}.threshold"].item()
                )
                for name in names
            }
            return cls(parts["similar"], concepts, Contrast(**parts["contrast"]) if parts["contrast"] else None)
        except DAMAGED as error:
            raise TableError(f"{path} cannot be read as targets ({error}); run compare.py targets again.") from error
