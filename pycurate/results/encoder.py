"""The encoder of a folder of embeddings, recorded in the metadata of each `samples` table next to them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pycurate.errors import TableError
from pycurate.results.tables import opened


@dataclass(frozen=True)
class EncoderIdentity:
    """What identifies an encoder. The device and the location of the weights are not part of it.

    Attributes:
        name: of the class or of open_clip's model.
        sha256: of its weights; empty if its class states none.
        view: how an image becomes its input: the fields of pycurate.images.views.View.
        views: how many embeddings each image has, of its first so many pycurate.images.symmetries.
        precision: in which its open_clip model computed, fp32 or bf16; empty where that is not stated. It may differ
            between embeddings that are compared, since their cosines hardly do.
    """

    name: str
    sha256: str
    view: Mapping[str, Any]
    views: int = 1
    precision: str = field(default="", compare=False)

    def to_metadata(self, kind: str) -> dict[bytes, bytes]:
        """Metadata for a table's schema, as the encoder of embeddings of this kind, such as `img_emb`."""
        return {_key(kind): json.dumps(asdict(self), sort_keys=True).encode()}

    def __str__(self) -> str:
        size = f"{self.view.get('width')}x{self.view.get('height')} {self.view.get('resize')}"
        views = f", {self.views} views" if self.views > 1 else ""
        return f"{self.name} (weights {self.sha256[:12] or 'unknown'}, {size}{views})"


def read_encoder(samples: Path, kind: str) -> EncoderIdentity | None:
    """The encoder that a `samples` table records for embeddings of this kind; None if it records none.

    Raises TableError if the table cannot be read, or the record is invalid.
    """
    with opened(samples) as file:
        text = (file.schema_arrow.metadata or {}).get(_key(kind))
    try:
        found = EncoderIdentity(**json.loads(text)) if text else None
        if found and not isinstance(found.precision, str):
            raise TypeError(f"its precision is {found.precision!r}")
        return found
    except (ValueError, TypeError) as error:
        raise TableError(f"{samples} does not record a valid encoder ({error}); embed the partition again.") from error


def _key(kind: str) -> bytes:
    return f"{kind}.encoder".encode()
