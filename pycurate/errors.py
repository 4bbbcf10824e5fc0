"""The errors that pycurate raises on purpose.

Every message is one sentence with the cause and what to do about it. Scripts print it and leave with
`exit_code`: 2 where the call was wrong, 1 where the work failed.
"""


class PycurateError(Exception):
    """Base of all errors of pycurate."""

    exit_code = 1


class UsageError(PycurateError):
    """The call cannot be carried out as it was given: an unknown name, a value out of range, no such input."""

    exit_code = 2


class ShardError(PycurateError):
    """A shard cannot be read at all, or changed while it was being used."""


class StorageError(PycurateError):
    """A file cannot be written: the disk is full or can only be read, a permission is missing, a name is taken."""


class ModelError(PycurateError):
    """A model's weights are missing or wrong, or a model gave what its protocol does not allow."""


class TableError(PycurateError):
    """A table or an embedding file is missing, incomplete or does not fit its neighbours."""


class LedgerError(PycurateError):
    """Inputs, kept and dropped samples do not add up (promise 2)."""
