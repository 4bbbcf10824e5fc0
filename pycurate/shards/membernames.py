"""What the name of a tar's member says: the sample to which it belongs, as webdataset has it."""

import re

WEBDATASET_METADATA = re.compile("__[^/]*__($|/)")  # `skip_meta` of webdataset.tariterators.tar_file_iterator


def key_of(name: str) -> tuple[str, str] | None:
    """The sample's key and the extension; None for a name that webdataset passes over.

    The same as `base_plus_ext` of webdataset.tariterators, whose regular expression takes time that grows with the
    square of the slashes. As there, the name is cut at the first dot of its last part, and where that part begins with
    a dot and the folder's name has none, `folder/` is the key.
    """
    line = name.find("\n")  # the folder of a key holds no line break
    slash = name.rfind("/", 0, line if line >= 0 else len(name))
    dot = name.find(".", slash + 1)
    if dot == slash + 1 and slash >= 0:
        slash = name.rfind("/", 0, slash)
        if name.find(".", slash + 1) != dot:
            return None
    if dot <= 0 or name.find("/", dot) >= 0:
        return None
    return name[:dot], name[dot + 1 :]


def metadata_kind(name: str) -> str:
    """Whose metadata a member is, in words, which is no part of any sample wherever it stands; "" of any other name.

    What macOS adds to archives, and what webdataset passes over: `__meta__/info.json`, `__index.json__`.
    """
    folder, _, last = name.rpartition("/")
    if last.startswith("._") or last == ".DS_Store" or "__MACOSX" in folder.split("/"):
        return "macOS metadata files (._*, .DS_Store, __MACOSX)"
    return "webdataset metadata files (__*__)" if WEBDATASET_METADATA.match(name) else ""


def readable(text: str) -> str:
    """A name as valid Unicode: bytes that are not UTF-8 become `\\xNN`, so that every name fits a table."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
