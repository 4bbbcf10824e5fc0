"""What makes an encoder the one it is, so that its embeddings are compared with no other's."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pycurate.files import sha256_of
from pycurate.models.protocols import Encoder
from pycurate.results.encoder import EncoderIdentity


def identity_of(encoder: Encoder) -> EncoderIdentity:
    """Of any encoder: its class, or what it states as `identity`; the SHA-256 that it states as `sha256`; its view.

    A class that states no `sha256` but names its published files in `weights` is known by theirs.
    """
    kind = type(encoder)
    published = "".join(weights.sha256 for weights in getattr(encoder, "weights", ()))
    sha256 = getattr(encoder, "sha256", "") or (hashlib.sha256(published.encode()).hexdigest() if published else "")
    # A class out of a file is known by its name alone: the file may lie elsewhere the next time.
    module = "" if kind.__module__.startswith("pycurate_user_") else f"{kind.__module__}:"
    name = getattr(encoder, "identity", f"{module}{kind.__qualname__}")
    return EncoderIdentity(str(name), str(sha256), asdict(encoder.view))


def sha256_of_files(files: Sequence[Path]) -> str:
    """One SHA-256 for files, whatever they are called: that of the sorted list of theirs, or of one file its own."""
    found = sorted(map(sha256_of, files))
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()
