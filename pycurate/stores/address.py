"""Addresses of what lies in object stores and on web servers."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pycurate.errors import UsageError

SCHEMES = ("s3", "gs", "az", "https", "http", "hf")
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
DATASET = re.compile(r"datasets/([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.*))?")


@dataclass(frozen=True)
class Place:
    """A bucket, container, web server or repository, and a path in it as its store has it: nothing is escaped.

    `root` ends with the slash before `path`: `s3://bucket/`, `https://host:8080/`, `hf://datasets/owner/name@main/`.
    """

    scheme: str
    root: str
    path: str


def is_address(text: str) -> bool:
    """Whether it is an address, not a path: it begins with a scheme and `://`."""
    return ADDRESS.match(text) is not None


def place_of(address: str) -> Place:
    """The parts of an address. Raises UsageError if it is none that is read here, or holds a secret."""
    check_address(address)
    scheme, _, rest = address.partition("://")
    if scheme == "hf":
        found = DATASET.fullmatch(rest)
        if not found:
            raise UsageError(f"{address} names no file of a dataset; write hf://datasets/OWNER/NAME/PATH.")
        repository, revision, path = found.groups()
        return Place(scheme, f"hf://datasets/{repository}@{revision or 'main'}/", path or "")
    host, _, path = rest.partition("/")
    return Place(scheme, f"{scheme}://{host}/", unquote(path) if is_web(scheme) else path)


def normalised(address: str) -> str:
    """The address as `listed` and `head` write it. Raises UsageError as `place_of` does."""
    place = place_of(address)
    return address if is_web(place.scheme) else place.root + place.path


def is_web(scheme: str) -> bool:
    """Whether it is a web server's: its files cannot be listed, and its addresses are escaped."""
    return scheme in ("http", "https")


def check_address(address: str) -> None:
    """Raise UsageError if it is of a kind that is not read, lacks a bucket or host, or holds a secret.

    A password or a signed query would be in every table and log. `?` is a wildcard in stores that can be listed.
    """
    scheme, _, rest = address.partition("://")
    if scheme not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES)
        raise UsageError(f"Addresses with {scheme}:// are not read; give a path, or one of {known}.")
    host = rest.partition("/")[0]
    if "@" in host or (is_web(scheme) and "?" in rest):
        raise UsageError(
            f"{without_secrets(address)} contains a password or a query, which would be written to tables and logs; "
            "give credentials by environment variables (docs/stores.md)."
        )
    if not _is_host(host):
        kind = "host" if is_web(scheme) else "bucket"
        raise UsageError(f"{address!r} names no {kind}; write {scheme}://{kind.upper()}/PATH.")


def _is_host(text: str) -> bool:
    try:
        return bool(urlsplit(f"//{text}").hostname)
    except ValueError:  # for brackets around anything but an IPv6 address, and for signs that stand for a slash
        return False


def without_secrets(text: str) -> str:
    """The text with the addresses in it cut to what may be shown: no user, password or query."""
    text = re.sub(r"(://)[^/\s@]*@", r"\1", text)
    return re.sub(r"(https?://[^\s?#]*)[?#]\S*", r"\1", text)
