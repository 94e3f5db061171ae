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
