"""What the library raises: one base class, each error also a built-in that callers catch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class StnoptError(Exception):
    """Base of every error raised on purpose by stnopt."""


class InvalidNetworkError(StnoptError, ValueError):
    """A plant that cannot be scheduled as described.

    Parameters
    ----------
    problems : iterable of str
        Everything wrong with the plant, one sentence each, every one naming its element.
    source : str, optional
        Where the plant came from, such as a file name.
    """

    def __init__(self, problems: Iterable[str], source: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.source = source
        super().__init__(_listed(self.problems, source))


class InvalidInputError(StnoptError, ValueError):
    """An argument or a problem file that does not fit the plant, the model or the region.

    Parameters
    ----------
    problems : str or iterable of str
        One sentence is the message as it stands; several are listed below their number.
    source : str, optional
        Where several came from, such as a file name.
    """

    def __init__(self, problems: str | Iterable[str], source: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.source = source
        single = isinstance(problems, str) and not source
        super().__init__(problems if single else _listed(self.problems, source))


class UnsupportedModelError(StnoptError, TypeError):
    """A model, estimator or formulation that is not handled; the message says what is."""


class SolverUnavailableError(StnoptError, ImportError):
    """A solver that is not installed; the message names the extra that installs it."""


class InvalidScheduleError(StnoptError, RuntimeError):
    """A schedule that breaks the plant's rules when it is replayed in time."""


class UntrainableError(StnoptError, ValueError):
    """Samples that no classifier can be trained on, such as a single class."""


def _listed(problems: tuple[str, ...], source: str) -> str:
    where = f" in {source}" if source else ""
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}{where}:"
    return "\n  - ".join([count, *problems])
