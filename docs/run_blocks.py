"""Run every code block of the pages as it is printed, and compare what they print.

`python docs/run_blocks.py` runs all of them, `python docs/run_blocks.py docs/search.md` those of a
page. The blocks of a page run in order, in one namespace and one folder of their own. A page that
speaks of files or variables that it does not make has a function here that makes them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]

#: Commands that are not run here, by what they begin with, and why.
NOT_RUN = {
    "make ": "a step of .ci/run, or of its own",
    "pip install": "it changes the environment",
    "podman": "a container engine; tests/reactor_yield/test_container.py runs its programs",
    "reactor-yield serve": "tests/reactor_yield/test_service.py starts it on a free port",
    "curl": "tests/reactor_yield/test_service.py asks the same of the service",
    "python -m reactor_yield.serving.sagemaker": "tests/reactor_yield/test_sagemaker.py, simulated",
    "python case_studies/": "the tests of the case studies run it small",
}
#: Blocks that show something else than code, by their first words.
NO_CODE = {
    "data      plant file": "a diagram",
    "15 6 * * *": "a line for cron",
    "debootstrap": "it makes a root file system",
    "UnsupportedModelError: ": "an error's sentence",
    "stnopt: 3 problems in": "errors of a file that is not shown",
    "planning:\n  periods: 12": "every key once, with dots for what is left out",
    "changes:\n  - {late": "tests/test_reschedule_command.py reads such a file",
}
#: Exit codes that say something, by command; any other than 0 is a failure.
EXIT_CODES = {
    "stnopt schedule": {0, 3, 4},
    "reactor-yield check": {0, 3},
    "reactor-yield monitor": {0, 3},
    "reactor-yield alarm": {0, 3},
}
#: Packages without which a block cannot be run; it is then counted as not shown.
NEEDS = {
    ".xlsx": "openpyxl",
    'solver="scip"': "pyscipopt",
    'solver="gurobi"': "gurobipy",
}
#: What a page's text says that its Python blocks print, and a pattern of what they do print.
PRINTED = {
    "docs/index.md": {"650.0": r"649\.99|650\.00", "147.4": r"147\.3[89]"},
    "docs/search.md": {"1.0 0.0 1.0 proven": r"1\.0 0\.0 1\.0 proven"},
    "docs/frontier.md": {"20 MILPs leave 2.1e-8": r"^20 2\.\d+e-08"},
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, its line, and whether it is one run."""

    language: str
    text: str
    line: int
    one_run: bool


