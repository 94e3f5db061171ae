"""Formulas as MathML, which browsers draw themselves: pages need no script and no network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

if TYPE_CHECKING:
    from docutils import nodes

_TAG = re.compile(r"\\tag\{([^}]*)\}")


def write_mathml(formula: str, *, displayed: bool) -> str:
    r"""Return a formula as MathML; `aligned` is what the converter knows as `align*`.

    Raises
    ------
    ValueError
        If a command of the formula is left as it stands, which a reader would see.
    """
    known = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{align*}", formula)
    if displayed and "\\\\" in known and "\\begin" not in known:
        known = rf"\begin{{align*}}{known}\end{{align*}}"
    written = convert(known, display="block" if displayed else "inline")
    left = re.findall(r"\\[A-Za-z]+|<mi>&</mi>", written)
    if left:
        message = f"no MathML for {left[0]} in {formula!r}"
        raise ValueError(message)
    return written


def _inline(translator: Any, node: nodes.Element) -> NoReturn:
    translator.body.append(write_mathml(node.astext(), displayed=False))
    raise SkipNode


def _displayed(translator: Any, node: nodes.Element) -> NoReturn:
    formula = node.astext()
    tags = _TAG.findall(formula)
    number = f'<span class="eqno">({tags[0]})</span>' if tags else ""
    written = write_mathml(_TAG.sub("", formula), displayed=True)
    style = "overflow-x: auto; overflow-y: hidden"
    translator.body.append(
        f'<div class="math" style="{style}" tabindex="0">{number}{written}</div>'
    )
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Offer the renderer to Sphinx (`html_math_renderer = "mathml"`)."""
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
