"""Files on their way into a store, where each has its name only once it is whole and what it is meant to be."""

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from pycurate.errors import ManifestError, StoreError
from pycurate.stores.address import place_of
from pycurate.stores.store import explained, store_of

HASH = "sha256"
"""The metadata of an uploaded object: the SHA-256 of its bytes, 64 hex digits."""

TEMPORARY = re.compile(r"\.pycurate-[0-9a-f-]{36}\.tmp")
"""The name of an object that tries whether a store can be written."""

PART = 8 << 20  # bytes; S3 takes parts of 5 MiB or more
PARTS = 10_000  # in one object, as S3 has it
AT_ONCE = 4  # parts of one file on their way


def put(source: Path, address: str, sha256: str) -> None:
    """Bring a file into a store.

    Raises ManifestError, with nothing changed in the store, if its bytes are not those of `sha256`, StoreError if the
    store refuses or cannot be reached, OSError if the file cannot be read.
    """
    size = source.stat().st_size
    part = max(PART, -(-size // PARTS))
    pieces = _checked(source, sha256, part)
    try:
        _put(address, pieces if size > part else b"".join(pieces), sha256, part)  # what is small goes in one request
    except StoreError as error:  # where the last answer broke off, obstore removes the parts of what is there by then
        if "NoSuchUpload" not in str(error) or hash_of(address) != sha256:
            raise


def size_of(address: str) -> int | None:
    """The bytes of an object, None if it is not there. Raises StoreError if the store refuses or cannot be reached."""
    place = place_of(address)
    with explained(address):
        try:
            return int(store_of(place.scheme, place.root).head(place.path)["size"])
        except FileNotFoundError:
            return None


def hash_of(address: str) -> str | None:
    """The SHA-256 that an object was uploaded with; None if it came in another way. Raises StoreError.

    It stands in the head of an answer, whose body nobody reads here; obstore's own `head` leaves it out.
    """
    place = place_of(address)
    with explained(address):
        return store_of(place.scheme, place.root).get(place.path).attributes.get(HASH)


def delete(addresses: Iterable[str]) -> None:
    """Remove objects; what is not there needs no removal. Raises StoreError if the store refuses."""
    for address in addresses:
        place = place_of(address)
        with explained(address, "removed"):
            try:
                store_of(place.scheme, place.root).delete(place.path)
            except FileNotFoundError:  # some stores say so
                continue


def check_writable(address: str) -> None:
    """Raise StoreError if nothing can be written beneath the address, or removed again."""
    trial = f"{address.rstrip('/')}/.pycurate-{uuid.uuid4()}.tmp"
    _put(trial, b"", hashlib.sha256().hexdigest(), PART)
    delete([trial])


def _put(address: str, content: bytes | Iterator[bytes], sha256: str, part: int) -> None:
    place = place_of(address)
    with explained(address, "written"):
        store_of(place.scheme, place.root).put(
            place.path, content, attributes={HASH: sha256}, chunk_size=part, max_concurrency=AT_ONCE
        )


def _checked(source: Path, sha256: str, part: int) -> Iterator[bytes]:
    """The file's bytes; at their end ManifestError, which leaves the object unmade, if they are not what is meant."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while piece := file.read(part):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != sha256:
        raise ManifestError(
            f"{source} was changed after its task ended: its SHA-256 differs; remove the folder of that task "
            "and run again with -resume."
        )