def find_pages() -> list[str]:
    """List the pages with blocks, as paths from the project's folder."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    pages += (ROOT / "case_studies").glob("*/README.md")
    made = ("_build", "gallery")
    found = [page for page in sorted(pages) if not set(made) & set(page.relative_to(ROOT).parts)]
    names = [page.relative_to(ROOT).as_posix() for page in found]
    return [name for name in names if find_blocks(name)]


def find_blocks(page: str) -> list[Block]:
    """Find the fenced blocks of a page; directives such as ``{toctree}`` are none."""
    lines = (ROOT / page).read_text(encoding="utf-8").split("\n")
    blocks, start = [], None
    for number, line in enumerate(lines):
        if line.startswith("```") and start is None:
            start = number
        elif line.startswith("```") and start is not None:
            language = lines[start][3:].strip()
            if not language.startswith("{"):
                near = " ".join([*lines[max(0, start - 4) : start], *lines[number : number + 4]])
                text = "\n".join(lines[start + 1 : number])
                blocks.append(Block(language, text, start + 1, "one run" in near))
            start = None
    return blocks


def run_page(page: str, folder: Path) -> tuple[list[str], list[str]]:
    """Run the blocks of a page in a folder; what failed, and what was not shown."""
    failed: list[str] = []
    skipped: list[str] = []
    namespace: dict[str, Any] = {"__name__": "page"}
    before = Path.cwd()
    os.chdir(folder)
    printed = io.StringIO()
    try:
        PREPARE.get(page, lambda namespace: None)(namespace)
        for block in find_blocks(page):
            where = f"{page}:{block.line}"
            shown = [why for start, why in NO_CODE.items() if block.text.startswith(start)]
            missing = [p for word, p in NEEDS.items() if word in block.text and not _is_there(p)]
            if missing:
                skipped.append(f"{where}: not shown, {', '.join(missing)} is not installed")
            elif shown:
                skipped.append(f"{where}: {shown[0]}")
            elif block.language == "python":
                failed += _run_python(block, namespace, printed, where)
            elif block.language == "yaml":
                failed += _read_yaml(block, where)
            elif block.text.startswith("$ "):
                failed += _run_commands(block, where, skipped)
            else:
                why = [why for start, why in NOT_RUN.items() if block.text.startswith(start)]
                if why:
                    skipped.append(f"{where}: {why[0]}")
                else:
                    failed.append(f"{where}: no code, and NO_CODE does not say what it is")
    finally:
        os.chdir(before)
    text = (ROOT / page).read_text(encoding="utf-8")
    for words, pattern in PRINTED.get(page, {}).items():
        if words not in text or not re.search(pattern, printed.getvalue(), flags=re.MULTILINE):
            failed.append(f"{page}: {words!r} is not what page and code both say")
    return failed, skipped


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _run_python(
    block: Block, namespace: dict[str, Any], printed: io.StringIO, where: str
) -> list[str]:
    code = "\n" * block.line + block.text  # so that a traceback has the page's lines
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, where, "exec"), namespace)
    except Exception:  # reported with the other blocks'
        return [f"{where}: {traceback.format_exc(limit=-3)}"]
    return []


def _read_yaml(block: Block, where: str) -> list[str]:
    """Read what a block of a plant file holds, section by section."""
    import yaml

    import stnopt

    document = yaml.safe_load(block.text)
    try:
        if "problem" in document:
            stnopt.read_problem(document)
        if "now" in document:
            stnopt.read_state(document)
        if "plant" in document or "states" in document:
            stnopt.read_network(document)
    except stnopt.StnoptError as error:
        return [f"{where}: {error}"]
    if not {"problem", "now", "plant", "states"} & set(document):
        return [f"{where}: no section that is read"]
    return []


def _run_commands(block: Block, where: str, skipped: list[str]) -> list[str]:
    commands = [
        (found[1].replace("\\\n", " "), found[2])
        for found in re.finditer(
            r"^\$ ((?:.*\\\n)*.*)\n?((?:(?!\$ ).*(?:\n|$))*)", block.text, flags=re.MULTILINE
        )
    ]
    to_run = []
    for command, output in commands:
        why = [why for start, why in NOT_RUN.items() if command.startswith(start)]
        if why:
            skipped.append(f"{where}: {command.split(' -')[0]}: {why[0]}")
        else:
            to_run.append((command, output.strip("\n")))
    if not to_run:
        return []
    script = "s=0\n" + "\n".join(
        f"printf '@@@\\n'; (exit $s); {command}\ns=$?; printf '@@@%s\\n' $s"
        for command, _ in to_run
    )
    scripts = Path(sys.executable).parent
    run = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
    )
    said = re.findall(r"@@@\n(.*?)@@@(\d+)\n", run.stdout, flags=re.DOTALL)
    failed = []
    for (command, wanted), (printed, code) in zip(to_run, said, strict=True):
        allowed = [codes for start, codes in EXIT_CODES.items() if command.startswith(start)]
        if int(code) not in (allowed[0] if allowed else {0}):
            failed.append(f"{where}: {command}\nexit code {code}\n{printed}{run.stderr}")
        elif wanted and not block.one_run and not _is_same(printed, wanted):
            failed.append(f"{where}: {command}\nprinted\n{printed}\nand not\n{wanted}")
    return failed


def _is_same(printed: str, wanted: str) -> bool:
    """Whether a command printed what the page shows; a line of dots stands for any lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in wanted.split("\n")
    )
    return re.fullmatch(pattern, printed) is not None


