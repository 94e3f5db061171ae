"""The knowledge of all questions of a problem, from regions, a store and sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.planning.knowledge import Knowledge
from stnopt.planning.pieces import region_pieces
from stnopt.planning.prove import limits_by_sums, most_by_sums
from stnopt.planning.region_match import projected_limits
from stnopt.scheduling.replay import find_violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stnopt.planning.question import PeriodQuestion
    from stnopt.planning.region_match import PlanningRegion
    from stnopt.planning.store import PlanStore


class KnowledgeBook:
    """Knowledge by question: periods that ask the same share it."""

    def __init__(self, store: PlanStore) -> None:
        self.store = store
        self._known: dict[str, Knowledge] = {}

    def __iter__(self) -> Iterator[Knowledge]:
        return iter(self._known.values())

    def of(self, question: PeriodQuestion) -> Knowledge:
        """Return what is known of a question; at first, what the store and sums know."""
        if question.key not in self._known:
            upper = most_by_sums(question)
            knowledge = Knowledge(question=question, upper=upper)
            if np.all(np.isfinite(upper)) and np.all(upper > 0):
                knowledge.limits += limits_by_sums(question, upper)
            self._known[question.key] = knowledge
            self.store.load(knowledge)
        return self._known[question.key]

    def learn(self, question: PeriodQuestion, region: PlanningRegion) -> None:
        """Add what a certified region knows: pieces, schedules, and its limits as hints."""
        if not isinstance(region, CertifiedRegion):
            return
        knowledge = self.of(question)
        if knowledge.pieces:
            return
        knowledge.pieces = region_pieces(region, question.products)
        knowledge.hints = projected_limits(region, question.products)
        for schedule in region.schedules:
            if not find_violations(schedule, question.network):
                knowledge.add_schedule(schedule)
        self.store.save(knowledge)

    def save(self, question: PeriodQuestion) -> None:
        """Write what has become known."""
        self.store.save(self.of(question))
