"""The container's programs on a temporary folder, killed in the middle, and as an image."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from reactor_yield import load_yield_model
from reactor_yield.serving import container
from reactor_yield.serving.baseline import describe_baseline

ROOT = Path(__file__).resolve().parents[2]


def lay_out(root, data, channel="train", **hyperparameters):
    folder = root / "input" / "data" / channel
    folder.mkdir(parents=True, exist_ok=True)
    data.to_csv(folder / "part.csv", index=False)
    config = root / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))


def test_train_writes_model_report_and_baseline_together(data, tmp_path):
    lay_out(tmp_path, data.iloc[::25], model="ridge", test_size="0.5", seed="3")
    assert container.main(["train"], root=tmp_path) == 0
    names = {p.relative_to(tmp_path / "model").as_posix() for p in tmp_path.rglob("model/**/*.*")}
    baseline = {f"baseline/{n}" for n in ("statistics.json", "constraints.json", "reference.csv")}
    assert names == {"model.zip", "report.json"} | baseline
    statistics = json.loads((tmp_path / "model" / "baseline" / "statistics.json").read_text())
    assert statistics["dataset"]["item_count"] == 200
    assert len(pd.read_csv(tmp_path / "model" / "baseline" / "reference.csv")) == 200
    given = tmp_path / "now.csv"
    data.iloc[:5].to_csv(given, index=False)
    assert container.main(["predict", str(given), str(tmp_path / "out.csv")], root=tmp_path) == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 5


def test_own_columns_and_a_test_channel_are_hyperparameters(data, tmp_path):
    own = data.rename(columns={"Fao": "feed", "Yc": "quality"})[["feed", "m", "quality"]]
    own.loc[own.index[::50], "m"] = None
    lay_out(tmp_path, own.iloc[::20], channel="test")
    names = {"features": "feed,m", "target": "quality", "model": "ridge", "limits": "0,1"}
    lay_out(tmp_path, own.iloc[1::20], channel="training", **names)
    assert container.main(["train"], root=tmp_path) == 0, (tmp_path / "output/failure").read_text()
    model = load_yield_model(tmp_path / "model" / "model.zip")
    assert (model.features, model.target, model.report.n_rows) == (("feed", "m"), "quality", 500)
    assert model.limits == (0.0, 1.0)


def test_serving_without_a_model_says_so(tmp_path, capsys):
    pytest.importorskip("fastapi")
    assert container.main(["serve"], root=tmp_path) == 2
    assert "cannot serve" in capsys.readouterr().err


def test_killed_before_its_model_appears_there_is_no_half_model(data, tmp_path):
    """The process kills itself where the finished file would take its name."""
    lay_out(tmp_path, data.iloc[::40], model="ridge")
    program = (
        "import os, signal; from pathlib import Path;"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "from reactor_yield.serving.container import main; main(['train'])"
    )
    environment = os.environ | {"REACTOR_YIELD_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.rglob("model.zip"))
    assert container.main(["train"], root=tmp_path) == 0  # what was left is in nobody's way


def test_baseline_has_the_monitors_fields():
    table = pd.DataFrame({"x": [1.0, 2.0, None, 4.0], "n": [1, 2, 3, 4], "lot": list("aabb")})
    statistics, constraints = describe_baseline(table, ["x", "n", "lot"])
    x, n, lot = statistics["features"]
    assert x["numerical_statistics"]["common"] == {"num_present": 3, "num_missing": 1}
    assert x["numerical_statistics"]["mean"] == pytest.approx(7 / 3)
    assert (n["inferred_type"], lot["inferred_type"]) == ("Integral", "String")
    assert lot["string_statistics"]["distinct_count"] == 2
    assert [c["completeness"] for c in constraints["features"]] == [0.75, 1.0, 1.0]
    assert constraints["features"][2]["string_constraints"]["domains"] == ["a", "b"]
    json.dumps([statistics, constraints], allow_nan=False)


def test_script_mode_trains_and_answers(data, tmp_path, monkeypatch):
    from reactor_yield.serving import script_mode

    (tmp_path / "in").mkdir()
    (tmp_path / "model").mkdir()
    data.iloc[::25].to_csv(tmp_path / "in" / "a.csv", index=False)
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(tmp_path / "in"))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    assert script_mode.main(["--model", "ridge"]) == 0
    model = script_mode.model_fn(str(tmp_path / "model"))
    some = data[list(model.features)].iloc[:3]
    for body, kind in (
        (some.to_csv(index=False), "text/csv"),
        (some.to_json(orient="records"), "Application/JSON; charset=utf-8"),
    ):
        predicted = script_mode.predict_fn(script_mode.input_fn(body, kind), model)
        content, answered = script_mode.output_fn(predicted, "application/json")
        assert answered == "application/json"
        assert [r["Yc"] for r in json.loads(content)] == pytest.approx(model.predict(some)["Yc"])
    assert script_mode.output_fn(predicted, "*/*")[1] == "text/csv"
    with pytest.raises(ValueError, match="not 'text/plain'"):
        script_mode.input_fn("x", "text/plain")
    assert script_mode.main(["--train", str(tmp_path), "--model-dir", str(tmp_path)]) == 1


def _why_no_image() -> str | None:
    """Why the image cannot be built here, or nothing."""
    if "REACTOR_YIELD_TEST_BASE" not in os.environ:
        return "set REACTOR_YIELD_TEST_BASE to a base image that this machine has"
    return None if shutil.which("buildah") else "buildah is not installed"


@pytest.mark.skipif(_why_no_image() is not None, reason=str(_why_no_image()))
def test_the_image_trains_predicts_and_serves(data, tmp_path):
    """Options of the builder come as IMAGE_OPTIONS; docs/operations.md has the whole command."""
    base = os.environ["REACTOR_YIELD_TEST_BASE"]
    runtime = os.environ.get("REACTOR_YIELD_TEST_RUNTIME", base)
    environment = os.environ | {"BUILDAH_ISOLATION": "chroot", "BASE": base, "RUNTIME": runtime}
    for folder in (tmp_path, *tmp_path.parents):  # serve gives up root: anyone must get in
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)

    def run(*command):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()

    run(str(ROOT / "container" / "build.sh"), "reactor-yield-test")
    name = run("buildah", "from", "localhost/reactor-yield-test")
    volume = ["-v", f"{tmp_path}:/opt/ml"]
    try:
        lay_out(tmp_path, data.iloc[::20], model="ridge")
        run("buildah", "run", *volume, name, "--", "train")
        data.iloc[:4].to_csv(tmp_path / "in.csv", index=False)
        run("buildah", "run", *volume, name, "--", "predict", "/opt/ml/in.csv", "/opt/ml/out.csv")
        assert len(pd.read_csv(tmp_path / "out.csv")) == 4
        process = subprocess.Popen(
            ["buildah", "run", *volume, "-e", "REACTOR_YIELD_PORT=18321", name, "--", "serve"],
            env=environment,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        process.stderr.readline()  # it says that it starts
        try:
            answer = None
            for _ in range(300):
                try:
                    body = (tmp_path / "in.csv").read_bytes()
                    request = urllib.request.Request(
                        "http://127.0.0.1:18321/invocations", body, {"Content-Type": "text/csv"}
                    )
                    answer = urllib.request.urlopen(request, timeout=60).read().decode()
                    break
                except OSError:
                    time.sleep(0.2)
            assert answer is not None
            assert len(answer.splitlines()) == 5
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            process.stderr.close()
    finally:
        run("buildah", "rm", name)


def test_the_image_names_only_packages_that_are_pinned():
    pinned = {
        line.split("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = {
        line
        for line in (ROOT / "container" / "packages.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert wanted <= pinned