def _small_model(namespace: dict[str, Any]) -> None:
    """A plant, a model of it, a learned region of its products, and a schedule."""
    import stnopt

    plant = stnopt.load_example("kumawat_2021")
    targets = stnopt.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 36, seed=1, method="grid")
    samples = stnopt.label_targets(plant, targets, horizon=8, n_events=4, max_span=0)
    region = stnopt.fit_region(samples, kernel="rbf", C=10).region
    model = stnopt.build_scheduling_model(plant, horizon=8, n_events=4)
    stnopt.set_objective(model, "production")
    variables = {product: model.final_stock[product] for product in region.inputs}
    namespace |= {
        "stnopt": stnopt, "plant": plant, "region": region, "model": model, "variables": variables,
    }  # fmt: skip


def _own_schedule(namespace: dict[str, Any]) -> None:
    import stnopt

    plant = stnopt.load_example("ex2")
    found = stnopt.find_schedule(plant, horizon=8, n_events=5, max_span=0)
    orders = [stnopt.Order("A", "S8", 30, due=6), stnopt.Order("B", "S9", 60, due=4)]
    problem = stnopt.Problem(objective="tardiness", horizon=8, orders=orders)
    namespace |= {"stnopt": stnopt, "plant": plant, "schedule": found.schedule, "problem": problem}


