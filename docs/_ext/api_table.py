"""The API page, written from the packages themselves, so that no name or module on it can be stale.

``<!-- public names -->`` in ``docs/api.md`` becomes a table of all public names by room, and
``<!-- modules -->`` in the page of a room, such as ``docs/api/plant.md``, one section per module in
which they live.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

#: Rooms in the order of the architecture page, and what the API page calls them.
ROOMS = {
    "stnopt.plant": "Plant",
    "stnopt.solvers": "Solving",
    "stnopt.errors": "Errors",
    "stnopt.files": "Files",
    "stnopt.scheduling": "Scheduling",
    "stnopt.feasibility": "Feasibility",
    "stnopt.embedding": "Embedding",
    "stnopt.planning": "Planning",
    "stnopt.page": "The page",
    "stnopt.plot": "Plots",
    "reactor_yield": "Reactor",
}
#: Public by their module: what a user extends rather than imports by name.
CONTRACTS = (
    "stnopt.plant.objective",
    "stnopt.feasibility.kernels.contract",
    "stnopt.solvers.request",
)


def public_names(package: str) -> dict[str, str]:
    """List every public name of a package with the module that defines it."""
    found = importlib.import_module(package)
    names = getattr(found, "__all__", None) or found._MODULE_OF
    modules = {}
    for name in sorted(names, key=lambda n: (n.lower(), n)):
        value = getattr(found, name)
        modules[name] = _module_of(found, name, value)
    return modules


def _module_of(package: ModuleType, name: str, value: Any) -> str:
    """Where a name is defined; for a constant or an alias, where the package takes it from."""
    module = getattr(value, "__module__", None)
    if isinstance(module, str) and hasattr(importlib.import_module(module), name):
        return module
    listed = getattr(package, "_MODULES", {})
    inside = getattr(package, "_MODULE_OF", {})
    return listed.get(name) or f"{package.__name__}.{inside[name]}"


def room_of(module: str) -> str:
    """Name the room of a module."""
    for prefix, room in ROOMS.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return room
    raise LookupError(f"{module} lies in no room that docs/_ext/api_table.py lists")


def write_table(modules: dict[str, str]) -> str:
    """Write the names as a table, a row per room."""
    rows = ["| Room | Names |", "|---|---|"]
    for room in ROOMS.values():
        names = [
            f"{{py:obj}}`{name} <{module}.{name}>`"
            for name, module in modules.items()
            if room_of(module) == room
        ]
        if names:
            rows.append(f"| {room} | {', '.join(names)} |")
    return "\n".join(rows)


def write_sections(modules: list[str]) -> str:
    """Write a section per module."""
    lines: list[str] = []
    for module in modules:
        directive = ["```{eval-rst}", f".. automodule:: {module}", "```"]
        lines += [f"## `{module}`", "", *directive, ""]
    return "\n".join(lines)


def page_of(room: str) -> str:
    """Name the page of a room."""
    return f"api/{room.lower().replace(' ', '_')}"


def _fill(app: Any, docname: str, source: list[str]) -> None:
    if docname != "api" and not docname.startswith("api/"):
        return
    names = public_names("stnopt") | public_names("reactor_yield")
    modules = sorted({*names.values(), *CONTRACTS})
    mark, text = "<!-- public names -->", write_table(names)
    if docname != "api":
        here = [module for module in modules if page_of(room_of(module)) == docname]
        mark, text = "<!-- modules -->", write_sections(here)
    if mark not in source[0] or not text:
        raise LookupError(f"docs/{docname}.md has no {mark}, or there is no such room")
    source[0] = source[0].replace(mark, text)


def setup(app: Any) -> dict[str, bool]:
    """Fill the page when Sphinx reads it."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}
