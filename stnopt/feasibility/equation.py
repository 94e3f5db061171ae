"""A region printed as algebra in its inputs' own names, as text that can be evaluated or LaTeX."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stnopt.feasibility.kernels.contract import join_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]


def linear_text(inputs: Sequence[str], weights: FloatArray, offset: float, digits: int) -> str:
    """``w*A + ... + offset <= 0`` in Python's notation."""
    terms = [
        f"{weight:+.{digits}g}*{_text_name(name)}"
        for name, weight in zip(inputs, weights, strict=True)
    ]
    return f"{join_terms([*terms, f'{offset:+.{digits}g}'])} <= 0"


def linear_latex(inputs: Sequence[str], weights: FloatArray, offset: float, digits: int) -> str:
    """Print the same in LaTeX."""
    terms = [
        rf"{_latex_number(weight, digits=digits, signed=True)}\,{_latex_name(name)}"
        for name, weight in zip(inputs, weights, strict=True)
    ]
    last = _latex_number(offset, digits=digits, signed=True)
    return rf"{join_terms([*terms, last])} \le 0"


def kernel_text(region: KernelRegion, digits: int) -> str:
    """Definitions of the scaled inputs line by line, then the sum of kernels ``<= 0``."""
    number = partial(_text_number, digits=digits)
    names, lines = [_text_name(name) for name in region.inputs], []
    if not _is_unscaled(region):
        prefix = _scaled_prefix(region.inputs)
        scaled = [f"{prefix}{j + 1}" for j in range(len(names))]
        for x, name, center, scale in zip(scaled, names, region.center, region.scale, strict=True):
            shifted = join_terms([name, number(-center, signed=True)])
            lines.append(f"{x} = ({shifted})/{number(scale)}")
        names = scaled
    kernel = region.kernel_function
    terms = [
        f"{number(coef, signed=True)}*{kernel.text(vector, names, number)}"
        for coef, vector in zip(region.dual_coefs, region.support_vectors, strict=True)
    ]
    total = join_terms([*terms, number(region.offset, signed=True)], separator="\n  ")
    return "\n".join([*lines, f"(\n  {total}\n) <= 0"])


def kernel_latex(region: KernelRegion, digits: int) -> str:
    """Print the same in LaTeX, aligned."""
    number = partial(_latex_number, digits=digits)
    names, lines = [_latex_name(name) for name in region.inputs], []
    if not _is_unscaled(region):
        prefix = _scaled_prefix(region.inputs)
        scaled = [f"{prefix}_{{{j + 1}}}" for j in range(len(names))]
        for x, name, center, scale in zip(scaled, names, region.center, region.scale, strict=True):
            shifted = join_terms([name, number(-center, signed=True)])
            lines.append(rf"{x} &= \left({shifted}\right) / {number(scale)}")
        names = scaled
    kernel = region.kernel_function
    terms = [
        rf"{number(coef, signed=True)} \, {kernel.latex(vector, names, number)}"
        for coef, vector in zip(region.dual_coefs, region.support_vectors, strict=True)
    ]
    terms.append(number(region.offset, signed=True))
    lines.append(f"f &= {join_terms(terms[:1])}")
    lines += [rf"&\quad {join_terms([term], leading=True)}" for term in terms[1:]]
    lines.append(r"f &\le 0")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _is_unscaled(region: KernelRegion) -> bool:
    return bool((region.center == 0).all() and (region.scale == 1).all())


def _scaled_prefix(inputs: Sequence[str]) -> str:
    """Letter of the scaled inputs in a printed equation: one that no input is called by."""
    prefix = "x"
    while any(f"{prefix}{j + 1}" in inputs for j in range(len(inputs))):
        prefix += "x"
    return prefix


def _text_name(name: str) -> str:
    """Use the name itself, or the name in square brackets where it is not a single word."""
    return name if name.isidentifier() else f"[{name}]"


def _latex_name(name: str) -> str:
    special = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim ", " ": r"\ "}
    escaped = "".join(special.get(c, f"\\{c}" if c in "_%&#${}" else c) for c in name)
    return rf"\mathrm{{{escaped}}}"


def _text_number(value: float, *, digits: int, signed: bool = False) -> str:
    return f"{value:+.{digits}g}" if signed else f"{value:.{digits}g}"


def _latex_number(value: float, *, digits: int, signed: bool = False) -> str:
    text = _text_number(value, digits=digits, signed=signed)
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa
