"""What identifies an encoder, so that embeddings of different encoders are not compared."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pycurate.errors import ModelError
from pycurate.files import sha256_of
from pycurate.models.protocols import Encoder
from pycurate.results.encoder import EncoderIdentity


def identity_of(encoder: Encoder, views: int = 1) -> EncoderIdentity:
    """Identity of an encoder: its `identity` or else its class, its `sha256`, its view, how many views it embeds, and
    its `precision`.

    For a class without `sha256`, the hashes of its published files in `weights` take its place.
    """
    kind = type(encoder)
    published = "".join(weights.sha256 for weights in getattr(encoder, "weights", ()))
    sha256 = getattr(encoder, "sha256", "") or (hashlib.sha256(published.encode()).hexdigest() if published else "")
    # A class in a file is identified by its name alone, since the file may be moved.
    module = "" if "/" in kind.__module__ else f"{kind.__module__}:"
    name = getattr(encoder, "identity", f"{module}{kind.__qualname__}")
    return EncoderIdentity(str(name), str(sha256), asdict(encoder.view), views, getattr(encoder, "precision", ""))


def check_pin(shown: object, sha256: str, due: str | None) -> None:
    """Raise ModelError unless the files that an error calls `shown` have the hash that is `due`, if one is."""
    if due not in (None, sha256):
        raise ModelError(
            f"{shown} has SHA-256 {sha256} where {due} is due, since it was changed after the run began; start the run "
            "again with -resume."
        )


def sha256_of_files(files: Sequence[Path]) -> str:
    """One SHA-256 for files, independent of their names: that of their sorted hashes; for one file, its own."""
    found = sorted(map(sha256_of, files))
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()
