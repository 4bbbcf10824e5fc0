"""Files on the model hub, by way of huggingface_hub and its cache.

Its settings mean what they mean elsewhere: HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE. What is in the cache is not
fetched; but the hash is asked of the hub, since the library compares no more than sizes, and others may write to a
cache that is shared. Where no hub answers, the name under which the cache holds a file is the hash that the hub stated.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

from pycurate.errors import ModelError
from pycurate.files import believed

log = logging.getLogger(__name__)

PAUSES = (1, 2, 4)  # seconds, after HTTP 5xx; the library itself goes on after broken connections

T = TypeVar("T")


logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request


@dataclass(frozen=True)
class HubFile:
    """A file on the hub and what the hub states of it; `size` is in bytes. `cached`: the file where no hub answers."""

    repository: str
    name: str
    sha256: str
    size: int
    cached: Path | None = None

    def files(self) -> Iterator[Path]:
        """The file in the cache, fetched if it is not there, and, if that has other bytes, fetched anew.

        Raises ModelError if it cannot be fetched.
        """
        if self.cached:
            yield self.cached
            return
        for anew in (False, True):
            try:
                path = _patiently(partial(self._download, anew))
            except Exception as error:
                raise ModelError(
                    f"{self.name} of {self.repository} cannot be downloaded from the Hugging Face Hub "
                    f"({_first_line(error)}); run the command again, or set HF_HOME to another cache if that fails."
                ) from error
            yield Path(path)

    def _download(self, anew: bool) -> str:
        return hf_hub_download(self.repository, self.name, endpoint=_endpoint(), force_download=anew)


def find(repository: str, names: tuple[str, ...]) -> HubFile:
    """The first of these files that is in the repository, or, where no hub answers, in the cache.

    Raises ModelError if there is none, or no hub answers and the cache is of no help.
    """
    for name in names:
        url = hf_hub_url(repository, name, endpoint=_endpoint())
        try:
            stated = _patiently(partial(get_hf_file_metadata, url))
        except EntryNotFoundError:
            continue
        except Exception as error:
            cached = next(filter(None, (_cached(repository, name) for name in names)), None)
            if cached:
                log.info("%s of %s is taken from the hub's cache (%s)", cached.name, repository, _first_line(error))
                return cached
            raise ModelError(
                f"the Hugging Face Hub does not answer for {repository} ({_first_line(error)}), and its cache lacks "
                "the file; fetch on a machine with network access, or copy the folder of weights from one that has it; "
                "if the repository is gated, log in by `hf auth login` or set HF_TOKEN."
            ) from error
        if stated.etag is None or len(stated.etag) != 64 or stated.size is None:
            raise ModelError(f"the Hugging Face Hub states no SHA-256 for {name} in {repository}; it is not used.")
        return HubFile(repository, name, stated.etag, stated.size)
    raise ModelError(f"{repository} on the Hugging Face Hub has none of {', '.join(names)}.")


def _cached(repository: str, name: str) -> HubFile | None:
    """What the cache says of a file, if it has that, and this user or the cache's owner or root put it there.

    A snapshot is a folder of links to files that are named by the hash that the hub stated. Who made link and folders
    states it here; who owns the file does not matter, since its hash is checked.
    """
    found = try_to_load_from_cache(repository, name)
    if not isinstance(found, str) or not os.path.islink(found):
        return None
    link, cache = Path(found), Path(constants.HF_HUB_CACHE)
    said = [link, *(folder for folder in link.parents if folder.is_relative_to(cache) and folder != cache)]
    sha256 = Path(os.readlink(link)).name
    if not re.fullmatch("[0-9a-f]{64}", sha256) or any(path.lstat().st_uid not in believed(cache) for path in said):
        log.warning("%s is not used, since no trusted source states its hash", link)
        return None
    return HubFile(repository, name, sha256, link.stat().st_size, link)


def _endpoint() -> str | None:
    """HF_ENDPOINT as the library takes it; what has a slash at its end leads to no file there."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _patiently(ask: Callable[[], T]) -> T:
    """The answer, asked for again where the hub says that it is out of order."""
    for pause in PAUSES:
        try:
            return ask()
        except HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
            log.warning("%s; trying again", _first_line(error))
            time.sleep(pause)
    return ask()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
