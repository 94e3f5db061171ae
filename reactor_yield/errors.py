"""What `reactor_yield` raises; each error also derives from the built-in a caller would expect."""

from __future__ import annotations


class ReactorYieldError(Exception):
    """Base class of all errors raised by `reactor_yield`."""


class InvalidConditionsError(ReactorYieldError, ValueError):
    """A table of conditions, a data set or a kinetics description cannot be used.

    Parameters
    ----------
    *problems
        Every problem found, one sentence each; all are reported at once.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("\n".join(problems))


class InvalidModelFileError(ReactorYieldError, ValueError):
    """A saved model cannot be read: not ours, another format version, or content not allowed."""


class MissingDependencyError(ReactorYieldError, ImportError):
    """An optional package is needed for this call and is not installed."""


class InvalidFileError(InvalidConditionsError):
    """A table in a file cannot be read; each problem names file, line and column."""


class StorageError(ReactorYieldError, OSError):
    """A file cannot be read or written: a folder that is missing, a full disk, S3 that refuses."""