def _plant_files(namespace: dict[str, Any]) -> None:
    """The plant and the problem of docs/search.md, as a file."""
    import yaml

    page = (ROOT / "docs/search.md").read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)[0]
    found: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, found)
    content = {
        "plant": found["plant"].to_dict(),
        "problem": {
            "objective": "tardiness",
            "horizon": 8,
            "orders": [
                {"id": 4711, "state": "White", "amount": 100, "due": 3, "priority": 2},
                {"id": 4712, "state": "Red", "amount": 100, "due": 2},
            ],
        },
        "now": {
            "running": [
                {"task": "White", "unit": "Filler", "started": -1, "size": 100, "remaining": 1}
            ]
        },
    }
    Path("filling.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    content["problem"] |= {"objective": "profit", "horizon": 4}
    content["problem"]["orders"][0]["amount"] = 200
    Path("crowded.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def _paint_shop(namespace: dict[str, Any]) -> None:
    text = (ROOT / "case_studies/shift/paint.yaml").read_text(encoding="utf-8")
    Path("paint.yaml").write_text(text, encoding="utf-8")


def _shift_folder(namespace: dict[str, Any]) -> None:
    Path("case_studies/shift").mkdir(parents=True)
    text = (ROOT / "case_studies/shift/paint.yaml").read_text(encoding="utf-8")
    Path("case_studies/shift/paint.yaml").write_text(text, encoding="utf-8")


def _monday(namespace: dict[str, Any]) -> None:
    """A schedule of a day before, with nothing in it that has to stay."""
    import stnopt

    namespace["monday"] = stnopt.Schedule(batches=(), final_stock={}, horizon=8)


def _planning_files(namespace: dict[str, Any]) -> None:
    """A site with one reactor over two weeks, and a plan of somebody else's."""
    import pandas as pd
    import yaml

    reactor = {"Reactor": {"max_batch": 10, "fixed_time": 2}}
    plant = {
        "name": "one reactor",
        "states": {"Raw": {"initial": "unlimited", "cost": 1}, "A": {}, "B": {}},
        "tasks": {
            f"Make{name}": {"consumes": {"Raw": 1}, "produces": {name: 1}, "units": reactor}
            for name in "AB"
        },
    }
    rows = [{"period": period, "product": name, "amount": 10} for period in (1, 2) for name in "AB"]
    planning = {
        "periods": 2,
        "facilities": {"main": {"plant": plant, "horizon": 8, "holding_cost": {"A": 0.1}}},
        "demand": rows,
    }
    Path("one_site.yaml").write_text(yaml.safe_dump({"planning": planning}), encoding="utf-8")
    made = pd.DataFrame(rows).assign(facility="main")
    made.to_csv("plan.csv", index=False)
    if _is_there("openpyxl"):
        made.to_excel("plan.xlsx", index=False)


def _reactor_files(namespace: dict[str, Any]) -> None:
    """Data of the reactor, a model, and what a plant measured since."""
    import numpy as np

    import reactor_yield as ry

    data = ry.generate_dataset(600, seed=0)
    data.to_csv("data.csv", index=False)
    for name, seed in (("plant", 1), ("new", 2), ("reference", 3), ("yesterday", 4)):
        rows = ry.generate_dataset(400, seed=seed)
        known = rows.drop(columns=["status", "reason"]).dropna()
        known.assign(time=np.arange(len(known))).to_csv(f"{name}.csv", index=False)
    split = ry.split_dataset(data)
    Path("prepared").mkdir()
    split.train.to_csv("prepared/train.csv", index=False)
    split.test.to_csv("prepared/test.csv", index=False)
    ry.fit_yield_model(data, model="ridge").save("model.zip")
    series = ry.realistic_series(2, seed=0)
    series.iloc[:2000].to_csv("history.csv", index=False)
    series.iloc[2000:].to_csv("recent.csv", index=False)


def _own_columns(namespace: dict[str, Any]) -> None:
    """A plant's own history, with lots and dates."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    n = 240
    table = pd.DataFrame(
        {
            "started": pd.date_range("2026-01-01", periods=n, freq="8h").astype(str),
            "T_degC": rng.normal(78, 2, n),
            "hold_h": rng.normal(4, 0.3, n),
            "pH": rng.normal(6.5, 0.2, n),
            "lot": [f"K{k // 12}" for k in range(n)],
        }
    )
    noise = rng.normal(0, 0.8, n)
    table["yield_pct"] = 70 + (table["T_degC"] - 78) + 3 * (table["hold_h"] - 4) + noise
    table.to_csv("plant.csv", index=False)
    table.tail(60).to_csv("now.csv", index=False)


#: What a page takes for granted, made before its first block.
PREPARE: dict[str, Callable[[dict[str, Any]], None]] = {
    "case_studies/shift/README.md": _shift_folder,
    "docs/planning.md": _planning_files,
    "docs/search.md": _monday,
    "docs/command.md": _plant_files,
    "docs/embedding.md": _small_model,
    "docs/embedding/algebraic.md": _small_model,
    "docs/embedding/certified.md": _small_model,
    "docs/embedding/pieces.md": _small_model,
    "docs/embedding/split.md": _small_model,
    "docs/long_horizons.md": _own_schedule,
    "docs/operations.md": _reactor_files,
    "docs/reactor/data.md": _reactor_files,
    "docs/reactor/drift.md": _reactor_files,
    "docs/reactor/plant.md": _own_columns,
    "docs/reactor/runaway.md": _reactor_files,
    "docs/reactor/serving.md": _own_columns,
    "docs/reactor/yield.md": _reactor_files,
    "docs/rescheduling.md": _paint_shop,
}


def run_alone(page: str) -> tuple[list[str], list[str], float]:
    """Run a page in a folder of its own: what failed, what was not shown, and CPU seconds."""
    began = _cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        failed, skipped = run_page(page, Path(folder))
    return failed, skipped, _cpu_seconds() - began


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def main(pages: list[str]) -> int:
    """Run pages, print what failed and what was not shown; 1 if anything failed.

    As many processes as there are cores, four at most, take the pages from the first to the last.
    A process of its own begins anew, whatever this one has opened.
    """
    n_failed, seconds = 0, 0.0
    n_processes = min(os.cpu_count() or 1, 4, len(pages))
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as processes:
        for page, (failed, skipped, used) in zip(
            pages, processes.map(run_alone, pages), strict=True
        ):
            print(f"{page}: {len(failed)} failed, {used:.1f} CPU s", flush=True)
            print("".join(f"  {each}\n" for each in [*failed, *skipped]), end="", flush=True)
            n_failed += len(failed)
            seconds += used
    print(f"{len(pages)} pages: {n_failed} failed, {seconds:.0f} CPU s")
    return int(n_failed > 0)


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.exit(main(sys.argv[1:] or find_pages()))
