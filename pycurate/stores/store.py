"""Stores by the library obstore: what they hold, and the bytes of it.

Credentials, endpoint and region come from the environment, as obstore reads them (docs/stores.md). Connections that
fail, answers 429 and 5xx, and answers that end early are tried again, the last from the byte on that is missing.
"""

import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from pycurate.errors import PycurateError, ShardError, StoreError, UsageError
from pycurate.stores.address import is_web, place_of, without_secrets

RETRY = {
    "max_retries": 8,
    "backoff": {"init_backoff": timedelta(milliseconds=200), "base": 2, "max_backoff": timedelta(seconds=15)},
    "retry_timeout": timedelta(minutes=3),
}
CLIENT = {
    "allow_http": True,  # for http://, and an AWS_ENDPOINT_URL that begins so
    "connect_timeout": timedelta(seconds=10),
    "timeout": timedelta(minutes=2),  # of one answer, which is at most file.PIECE long
    "user_agent": "pycurate",
}
CHUNK = 1 << 16  # bytes that may be read twice after a broken connection
ATTEMPTS = 3  # in a row without a byte, each after the library's own
AT_ONCE = 16  # requests of `heads`
STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
UNSET = ("169.254.169.254", "metadata.google.internal", "Account must be specified")  # where it looks for credentials
UNTRUSTED = re.compile(r"InvalidCertificate\(\s*(?:Other\(\s*OtherError\(\s*)?(\w+)")
BROKEN = ("Interrupted", "IncompleteMessage", "BrokenPipe", "TimedOut", "response body error")
OTHER_BYTES = "the server sent other bytes than were asked for"
OTHER_SERVER = "use a server that sends parts of files, or copy the shards"
CODE = re.compile(r"<Code>(\w+)</Code>")


@dataclass(frozen=True)
class Object:
    """What a store holds under an address. `identity` changes with the content: the ETag, else the time of change."""

    address: str
    bytes: int
    identity: str

    def __str__(self) -> str:
        return self.address


def head(address: str) -> Object:
    """What lies there. Raises StoreError if it is not there, or the store refuses or cannot be reached."""
    place = place_of(address)
    with explained(address):
        return _object(address, store_of(place.scheme, place.root).head(place.path))


def heads(addresses: Iterable[str]) -> list[Object]:
    """What lies at each of the addresses, by several requests at a time. Raises as `head` does."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(head, addresses))


def listed(address: str, deep: bool) -> Iterator[Object]:
    """The objects in a folder, whose address ends with a slash; those beneath its folders too if `deep`.

    Raises StoreError as `head` does, UsageError for a web server, which cannot be listed.
    """
    place = place_of(address + "x")
    folder = place.path[:-1]
    if is_web(place.scheme):
        raise UsageError(
            f"{address} is a folder of a web server, which cannot be listed; name each shard, as by "
            "{00000..00099}.tar, or in a list file."
        )
    with explained(address):
        if place.scheme == "hf":
            yield from _listed_repository(place.root, folder, deep)
            return
        store = store_of(place.scheme, place.root)
        prefix = folder.rstrip("/") or None
        for chunk in store.list(prefix, chunk_size=1000) if deep else [store.list_with_delimiter(prefix)["objects"]]:
            yield from (_object(place.root + meta["path"], meta) for meta in chunk)


def read_range(known: Object, start: int, stop: int) -> bytes:
    """The bytes of an object from `start` up to `stop`.

    Raises StoreError as `head` does, ShardError if it is no longer the object that is known, or other bytes come than
    are asked for.
    """
    place = place_of(known.address)
    store = store_of(place.scheme, place.root)
    size = stop - start
    data = bytearray()
    attempt = 0
    while len(data) < size:
        try:
            with explained(known.address):
                answer = store.get(place.path, options={"range": (start + len(data), stop)})
                _check(known, answer.meta)
                for chunk in answer.stream(min_chunk_size=CHUNK):
                    data += chunk
                    attempt = 0
                    if len(data) > size:
                        break
                if len(data) != size:  # though the answer came whole
                    raise StoreError(_sentence(known.address, "read", OTHER_BYTES, OTHER_SERVER))
        except StoreError as error:
            attempt += 1
            if not error.passing or attempt == ATTEMPTS:
                raise
            time.sleep(2**attempt / 10)
    return bytes(data)


def _check(known: Object, meta: Any) -> None:
    """Raise ShardError if an answer is of another object than the known one."""
    found = _object(known.address, meta)
    if found.bytes != known.bytes:
        raise ShardError(
            f"{known.address} had {known.bytes} bytes and now has {found.bytes}; run again from PARTITION."
        )
    if found.identity != known.identity:
        raise ShardError(
            f"{known.address} was replaced after it had been listed: its ETag was {known.identity} and is "
            f"{found.identity}; run again from PARTITION."
        )


def _object(address: str, meta: Any) -> Object:
    """Azure quotes an ETag in some answers and not in others."""
    tag = (meta["e_tag"] or "").replace('"', "")
    return Object(address, meta["size"], tag or meta["last_modified"].isoformat())


@cache
def store_of(scheme: str, root: str) -> Any:
    """The library's store for a bucket, container, server or repository."""
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store  # here, since most calls meet no store

    options: dict[str, Any] = {"retry_config": RETRY, "client_options": CLIENT}
    bucket = root.split("/")[2]
    if scheme == "s3":
        return S3Store(bucket, **options)
    if scheme == "gs":
        return GCSStore(bucket, **options)
    if scheme == "az":
        return AzureStore(bucket, **options)
    if scheme == "hf":
        from huggingface_hub import constants, get_token

        token = get_token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options["client_options"] = CLIENT | {"default_headers": headers}
        repository, _, revision = root.removeprefix("hf://").strip("/").partition("@")
        return HTTPStore(f"{constants.ENDPOINT}/{repository}/resolve/{revision}", **options)
    return HTTPStore(root, **options)


