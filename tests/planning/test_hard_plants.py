"""Plants for which proofs do not close in time: schedules of what plans lack are sought instead."""

from __future__ import annotations

import functools
import math

import numpy as np
import one_reactor
import pytest

import stnopt
from stnopt.planning import book as book_module
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.knowledge import Knowledge
from stnopt.planning.question import period_questions
from stnopt.planning.refine import Refiner
from stnopt.planning.store import PlanStore


def test_a_schedule_is_sought_of_what_is_lacking():
    (question,) = period_questions(one_reactor.problem((10, 20))).values()
    book = KnowledgeBook(PlanStore(None))
    refiner = Refiner(book=book, period_limit=20.0, remaining=lambda: math.inf)
    wanted = np.array([40.0, 40.0])
    told: list[str] = []
    for lacking, product in (([40.0, 0.0], 0), ([0.0, 40.0], 1)):
        assert refiner.explore(question, wanted, np.array(lacking), report=told.append)
        made, _ = book.of(question).made[-1]
        assert made[product] == pytest.approx(40)  # four batches of what is lacking alone
    # all that these weights can find is known by now
    assert not refiner.explore(question, wanted, np.array([0.0, 40.0]), report=told.append)
    assert all("seek more of A, B" in text for text in told)


def test_a_plan_of_a_plant_that_is_hard(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(book_module, "Knowledge", functools.partial(Knowledge, is_hard=True))
    amounts = ((30.0, 10.0), (0.0, 40.0))
    search = stnopt.find_plan(one_reactor.problem(*amounts), period_limit=20.0)
    best = one_reactor.cheapest(*amounts)
    assert search.verified
    # not the 30 apiece that every amount costs that is lost
    assert search.cost <= 1.25 * best
    assert search.bound <= best * (1 + 1e-6)
