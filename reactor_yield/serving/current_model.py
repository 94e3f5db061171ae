"""The model a service answers with, exchanged while it runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reactor_yield.yield_model import load_yield_model

if TYPE_CHECKING:
    from pathlib import Path

    from reactor_yield.yield_model import YieldModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model and what its file was.

    Attributes
    ----------
    model
        The model.
    checksum
        First 16 hexadecimal digits of the file's SHA-256; empty for a model that came from no file.
    """

    model: YieldModel
    checksum: str


def load_model(path: Path) -> LoadedModel:
    """Read a model file and its checksum.

    Raises
    ------
    InvalidModelFileError, OSError
    """
    content = path.read_bytes()
    return LoadedModel(
        model=load_yield_model(path), checksum=hashlib.sha256(content).hexdigest()[:16]
    )


class CurrentModel:
    """Holder of the model; requests under way keep the one they began with.

    Parameters
    ----------
    loaded
        To begin with.
    path
        File to watch; `None` for a model that never changes.
    """

    def __init__(self, loaded: LoadedModel, path: Path | None) -> None:
        self.loaded = loaded
        self.path = path
        self._seen = self._signature()

    def changed(self) -> bool:
        """Whether the file is another one than when it was last looked at."""
        signature = self._signature()
        if signature is None or signature == self._seen:
            return False
        self._seen = signature
        return True

    def reload(self) -> str:
        """Read the file and exchange the model; return its checksum. Errors leave the old one.

        Raises
        ------
        InvalidModelFileError, OSError
        """
        if self.path is not None:
            self.loaded = load_model(self.path)
        return self.loaded.checksum

    def _signature(self) -> tuple[int, int, int] | None:
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None  # being replaced just now, or taken away: keep answering
        return found.st_mtime_ns, found.st_size, found.st_ino
