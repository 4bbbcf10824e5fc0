"""What the name of a tar's member says: the sample to which it belongs, as webdataset has it."""


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


def from_macos(name: str) -> bool:
    """Whether it is a file that macOS adds to archives, between the members of samples: no part of any sample."""
    folder, _, last = name.rpartition("/")
    return last.startswith("._") or last == ".DS_Store" or "__MACOSX" in folder.split("/")


def readable(text: str) -> str:
    """A name as valid Unicode: bytes that are not UTF-8 become `\\xNN`, so that every name fits a table."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