def _listed_repository(root: str, folder: str, deep: bool) -> Iterator[Object]:
    """Sizes and ETags are those of the files' addresses, which the tree of the repository does not tell."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    repository, _, revision = root.removeprefix("hf://datasets/").strip("/").partition("@")
    tree = HfApi().list_repo_tree(
        repository, folder.strip("/") or None, recursive=deep, revision=revision, repo_type="dataset"
    )
    names = [entry.path for entry in tree if isinstance(entry, RepoFile) and entry.path.lower().endswith(".tar")]
    yield from heads(root + name for name in names)


@contextmanager
def explained(address: str, failed: str = "read") -> Iterator[None]:
    """Turn the library's errors into StoreErrors: one sentence each, without credentials, on what could not be done."""
    try:
        yield
    except PycurateError:
        raise
    except Exception as error:  # noqa: BLE001  # obstore's and huggingface_hub's have no common base
        raise _explanation(address, error, failed) from None


def _explanation(address: str, error: Exception, failed: str) -> StoreError:
    text = without_secrets(str(error))
    status = _status(error, text)
    code = CODE.search(text)
    said = " ".join([status, f"({code[1]})" if code else ""]).strip()
    passing = False
    if isinstance(error, FileNotFoundError) or said.startswith("404"):
        cause, remedy = said or "404 Not Found", "check the name of the bucket or host and the path"
    elif any(word in text for word in UNSET):
        cause, remedy = "no credentials are set", "set them as docs/stores.md says, also for a public bucket"
    elif status[:3] in ("401", "403"):  # also for what does not exist, if nothing permits to see that
        remedy = "check the credentials in the environment, what they permit, and the name (docs/stores.md)"
        cause = said
    elif "redirect without LOCATION" in text:
        cause, remedy = "the bucket is in another region", "set AWS_REGION"
    elif "Range request not supported" in text:
        cause, remedy = "the server ignores the header Range", OTHER_SERVER
    elif "Requested " in text and ", got " in text:
        cause, remedy = f"{OTHER_BYTES} ({text.partition('Requested ')[2].splitlines()[0]})", OTHER_SERVER
    elif status.startswith(("5", "429")):
        cause, remedy, passing = said, "try again later, or ask its owner", True
    elif status:
        cause, remedy = said, "check the name of the bucket or host and the path, and docs/stores.md"
    elif "dns error" in text:
        cause, remedy = "its host is not known", "check the address, and AWS_ENDPOINT_URL if it is set"
    elif "ConnectionRefused" in text:
        cause, remedy = "the connection was refused", "check the address, and that the server runs"
    elif untrusted := UNTRUSTED.search(text):
        cause = f"its certificate is not accepted ({untrusted[1]})"
        remedy = "name the certificate of the authority that signed it in SSL_CERT_FILE (docs/stores.md)"
    elif any(word in text for word in BROKEN):
        cause, remedy, passing = "the connection broke or stood still", "check the network and the server", True
    else:
        cause, remedy = _first(text), "check the network, and docs/stores.md"
    return StoreError(_sentence(address, failed, cause, remedy), passing)


def _sentence(address: str, failed: str, cause: str, remedy: str) -> str:
    return f"{without_secrets(address)} cannot be {failed}: {cause}; {remedy}."


def _status(error: Exception, text: str) -> str:
    """What a store answered, such as `404 Not Found`; empty if it did not."""
    response = getattr(error, "response", None)  # of huggingface_hub's errors
    if response is not None:
        return f"{response.status_code} {response.reason_phrase}"
    found = STATUS.search(text)
    return found[1].strip() if found else ""


def _first(text: str) -> str:
    """The first line of what the library says, which is its sentence."""
    return (text.strip().split("\n")[0] or "the store gives no reason").rstrip(".")
