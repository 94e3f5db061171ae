"""What the figures share: colours, sizes, axes, labels and legends.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from stnopt.arguments import Kind
from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

SKY, ORANGE, GREEN, PURPLE = "#56B4E9", "#E69F00", "#009E73", "#CC79A7"
YELLOW, BLUE, VERMILION, GREY = "#F0E442", "#0072B2", "#D55E00", "#999999"
DARK = {GREEN, BLUE, VERMILION}  # white text reads better on these

#: Axes are told by what they can do, so that Matplotlib is loaded only to draw.
AXES = Kind("Matplotlib axes or None", lambda value: value is None or hasattr(value, "add_patch"))

COLUMN_WIDTH = 3.5  # inches
LABEL_SIZE, TICK_SIZE, NOTE_SIZE = 8, 7, 6  # points
_LEGEND_LETTERS = 60  # that fit side by side over a column, marks included
_AXES_WIDTH = 0.78 * COLUMN_WIDTH  # of axes in a column, before its layout is settled
GRID = 241  # points per axis on which a region's boundary is drawn


def new_axes(*, height: float, width: float = COLUMN_WIDTH) -> Axes:
    """Return the axes of a new figure; sizes in inches."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def save_and_close(ax: Axes, aside: Path) -> None:
    """Write the figure of axes to a file, and let go of it."""
    import matplotlib.pyplot as plt

    figure = ax.figure.canvas.figure
    figure.savefig(aside, dpi=200)
    plt.close(figure)


def draw_svg(draw: Callable[..., Axes], *data: Any, **options: Any) -> str:
    """Return what a function of `stnopt.plot` draws as an SVG element as wide as its place.

    Its text stays text, which a browser can search and read aloud.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw(*data, **options)
        plt.savefig(text, format="svg")
        plt.close()
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', drawing, count=1)


def size_in_inches(ax: Axes) -> tuple[float, float]:
    """Width and height of axes."""
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return float(box.width), float(box.height)


def label_axes(ax: Axes, *, x: str, y: str = "") -> None:
    """Label the axes in the size that all figures have."""
    ax.set_xlabel(x, fontsize=LABEL_SIZE)
    ax.set_ylabel(y, fontsize=LABEL_SIZE)
    ax.tick_params(labelsize=TICK_SIZE)


def label_target_axes(ax: Axes, names: tuple[str, str], facts: Mapping[str, object]) -> None:
    """Label both axes; `facts` are a scope or origin that may know the unit of amounts."""
    unit = str(facts.get("amount_unit") or "")
    if not unit and ax.get_xlabel().startswith(plain(f"{names[0]} [")):
        return  # what was drawn before knew the unit
    label_axes(ax, x=with_unit(names[0], unit), y=with_unit(names[1], unit))


def put_legend_above(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Place the legend outside the data, above the axes, over their whole width."""
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    if handles:
        lengths = [len(str(handle.get_label())) + 5 for handle in handles]
        width = size_in_inches(ax)[0]
        letters = _LEGEND_LETTERS * max(1.0, width / _AXES_WIDTH)
        fits_one_row = sum(lengths) <= letters
        ax.legend(
            handles=list(handles),
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=len(handles) if fits_one_row else max(1, int(letters // max(lengths))),
            fontsize=TICK_SIZE,
            frameon=False,
            handlelength=1.4,
            columnspacing=1.0,
        )


def two_names(names: Sequence[str], function: str) -> tuple[str, str]:
    """Return the two names, and refuse any other number of them."""
    if len(names) != 2:
        raise InvalidInputError(
            f"{function} draws exactly two products, got {len(names)}: {', '.join(names)}"
        )
    return names[0], names[1]


def with_unit(label: str, unit: str) -> str:
    """Text of an axis or a legend: a name and its unit, if it has one."""
    return plain(f"{label} [{unit}]" if unit else label)


def plain(text: str) -> str:
    """Text for a figure, in which a name's `$` is a `$` and not the start of a formula."""
    return text.replace("$", r"\$")
