"""The kernels there are: one line each, and all that asks "which kernel?" asks here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stnopt.feasibility.kernels.dot_product import PolynomialKernel, SigmoidKernel
from stnopt.feasibility.kernels.laplacian import LaplacianKernel
from stnopt.feasibility.kernels.rbf import RbfKernel

if TYPE_CHECKING:
    from stnopt.feasibility.kernels.contract import Kernel

KERNEL_CLASSES: dict[str, type[Kernel]] = {
    each.name: each
    for each in (
        RbfKernel,
        PolynomialKernel,
        SigmoidKernel,
        LaplacianKernel,
    )
}
#: Names of the kernels that a `KernelRegion` may have.
KERNELS: tuple[str, ...] = tuple(KERNEL_CLASSES)


def kernel_of_machine(machine: Any, n_inputs: int) -> Kernel | None:
    """Kernel of a fitted support vector machine of scikit-learn; None if it is none of these."""
    for each in KERNEL_CLASSES.values():
        if (kernel := each.from_machine(machine, n_inputs)) is not None:
            return kernel
    return None
