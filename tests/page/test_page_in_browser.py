"""The page as a person uses it, in a real browser; skipped where Chromium is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and its driver"),
    pytest.mark.long,
]

SHIFT = Path(__file__).parents[2] / "case_studies" / "shift" / "paint.yaml"
#: A folder that keeps what a phone shows, to be looked at.
SHOTS = os.environ.get("STNOPT_SCREENSHOTS")
#: Nothing here is judged by its speed: only a page that hangs is given up.
PATIENCE = 900.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Visitor:
    """A person at the page."""

    def __init__(self, port, folder, width=1280):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--window-size={width},1500",
            f"--user-data-dir={folder}",
        ):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_page_load_timeout(PATIENCE)
        self.address = f"http://127.0.0.1:{port}/"

    def open(self):
        self.driver.get(self.address)
        self.wait(lambda: self.find("button", "Find the best"))

    def wait(self, seen):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if found := seen():
                    return found
            except StaleElementReferenceException:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not seen in {PATIENCE:g} s; the page says: {self.text()[:2000]}")

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def find(self, kind, text):
        found = self.driver.find_elements(By.CSS_SELECTOR, kind)
        return next((e for e in found if text.lower() in e.text.lower() and e.is_displayed()), None)

    def press(self, text):
        def pressed():
            button = self.find("button", text)
            if button is not None:
                button.click()
            return button

        self.wait(pressed)

    def view(self, name):
        self.wait(lambda: self.find("[role=tab]", name)).click()

    def field(self, label):
        def seen():
            fields = self.driver.find_elements(By.TAG_NAME, "input")
            named = (f for f in fields if label in (f.get_attribute("aria-label") or ""))
            return next((f for f in named if f.is_displayed()), None)

        return self.wait(seen)

    def write(self, label, text):
        def written():
            field = self.field(label)
            self.driver.execute_script("arguments[0].select()", field)
            field.send_keys(text)
            field.send_keys("\t")
            return True

        self.wait(written)

    def sees(self, text):
        return self.wait(lambda: text.lower() in self.text().lower())

    def click_in_chart(self, x, y):
        """Click at a share of the first visible chart's width and height."""

        def drawn():
            charts = self.driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .nsewdrag")
            return next((c for c in charts if c.is_displayed()), None)

        area = self.wait(drawn)
        width, height = area.size["width"], area.size["height"]
        ActionChains(self.driver).move_to_element_with_offset(
            area, int((x - 0.5) * width), int((y - 0.5) * height)
        ).pause(0.3).click().perform()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A page of the shift's plant and one of a small plant: their ports."""
    ports, processes = {}, []
    for plant in (str(SHIFT), "storage_trap"):
        ports[plant] = free_port()
        command = [sys.executable, "-m", "stnopt", "page", plant, "--no-browser"]
        command += ["--port", str(ports[plant])]
        # NiceGUI serves itself in another way where it sees that it is being tested.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        processes.append(subprocess.Popen(command, env=environment))
    end = time.monotonic() + PATIENCE
    for port in ports.values():
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
    yield ports
    for process in processes:
        process.terminate()
        process.wait(30)


@pytest.fixture
def visit(served, tmp_path):
    opened = []

    def start(plant, width=1280):
        visitor = Visitor(served[plant], tmp_path / str(len(opened)), width)
        opened.append(visitor)
        visitor.open()
        return visitor

    yield start
    for visitor in opened:
        visitor.driver.quit()


def test_a_target_that_is_clicked_shows_its_schedule(visit):
    visitor = visit("storage_trap")
    visitor.view("Targets")
    visitor.write("Horizon", "8")
    visitor.write("Event points", "3")
    visitor.press("Trace the boundary")
    visitor.sees("The boundary is traced")
    visitor.click_in_chart(0.3, 0.8)
    visitor.sees("1 cost")
    assert float(visitor.field("P").get_attribute("value")) > 0
    # And one far outside: it cannot be made, and the page says why.
    visitor.write("P", "25")
    visitor.press("Can this be made")
    visitor.sees("Short by")
    visitor.driver.refresh()  # what was found is still there
    visitor.sees("1 cost")


def test_an_order_that_cannot_be_met_is_said_with_what_is_missing(visit):
    visitor = visit(str(SHIFT))
    visitor.view("Orders")
    visitor.press("Least late schedule")
    visitor.sees("1400 kg missing")
    visitor.sees("on time")


def test_a_late_batch_is_planned_again(visit):
    visitor = visit(str(SHIFT))
    visitor.press("Find the best schedule")
    visitor.sees("1 tardiness")
    visitor.click_in_chart(0.18, 0.08)  # the first batch of the first mixer
    visitor.wait(lambda: visitor.find("button", "Plan the rest again"))
    visitor.sees("MixW on Mixer1")
    visitor.press("Plan the rest again")
    visitor.sees("Against the old schedule")
    visitor.press("Compare")
    visitor.sees("no better than")


def test_a_solve_can_be_stopped(visit):
    visitor = visit("storage_trap")
    visitor.view("Targets")
    visitor.press("Trace the boundary")
    visitor.press("Stop")
    visitor.wait(lambda: visitor.find("button", "Stop") is None)


def test_a_bad_file_is_refused_with_its_problems(visit, tmp_path):
    visitor = visit(str(SHIFT))
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        SHIFT.read_text(encoding="utf-8").replace("fixed_time: 1.5", "fixed_time: -1"), "utf-8"
    )
    visitor.driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(bad))
    visitor.sees("2 problems in bad.yaml")
    assert "paint shop" in visitor.text()


def test_two_visitors_do_not_see_each_other(visit):
    one, other = visit(str(SHIFT)), visit(str(SHIFT))
    one.press("Find the best schedule")
    one.sees("1 tardiness")
    assert "1 tardiness" not in other.text()


def test_a_plant_that_one_visitor_opens_is_not_the_other_s(visit, tmp_path):
    one, other = visit(str(SHIFT)), visit(str(SHIFT))
    own = tmp_path / "own.yaml"
    text = SHIFT.read_text(encoding="utf-8").replace("name: paint shop", "name: secret plant")
    own.write_text(text, encoding="utf-8")
    one.driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(own))
    one.sees("secret plant is open")
    other.driver.refresh()
    other.sees("paint shop")
    assert "secret" not in other.text()
    assert "secret" not in visit(str(SHIFT)).text()


def test_a_screen_reader_finds_its_way(visit):
    axe = pytest.importorskip("axe_core_python.selenium").Axe()
    visitor = visit(str(SHIFT))
    visitor.press("Find the best schedule")
    visitor.sees("1 tardiness")
    for view in ("Schedule", "Orders", "Targets", "Plan again", "Plant"):
        visitor.view(view)
        time.sleep(0.6)  # a view that slides in is half transparent, which is no contrast
        found = axe.run(visitor.driver)["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        told = [(each["id"], [node["html"][:150] for node in each["nodes"]]) for each in serious]
        assert not told, (view, told)


def test_it_fits_a_phone(visit):
    visitor = visit(str(SHIFT))
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    visitor.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    visitor.press("Find the best schedule")
    visitor.sees("1 tardiness")
    visitor.wait(lambda: visitor.driver.find_elements(By.CSS_SELECTOR, ".bars .point"))
    wide = visitor.driver.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0
    if SHOTS:
        visitor.driver.save_screenshot(str(Path(SHOTS) / "page-390.png"))
