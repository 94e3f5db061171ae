"""Regions against formulas written out here, and against their own JSON and printed equations."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from stnopt.errors import InvalidInputError
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.region import KernelRegion, LinearRegion, load_region

RNG = np.random.default_rng(7)
LINEAR = LinearRegion(
    inputs=("S9", "S8"),
    weights=[0.1, -1 / 3],
    offset=-2.5,
    lower=[0.0, -math.inf],
    upper=[110.0, math.inf],
    origin={"plant": "ex2", "horizon": 8.0, "n_events": 6, "proven": True, "require": None},
)


def kernel_region(kernel: str = "rbf", **changes) -> KernelRegion:
    values = {
        "inputs": ("S9", "S8"),
        "kernel": kernel,
        "support_vectors": [[0.3, -1.1], [1.7, 0.2], [-0.4, 0.9]],
        "dual_coefs": [1.5, -0.7, 0.25],
        "offset": 0.125,
        "gamma": 0.4,
        "coef0": 0.3,
        "degree": 2,
        "center": [50.0, 40.0],
        "scale": [30.0, 25.0],
        "lower": [0.0, 0.0],
        "upper": [110.0, 110.0],
    }
    return KernelRegion(**{**values, **changes})


def by_hand(region: KernelRegion, point: np.ndarray) -> float:
    """Evaluate the decision term by term in plain Python."""
    x = [(a - c) / s for a, c, s in zip(point, region.center, region.scale, strict=True)]
    total = region.offset
    for coef, v in zip(region.dual_coefs, region.support_vectors, strict=True):
        inner = sum(a * b for a, b in zip(v, x, strict=True))
        if region.kernel == "rbf":
            distance = sum((a - b) ** 2 for a, b in zip(v, x, strict=True))
            total += coef * math.exp(-region.gamma * distance)
        elif region.kernel == "laplacian":
            distance = sum(abs(a - b) for a, b in zip(v, x, strict=True))
            total += coef * math.exp(-region.gamma * distance)
        elif region.kernel == "poly":
            total += coef * (region.gamma * inner + region.coef0) ** region.degree
        else:
            assert region.kernel == "sigmoid"
            total += coef * math.tanh(region.gamma * inner + region.coef0)
    return total


ALL = [LINEAR, *(kernel_region(kernel) for kernel in KERNELS)]
IDS = ["linear", *KERNELS]


def test_linear_decision_is_weights_times_point_plus_offset():
    assert LINEAR.decision([[10.0, 3.0]])[0] == pytest.approx(1.0 - 1.0 - 2.5)
    assert LINEAR.contains([[10.0, 3.0], [100.0, 3.0]]).tolist() == [True, False]


def test_decision_of_exactly_zero_is_feasible():
    region = LinearRegion(inputs=("A",), weights=[1.0], offset=-2.0, lower=[0], upper=[9])
    assert region.contains([[2.0], [2.0000001]]).tolist() == [True, False]


@pytest.mark.parametrize("region", ALL[1:], ids=IDS[1:])
def test_kernel_decision_follows_its_formula(region):
    points = RNG.uniform(0, 110, (50, 2))
    expected = [by_hand(region, point) for point in points]
    np.testing.assert_allclose(region.decision(points), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("region", ALL, ids=IDS)
def test_gradient_agrees_with_finite_differences(region):
    points, step = RNG.uniform(10, 100, (40, 2)), 1e-4
    for j in range(2):
        shift = step * np.eye(2)[j]
        slope = (region.decision(points + shift) - region.decision(points - shift)) / (2 * step)
        np.testing.assert_allclose(region.gradient(points)[:, j], slope, rtol=1e-6, atol=1e-9)


def test_many_points_in_chunks_equal_few(monkeypatch):
    points = RNG.uniform(0, 110, (101, 2))
    for region in ALL:
        whole, slopes = region.decision(points), region.gradient(points)
        with monkeypatch.context() as patch:
            patch.setattr("stnopt.feasibility.region._CHUNK_ENTRIES", 7)
            np.testing.assert_allclose(region.decision(points), whole, rtol=1e-13)
            np.testing.assert_allclose(region.gradient(points), slopes, rtol=1e-12)


def test_table_is_read_by_column_names():
    points = RNG.uniform(0, 110, (20, 2))
    table = pd.DataFrame({"S8": points[:, 1], "other": "text", "S9": points[:, 0]})
    for region in ALL:
        np.testing.assert_array_equal(region.decision(table), region.decision(points))


def test_no_points_and_no_support_vectors():
    empty = kernel_region(support_vectors=np.empty((0, 2)), dual_coefs=[])
    assert empty.decision(np.empty((0, 2))).shape == (0,)
    assert empty.decision([[1.0, 2.0]]).tolist() == [0.125]
    assert empty.gradient([[1.0, 2.0]]).tolist() == [[0.0, 0.0]]
    assert load_region(empty.to_json()) == empty


def test_support_vectors_in_plant_units():
    region = kernel_region()
    assert region.raw_support_vectors[0] == pytest.approx([50 + 0.3 * 30, 40 - 1.1 * 25])


def test_region_is_read_only():
    region = kernel_region()
    with pytest.raises(FrozenInstanceError):
        region.offset = 1.0
    with pytest.raises(ValueError, match="read-only"):
        region.dual_coefs[0] = 1.0
    with pytest.raises(TypeError):
        LINEAR.origin["plant"] = "other"


def test_region_does_not_share_the_callers_arrays():
    weights = np.array([1.0, 2.0])
    region = replace(LINEAR, weights=weights)
    weights[0] = 99.0
    assert region.weights.tolist() == [1.0, 2.0]


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ALL, ids=IDS)
def test_json_round_trip_is_exact(region, tmp_path):
    awkward = replace(region, offset=0.1 + 0.2, lower=[-math.inf, 5e-324], upper=[1 / 3, math.inf])
    text = awkward.to_json(tmp_path / "region.json")
    json.loads(text, parse_constant=pytest.fail)  # strict: no NaN, no Infinity
    for loaded in (
        load_region(text),
        load_region(tmp_path / "region.json"),
        load_region(str(tmp_path / "region.json")),
        pickle.loads(pickle.dumps(awkward)),
    ):
        assert loaded == awkward
        assert hash(loaded) == hash(awkward)
        points = RNG.uniform(0, 110, (30, 2))
        np.testing.assert_array_equal(loaded.decision(points), awkward.decision(points))


def test_unequal_regions_differ():
    assert kernel_region() != kernel_region(offset=0.5)
    assert kernel_region() != kernel_region("poly")
    assert replace(LINEAR, origin={}) != LINEAR


def edited(**changes) -> str:
    content = json.loads(kernel_region().to_json())
    content.update(changes)
    return json.dumps({key: value for key, value in content.items() if value != "drop"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a region in JSON"),
        ('{"format": "stnopt.region", "format": "stnopt.region"}', "repeated keys"),
        (edited(format="other"), "expected 'format': 'stnopt.region', got 'other'"),
        (edited(version=2), "reads version 1, got 2"),
        (edited(version=True), "reads version 1, got True"),
        (edited(kind="forest"), "'kind' must be"),
        (edited(gamma="drop"), r"missing \['gamma'\]"),
        (edited(colour="red"), r"unknown \['colour'\]"),
        (edited(lower=3), "lower: expected a list"),
        (edited(lower=[1.0]), r"lower: expected shape \(2,\).*found \(1,\)"),
        (edited(gamma="1"), "gamma: expected a finite number"),
        (edited(inputs="S9"), "inputs: expected a tuple of non-empty names"),
        (edited(inputs=None), "inputs: expected a tuple of non-empty names"),
        (edited(dual_coefs=["__import__('os')", 1, 2]), "dual_coefs: expected numbers"),
        (edited().replace("0.125", "NaN"), "NaN is not JSON"),
        (edited().replace("0.125", "1e999"), "offset: expected a finite number"),
    ],
)
def test_bad_json_is_refused(text, message):
    with pytest.raises(InvalidInputError, match=message):
        load_region(text)


def test_bad_file_is_named_and_a_list_is_not_a_region(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text("[1, 2]")
    with pytest.raises(InvalidInputError, match=r"bad\.json.*got 'list'"):
        load_region(path)


# --- construction and points --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ()}, "at least one input"),
        ({"inputs": ("S9", "S9")}, r"\['S9'\] are repeated"),
        ({"inputs": ("S9", 3)}, "non-empty names"),
        ({"kernel": "linear"}, "a linear kernel is a LinearRegion"),
        ({"support_vectors": [[1.0], [2.0], [3.0]]}, r"expected shape \(3, 2\).*found \(3, 1\)"),
        ({"dual_coefs": [1.0, 2.0]}, r"support_vectors: expected shape \(2, 2\).*\(3, 2\)"),
        ({"dual_coefs": [1.0, math.nan, 2.0]}, "dual_coefs: every number must be finite"),
        ({"scale": [1.0, 0.0]}, "scale of 'S8': expected a positive number"),
        ({"gamma": 0.0}, "gamma: expected a positive number"),
        ({"gamma": math.inf}, "gamma: expected a finite number"),
        ({"offset": "0"}, "offset: expected a finite number"),
        ({"degree": 0}, "degree: expected an integer of at least 1"),
        ({"degree": 2.5}, "degree: expected an integer"),
        ({"lower": [0.0, 200.0]}, "training box of 'S8': expected lower <= upper"),
        ({"lower": [math.nan, 0.0]}, "lower: every number must be finite"),
        ({"origin": {"plant": ["a"]}}, r"origin\['plant'\]: expected text"),
        ({"origin": {"horizon": math.inf}}, r"origin\['horizon'\]"),
    ],
)
def test_bad_region_is_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        kernel_region(**changes)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([1.0, 2.0], r"expected shape \(n, 2\).*found \(2,\); write a single point"),
        ([[1.0, 2.0, 3.0]], r"found \(1, 3\)"),
        ([["a", "b"]], "expected numbers"),
        ([[1.0, 2.0], [math.nan, 2.0]], "row 1 is not finite"),
        (pd.DataFrame({"S9": [1.0]}), r"missing columns \['S8'\]"),
        (pd.DataFrame([[1.0, 2.0, 3.0]], columns=["S9", "S8", "S8"]), "more than once"),
    ],
)
@pytest.mark.parametrize("region", ALL[:2], ids=IDS[:2])
def test_bad_points_are_refused(region, points, message):
    with pytest.raises(InvalidInputError, match=message):
        region.decision(points)
    with pytest.raises(InvalidInputError, match=message):
        region.gradient(points)


# --- equations ----------------------------------------------------------------------------------


def evaluate(equation: str, values: dict[str, float]) -> float:
    """Run a printed text equation: definitions line by line, then the left side of `<= 0`."""
    assert equation.endswith(" <= 0")
    known = {"exp": math.exp, "tanh": math.tanh, **values}
    left = equation.removesuffix(" <= 0")
    start = left.index("(\n") if "\n" in left else 0
    exec(left[:start], {}, known)  # the library's own print, not input
    return eval(left[start:], {}, known)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("region", ALL, ids=IDS)
def test_text_equation_evaluates_to_the_decision(region, scaled):
    if not scaled and isinstance(region, KernelRegion):
        region = replace(
            region, center=[0, 0], scale=[1, 1], support_vectors=[[9, 8], [1, 2], [3, 5]]
        )
    for point in RNG.uniform(0, 20, (10, 2)):
        value = evaluate(region.equation(digits=17), dict(zip(region.inputs, point, strict=True)))
        assert value == pytest.approx(region.decision([point])[0], rel=1e-9, abs=1e-9)


def test_scaled_names_do_not_collide_with_inputs():
    region = kernel_region(inputs=("x2", "x1"))
    value = evaluate(region.equation(digits=17), {"x2": 40.0, "x1": 70.0})
    assert value == pytest.approx(region.decision([[40.0, 70.0]])[0])


def test_printed_equations():
    assert LINEAR.equation(digits=3) == "0.1*S9 - 0.333*S8 - 2.5 <= 0"
    assert LINEAR.equation("latex", digits=3) == (
        r"0.1\,\mathrm{S9} - 0.333\,\mathrm{S8} - 2.5 \le 0"
    )
    lines = kernel_region(dual_coefs=[1.5, -7e-9, 0.25]).equation("latex", digits=3).splitlines()
    assert lines == [
        r"\begin{aligned}",
        r"x_{1} &= \left(\mathrm{S9} - 50\right) / 30 \\",
        r"x_{2} &= \left(\mathrm{S8} - 40\right) / 25 \\",
        r"f &= 1.5 \, \exp\left(-0.4 \left(\left(x_{1} - 0.3\right)^2"
        r" + \left(x_{2} + 1.1\right)^2\right)\right) \\",
        r"&\quad - 7 \times 10^{-9} \, \exp\left(-0.4 \left(\left(x_{1} - 1.7\right)^2"
        r" + \left(x_{2} - 0.2\right)^2\right)\right) \\",
        r"&\quad + 0.25 \, \exp\left(-0.4 \left(\left(x_{1} + 0.4\right)^2"
        r" + \left(x_{2} - 0.9\right)^2\right)\right) \\",
        r"&\quad + 0.125 \\",
        r"f &\le 0",
        r"\end{aligned}",
    ]


def test_names_that_are_no_words_stay_readable():
    region = LinearRegion(
        inputs=("Product A", "B_2"), weights=[1, 2], offset=3, lower=[0, 0], upper=[1, 1]
    )
    assert region.equation() == "1*[Product A] + 2*B_2 + 3 <= 0"
    assert region.equation("latex") == r"1\,\mathrm{Product\ A} + 2\,\mathrm{B\_2} + 3 \le 0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("html",), "style: expected"), (("text", 0), "digits"), (("text", True), "digits")],
)
def test_bad_equation_arguments(arguments, message):
    style, *digits = arguments
    with pytest.raises(InvalidInputError, match=message):
        LINEAR.equation(style, **({"digits": digits[0]} if digits else {}))


@pytest.mark.parametrize("kernel", ["poly", "sigmoid"])
def test_latex_of_the_other_kernels_has_every_term(kernel):
    region = kernel_region(kernel, center=[0, 0], scale=[1, 1])
    text = region.equation("latex", digits=4)
    assert text.count(r"\mathrm{S9}") == text.count(r"\mathrm{S8}") == 3
    assert text.count(r"^{2}" if kernel == "poly" else r"\tanh") == 3
    assert "+ 0.125" in text
