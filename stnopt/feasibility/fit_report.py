"""What a fit returns: how the classifier was fitted, and how it did on targets held out from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.feasibility.from_sklearn import support_vectors_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from stnopt.feasibility.region import Region
    from stnopt.feasibility.samples import RegionScore

    FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitReport:
    """How the classifier was fitted, and how its procedure did on targets held out from it.

    Parameters
    ----------
    kernel : str
    C : float
        Penalty of the returned classifier.
    gamma : float or None
        Kernel coefficient of the returned classifier, in scaled inputs; None for a linear one.
    cv_score : float or None
        Mean cross-validated accuracy of the chosen C and gamma; None when nothing was tuned.
    n_train, n_test : int
        Targets in the two parts of the split.
    n_undecided : int
        Targets left out because they are labelled 0.
    n_support : int
        Support vectors of the returned classifier, which is refitted on both parts.
    classification : DataFrame
        Precision, recall, f1-score and support on the test part, one row per class and their mean.
        NaN where the test part has nothing to divide by.
    confusion : DataFrame
        Counts on the test part: true class by row, predicted class by column.
    test_score : RegionScore
        Error rates on the test part with 95 % intervals, false-feasible apart from
        false-infeasible.
    margin : float
        Added to the decision so that the region claims certified targets only; 0 without.
    n_counterexamples : int
        Targets that the search for the margin added to the training ones, labelled +1.
    exact_score : RegionScore or None
        The returned region on 10,000 targets, uniform in its training box, labelled by the
        certificate; None without one. Undecided targets count as infeasible.
    area_lost : float or None
        Share of the certified feasible targets among them that the margin gives up: those that
        the region without margin contains and the one with it does not.
    """

    kernel: str
    C: float
    gamma: float | None
    cv_score: float | None
    n_train: int
    n_test: int
    n_undecided: int
    n_support: int
    classification: pd.DataFrame
    confusion: pd.DataFrame
    test_score: RegionScore
    margin: float = 0.0
    n_counterexamples: int = 0
    exact_score: RegionScore | None = None
    area_lost: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers on the test part."""
        return float(np.trace(self.confusion.to_numpy())) / self.n_test

    @property
    def false_feasible_rate(self) -> float | None:
        """Share of the test part's infeasible targets called feasible; None without any."""
        return self.test_score.false_feasible_rate

    @property
    def false_infeasible_rate(self) -> float | None:
        """Share of the test part's feasible targets called infeasible; None without any."""
        return self.test_score.false_infeasible_rate

    def __str__(self) -> str:
        """Readable summary: parameters, classification report, confusion matrix, error rates."""
        gamma = "" if self.gamma is None else f", gamma={self.gamma:.6g}"
        tuned = "as given" if self.cv_score is None else "by cross-validation"
        lines = [
            f"{self.kernel} classifier, C={self.C:.6g}{gamma} ({tuned}),"
            f" {self.n_support} support vectors"
        ]
        if self.cv_score is not None:
            lines.append(f"cross-validated accuracy {100 * self.cv_score:.2f} %")
        left_out = f", {self.n_undecided} undecided left out" if self.n_undecided else ""
        lines += [
            f"figures below: trained on {self.n_train}, tested on {self.n_test} held-out targets"
            f"{left_out};",
            f"the region itself is refitted on all {self.n_train + self.n_test}",
            "",
            self.classification.to_string(float_format="{:.3f}".format, na_rep="-"),
            "",
            self.confusion.to_string(),
            "",
            f"accuracy          {100 * self.accuracy:>7.2f} %",
            str(self.test_score),
        ]
        if self.exact_score is not None:
            lines += ["", "the region on targets labelled by its certificate:"]
            lines.append(str(self.exact_score))
        if self.margin > 0 and self.area_lost is not None:
            lines.append(
                f"certified margin {self.margin:.4g}, which gives up {100 * self.area_lost:.2f} %"
                " of the feasible area"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRegion:
    """What `fit_region` returns.

    Parameters
    ----------
    region : LinearRegion or KernelRegion
        Plain arrays, scaling folded in; decision <= 0 is feasible.
    report : FitReport
    estimator : Pipeline
        The fitted scikit-learn estimator that the region repeats; its ``decision_function`` on a
        table of targets equals ``region.decision``.
    """

    region: Region
    report: FitReport
    estimator: Any

    def __repr__(self) -> str:
        return f"FittedRegion({self.region!r}, accuracy {self.report.accuracy:.4g})"

    def _repr_html_(self) -> str:
        """Return the region drawn, and how good it is, as notebooks show it."""
        from stnopt.page.notebook import show_fit

        return show_fit(self)

    @property
    def support_vectors(self) -> FloatArray:
        """Support vectors in the plant's own units, (m, p), for any kernel."""
        return support_vectors_of(self.estimator)
