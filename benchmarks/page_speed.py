"""How fast the page answers what needs no solve, in a browser: ex2, and a week of 300 batches.

Needs Chromium, its driver, and the extras `page` and `test`. For each interaction: milliseconds
from the click until the browser has drawn what it leads to, the median of five, and how much
of that its main thread was busy (CPU time, which other work on the machine does not stretch).
Run with `python benchmarks/page_speed.py [--shots FOLDER]`.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

N_REPEATS = 5
#: Clicks a thing, and returns when the page shows what it leads to.
TIMED = """
const [find, done, finished] = arguments;
const act = new Function('return ' + find), over = new Function('return ' + done);
window.stockLine = () => {
  const plots = document.querySelectorAll('.js-plotly-plot');
  return plots.length < 2 ? '' : [...plots[1].querySelectorAll('path.js-line')]
    .map(line => line.getAttribute('d')).join();
};
window.stockBefore = window.stockLine();
const began = performance.now();
act();
const look = () => {
  if (over()) requestAnimationFrame(() => finished(performance.now() - began));
  else if (performance.now() - began > 60000) finished(-1);
  else setTimeout(look, 2);
};
look();
"""
BUTTON = "[...document.querySelectorAll('button')].find(b => b.textContent.includes('{0}')).click()"
TAB = (
    "[...document.querySelectorAll('[role=tab]')].find(t => t.textContent.includes('{0}')).click()"
)
SHOWN = (
    "[...document.querySelectorAll('{0}')]"
    ".some(e => e.offsetParent && e.textContent.includes('{1}'))"
)
DRAWN = (
    "(() => {{ const p = document.querySelectorAll('.js-plotly-plot');"
    " return p.length >= 2 && p[0].querySelectorAll('.bars .point').length == {0}"
    " && window.stockLine() && window.stockLine() != window.stockBefore; }})()"
)
PICK = (
    "(() => {{ const p = [...document.querySelectorAll('.js-plotly-plot')]"
    ".find(e => e.querySelector('.bars'));"
    " p.emit('plotly_click', {{points: [{{customdata: {0}}}]}}); }})()"
)


def serve(port: int) -> None:
    """Serve a page for each plant, with two schedules each, until it is stopped."""
    from nicegui import ui

    import stnopt as so
    from stnopt.page.app import Page
    from stnopt.page.session import Scenario, Session

    plant = so.load_example("ex2")
    day = so.find_schedule(plant, horizon=8, n_events=5, max_span=0).schedule
    times = -(-300 // len(day.batches))
    week = so.Schedule(
        batches=[
            so.Batch(b.task, b.unit, b.start + 8 * n, b.finish + 8 * n, b.size)
            for n in range(times)
            for b in day.batches
        ][:300],
        final_stock={},
        horizon=8.0 * times,
    )

    def add_page(path: str, schedule: so.Schedule) -> None:
        @ui.page(path)
        def page() -> None:
            problem = so.Problem(horizon=schedule.horizon)
            session = Session(plant, problem)
            facts = {"network": plant, "problem": problem, "value": 1.0, "bound": None, "note": ""}
            shorter = replace(schedule, batches=schedule.batches[:-1])
            session.scenarios += [
                Scenario(name="first", schedule=shorter, **facts),
                Scenario(name="second", schedule=schedule, **facts),
            ]
            Page(session, lambda opened: None)

    add_page("/day", day)
    add_page("/week", week)
    ui.run(host="127.0.0.1", port=port, show=False, reload=False, show_welcome_message=False)


def interactions(n_bars: int) -> dict[str, list[tuple[str, str]]]:
    """Name each interaction: what is done, and what is there afterwards; pairs take turns."""
    return {
        "another view": [
            (TAB.format("Orders"), SHOWN.format("button", "Add an order")),
            (TAB.format("Schedule"), SHOWN.format("button", "Find the best")),
        ],
        "another schedule": [
            (BUTTON.format("first"), DRAWN.format(n_bars - 1)),
            (BUTTON.format("second"), DRAWN.format(n_bars)),
        ],
        "a batch that is clicked": [
            (PICK.format(1), SHOWN.format("[role=tabpanel]", " on ")),
            (TAB.format("Schedule"), SHOWN.format("button", "Find the best")),
        ],
        "zoom": [
            (
                "Plotly.relayout(document.querySelector('.js-plotly-plot'), "
                "{'xaxis.range': [0, 4]})",
                "true",
            ),
        ],
    }


def measure(port: int, folder: Path, shots: Path | None) -> str:
    """Return a table of the medians; screenshots are kept in `shots`."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1500"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={folder}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(120)
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    rows = [f"{'ms (of CPU)':26}{'ex2, 8 h':>16}{'a week, 300 batches':>24}"]
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        for path, n_bars in (("day", 11), ("week", 300)):
            driver.get(f"http://127.0.0.1:{port}/{path}")
            there = DRAWN.format(n_bars).split(" && window")[0] + "; })()"
            driver.execute_async_script(TIMED, "0", there)
            if shots is not None:
                shots.mkdir(parents=True, exist_ok=True)
                driver.save_screenshot(str(shots / f"{path}.png"))
            for name, steps in interactions(n_bars).items():
                taken, worked = [], []
                for _ in range(N_REPEATS):
                    for act, over in steps:
                        before = busy()
                        taken.append(driver.execute_async_script(TIMED, act, over))
                        worked.append(busy() - before)
                        time.sleep(0.3)
                medians = statistics.median(taken), statistics.median(worked)
                found.setdefault(name, []).append(medians)
    finally:
        driver.quit()
    rows += [
        f"{name:26}{day:8.0f} ({day_cpu:5.0f}){week:16.0f} ({week_cpu:5.0f})"
        for name, ((day, day_cpu), (week, week_cpu)) in found.items()
    ]
    return "\n".join(rows)


def main(*, shots: Path | None = None) -> str:
    """Serve the pages, measure, and return the table."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        with tempfile.TemporaryDirectory() as folder:
            return measure(port, Path(folder), shots)
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int)
    parser.add_argument("--shots", type=Path)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
    else:
        print(main(shots=given.shots))
