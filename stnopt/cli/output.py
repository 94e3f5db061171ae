"""The files of one command: tables and figures that appear together in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stnopt.files import files_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd


def table(frame: pd.DataFrame) -> Callable[[Path], object]:
    """Writer of a table, without its index."""
    return lambda aside: frame.to_csv(aside, index=False)


def figure(draw: Callable[..., Any], *data: Any, **options: Any) -> Callable[[Path], object]:
    """Writer of what a function of `stnopt.plot` draws."""
    from stnopt.plot.style import save_and_close

    return lambda path: save_and_close(draw(*data, **options), path)


def write_files(folder: Path, files: Mapping[str, Callable[[Path], object]]) -> None:
    """Write all files into a folder, made where there is none, and print what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    with files_together() as outputs:
        for name, write in files.items():
            outputs.write_by(folder / name, write)
    print(f"{', '.join(files)} written to {folder}")
