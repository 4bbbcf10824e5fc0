"""The errors that pycurate raises on purpose.

Every message is one sentence with the cause and what to do about it. Scripts print it and leave with
`exit_code`: 2 where the call was wrong, 1 where the work failed.
"""

import errno
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class PycurateError(Exception):
    """Base of all errors of pycurate."""

    exit_code = 1


class UsageError(PycurateError):
    """The call cannot be carried out as it was given: an unknown name, a value out of range, no such input."""

    exit_code = 2


class ShardError(PycurateError):
    """A shard cannot be read at all, or changed while it was being used."""


class StoreError(ShardError):
    """A store or a web server refuses, cannot be reached, or lacks what it is asked for.

    `passing`: the same request may succeed later.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class StorageError(PycurateError):
    """A file cannot be written: the disk is full or can only be read, a permission is missing, a name is taken."""


class ModelError(PycurateError):
    """A model's weights are missing or wrong, or a model gave what its protocol does not allow."""


class WeightsError(ModelError):
    """A file of weights is missing or altered, and `models.py fetch` with these options brings it to the folder.

    `fault` begins the sentence, up to this remedy; `otherwise` is another one.
    """

    def __init__(self, fault: str, options: str, folder: "Path", otherwise: str = "") -> None:
        call = f"`bin/models.py fetch {options} --model-dir {shlex.quote(str(folder))}`"
        super().__init__(f"{fault} on a machine with network access, run {call}{otherwise}.")
        self.fault, self.folder, self.otherwise = fault, folder, otherwise

    def asking_for(self, options: str) -> "WeightsError":
        """The same where other options of `models.py fetch` bring the file, too."""
        return WeightsError(self.fault, options, self.folder, self.otherwise)


class TableError(PycurateError):
    """A table or an embedding file is missing, incomplete or does not fit its neighbours."""


class LedgerError(PycurateError):
    """Inputs, kept and dropped samples do not add up (promise 2)."""


class ManifestError(PycurateError):
    """Results are not what their manifest says."""


_FAULTS: dict[int | None, tuple[str, str]] = {
    None: ("it was not written completely", "check that its disk has space left"),  # numpy's, which names no cause
    errno.ENOSPC: ("no space is left on its disk", "free some space, or choose a folder on another disk"),
    errno.EDQUOT: ("your disk quota is exceeded", "free some space, or choose a folder on another disk"),
    errno.EROFS: ("its file system is read-only", "choose a writable folder"),
    errno.EACCES: ("you lack the permission", "ask for it, or choose another folder"),
    errno.EPERM: ("the operation is not permitted", "ask for the permission, or choose another folder"),
    errno.ENOENT: ("it does not exist", "check the path"),
    errno.ENOTDIR: ("a file is in place of a folder", "move that file away, or choose another folder"),
    errno.EEXIST: ("a file is in place of a folder", "move that file away, or choose another folder"),
    errno.EISDIR: ("a folder is in place of a file", "move that folder away, or choose another name"),
    errno.ENAMETOOLONG: ("its name is too long", "choose a shorter one"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.EFBIG: ("it is too large for its file system", "choose a folder on another disk"),
}


def explained(error: OSError, doing: str = "") -> str:
    """A fault of the file system as one sentence: where, the cause, and what to do about it.

    `doing` says what failed, such as `x.npy cannot be written`; without it, the file that the error names does.
    """
    what = doing or (f"{error.filename} cannot be used" if error.filename else "A file or the output cannot be used")
    cause, remedy = _FAULTS.get(error.errno, ("the system reports an error", "check the disk"))
    return f"{what}, since {cause} ({error.strerror or error}): {remedy}."
