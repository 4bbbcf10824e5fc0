"""What identifies an encoder, so that embeddings of different encoders are not compared."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pycurate.errors import ModelError, TableError
from pycurate.files import sha256_of
from pycurate.models.protocols import Encoder
from pycurate.plugins import LOCAL, TORCHSCRIPT, is_class, load_class, one_name, unpinned
from pycurate.results.encoder import EncoderIdentity, read_encoder


def identity_of(encoder: Encoder, views: int = 1) -> EncoderIdentity:
    """Identity of an encoder: its class, its `sha256`, its view, how many views it embeds, and its `precision`.

    Of pycurate's own that run a model by name, `identity` takes the place of the class. A class derived from one of
    those has inherited it, but may compute something else. For a class without `sha256`, the hashes of its published
    files in `weights` take its place.
    """
    kind = type(encoder)
    published = "".join(weights.sha256 for weights in getattr(encoder, "weights", ()))
    sha256 = getattr(encoder, "sha256", "") or (hashlib.sha256(published.encode()).hexdigest() if published else "")
    own = getattr(encoder, "identity", None) if kind.__module__.startswith("pycurate.") else None
    precision = str(getattr(encoder, "precision", ""))  # of a class of the user's own, say, torch.float16
    return EncoderIdentity(own or _class_name(kind), str(sha256), asdict(encoder.view), views, precision)


def _class_name(kind: type) -> str:
    """A class in a file is identified by its name alone, since the file may be moved."""
    return kind.__qualname__ if "/" in kind.__module__ else f"{kind.__module__}:{kind.__qualname__}"


def check_embedded(samples: Path, spec: str, tower: Encoder | None = None) -> None:
    """Raise TableError if the table `samples` records that `img_emb` is by another encoder than that named `spec`.

    As far as names tell, or all that identifies `tower`, which is that encoder where it has been made. Where there is
    no such table or record, nothing is known.
    """
    stated = read_encoder(samples, "img_emb") if samples.exists() else None
    if stated is None:
        return
    # Presets name the class as it is recorded: it need not be loaded, and torch with it.
    if identity_of(tower) == stated if tower else stated.name == spec or stated.name in _names(spec):
        return
    given = str(identity_of(tower)) if tower else unpinned(spec)[0]
    raise TableError(
        f"{samples} says that its embeddings are by {stated}, not by {given}; give the --preset or --encoder of "
        "embed.py."
    )


def _names(spec: str) -> set[str]:
    """Those that `identity_of` may give an encoder which is named so."""
    spec, _ = unpinned(spec)
    if is_class(spec):
        return {_class_name(load_class(spec))}
    for own in (TORCHSCRIPT, LOCAL):
        if spec.startswith(own):
            return {own.rstrip(":")}
    return {spec.partition("/")[0], one_name(spec)}  # with a checkpoint of one's own, and with a tag


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
