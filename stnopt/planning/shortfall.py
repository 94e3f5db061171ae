"""How near known schedules come to what a plan asks of a period."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.planning.knowledge import Knowledge
    from stnopt.scheduling.schedule import Schedule


def nearest(
    knowledge: Knowledge, amounts: NDArray[np.float64]
) -> tuple[Schedule | None, dict[str, float]]:
    """Return the known schedule that misses least of some amounts, and what it misses.

    What it misses is weighed by the amounts themselves: a tenth of each counts the same.
    """
    question = knowledge.question
    best, least = None, amounts
    scale = np.maximum(amounts, question.tolerance)
    for made, schedule in knowledge.made:
        missed = np.maximum(amounts - made, 0.0)
        if best is None or (missed / scale).sum() < (least / scale).sum():
            best, least = schedule, missed
    return best, {
        product: float(missed)
        for product, missed, tolerance in zip(
            question.products, least, question.tolerance, strict=True
        )
        if missed > tolerance
    }
