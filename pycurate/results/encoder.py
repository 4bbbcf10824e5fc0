"""Which encoder made a partition's embeddings, stated in the metadata of its `samples` table, which goes with them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pycurate.errors import TableError
from pycurate.results.tables import opened

KEY = b"encoder"


@dataclass(frozen=True)
class EncoderIdentity:
    """Two encoders are one if these are equal. The device does not count, nor where weights lie.

    Attributes:
        name: of the class or of open_clip's model.
        sha256: of its weights; empty where its class states none.
        view: how an image becomes its input, as pycurate.images.views.View has it.
    """

    name: str
    sha256: str
    view: Mapping[str, Any]

    def to_metadata(self) -> dict[bytes, bytes]:
        """As metadata of a table's schema."""
        return {KEY: self.to_json().encode()}

    def to_json(self) -> str:
        """As `parse_encoder` reads it."""
        return json.dumps(asdict(self), sort_keys=True)

    def __str__(self) -> str:
        size = f"{self.view.get('width')}x{self.view.get('height')} {self.view.get('resize')}"
        return f"{self.name} (weights {self.sha256[:12] or 'unknown'}, {size})"


def parse_encoder(text: str | bytes) -> EncoderIdentity:
    """Of the JSON that `to_metadata` makes. Raises ValueError or TypeError for anything else."""
    return EncoderIdentity(**json.loads(text))


def read_encoder(samples: Path) -> EncoderIdentity | None:
    """The encoder that a `samples` table states; None if it states none, as those of other tools.

    Raises TableError if the table cannot be read, or states something else.
    """
    with opened(samples) as file:
        text = (file.schema_arrow.metadata or {}).get(KEY)
    try:
        return parse_encoder(text) if text else None
    except (ValueError, TypeError) as error:
        raise TableError(f"{samples} names no encoder ({error}); embed the partition again.") from error
