"""The formulation for OMLT's block against the region, at fixed inputs and at an optimum."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyomo.environ as pyo
import pytest
from random_problems import random_region

from stnopt.errors import InvalidInputError
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.region import LinearRegion
from stnopt.solvers.solve import Status, solve


def test_the_library_does_not_need_omlt():
    code = (
        "import sys; sys.modules['omlt'] = None; import stnopt, stnopt.embedding\n"
        "try:\n    import stnopt.embedding.omlt\n"
        "except ImportError as error:\n    assert 'stnopt[omlt]' in str(error)\n"
        "else:\n    raise SystemExit('imported without omlt')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def block_with(region, **settings):
    omlt = pytest.importorskip("omlt")
    from stnopt.embedding.omlt import SvmFormulation

    m = pyo.ConcreteModel()
    m.svm = omlt.OmltBlock()
    formulation = SvmFormulation(region, **settings)
    m.svm.build_formulation(formulation)
    return m, formulation


@pytest.mark.parametrize("kernel", KERNELS)
def test_output_is_the_decision(kernel):
    region = random_region(3, n=2, kernel=kernel)
    m, _ = block_with(region, constrain=False)
    for point in np.random.default_rng(0).uniform(0, 100, (10, 2)):
        for name, x in zip(region.inputs, point, strict=True):
            m.svm.scaled_inputs[name].set_value(x)
        row = m.svm.decision_value
        m.svm.scaled_outputs["decision"].set_value(0.0)
        off = pyo.value(row.body) - pyo.value(row.upper)
        assert abs(off) == pytest.approx(abs(region.decision([point])[0]), abs=1e-9)


@pytest.mark.parametrize("form", ["inner", "outer"])
def test_pieces_on_an_omlt_block_are_solved_by_highs(form):
    region = random_region(11, n=2)
    m, formulation = block_with(region, form=form, tolerance=0.1)
    m.objective = pyo.Objective(expr=sum(m.svm.inputs.values()), sense=pyo.maximize)
    assert solve(m).status is Status.OPTIMAL
    assert formulation.added.violation() <= (0.0 if form == "inner" else 0.1)
    assert m.svm.outputs["decision"].value <= formulation.added.pieces.admit + 1e-6


def test_a_linear_machine_on_an_omlt_block():
    region = LinearRegion(
        inputs=("A", "B"), weights=[1.0, 2.0], offset=-60.0, lower=[0, 0], upper=[100, 100]
    )
    m, _ = block_with(region)
    m.objective = pyo.Objective(expr=m.svm.inputs["B"], sense=pyo.maximize)
    assert solve(m).objective == pytest.approx(30.0)
    assert m.svm.outputs["decision"].value == pytest.approx(0.0, abs=1e-6)


def test_an_output_that_pieces_do_not_have_is_refused():
    with pytest.raises(InvalidInputError, match="constrain=False needs the value"):
        block_with(random_region(11, n=2), form="inner", constrain=False)
