"""The container contract on a temporary folder, the web application, and AWS calls against moto."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys

import pandas as pd
import pytest

from reactor_yield import fit_yield_model, load_yield_model
from reactor_yield.errors import InvalidConditionsError, MissingDependencyError

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")

from reactor_yield.serving import app as serve  # noqa: E402 - only where fastapi is
from reactor_yield.serving import container  # noqa: E402


class Client:
    """Sends requests to the application itself, without a port."""

    def __init__(self, app):
        self.app = app

    def request(self, method, path, **options):
        async def send():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, **options):
        return self.request("POST", path, **options)


@pytest.fixture(scope="module")
def model(data):
    return fit_yield_model(data.iloc[::20], model="ridge")


@pytest.fixture(scope="module")
def client(model):
    return Client(serve.create_app(model))


def test_ping(client):
    assert client.get("/ping").status_code == 200


def test_csv_in_csv_out(client, model, data):
    some = data.iloc[:7][list(model.features)]
    body = some.to_csv(index=False)
    answer = client.post("/invocations", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 200
    lines = answer.text.splitlines()
    assert lines[0] == "Yc,lower,upper,in_range,outside"
    assert len(lines) == 8
    assert float(lines[1].split(",")[0]) == pytest.approx(model.predict(some)["Yc"].iloc[0])


def test_json_in_json_out(client, data):
    records = data.iloc[:2][["Fao", "Fbo", "P", "To", "m", "Ta"]].to_dict(orient="records")
    records[1]["To"] = 900.0
    answer = client.post("/invocations", json=records, headers={"accept": "application/json"})
    first, second = answer.json()
    assert first["lower"] <= first["Yc"] <= first["upper"]
    assert first["in_range"] is True
    assert second["in_range"] is False
    assert "To 900 is not in" in second["outside"]


@pytest.mark.parametrize(
    ("content", "kind", "code", "message"),
    [
        (b"a,b\n1,2\n", "text/csv", 400, "lack the columns"),
        (b"", "text/csv", 400, "the file is empty"),
        (b"{", "application/json", 400, "Expecting property name"),
        (b'{"Fao": 5}', "application/json", 400, "a list of records"),
        (b"x", "text/plain", 415, "not 'text/plain'"),
        (b"a\n" + b"1\n" * 100_001, "text/csv", 413, "at most 100000"),
    ],
)
def test_unusable_requests_are_answered_with_a_sentence(client, content, kind, code, message):
    answer = client.post("/invocations", content=content, headers={"content-type": kind})
    assert answer.status_code == code
    assert message in answer.text


def _lay_out(root, data, **hyperparameters):
    channel = root / "input" / "data" / "train"
    channel.mkdir(parents=True)
    data.to_csv(channel / "part.csv", index=False)
    config = root / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))


def test_train_writes_the_model_where_the_contract_says(data, tmp_path):
    _lay_out(tmp_path, data.iloc[::25], model="gp", n_points="100", test_size="0.5")
    assert container.main(["train"], root=tmp_path) == 0
    model = load_yield_model(tmp_path / "model" / container.MODEL_FILE)
    assert model.report.kind == "gp"
    report = json.loads((tmp_path / "model" / "report.json").read_text())
    assert report["test"]["all"]["n_rows"] == 200


@pytest.mark.parametrize(
    ("change", "hyperparameters", "message"),
    [
        (lambda d: d.drop(columns="Ta"), {}, "'Ta' is missing"),
        (lambda d: d, {"depth": "3"}, "unknown hyperparameters ['depth']"),
        (lambda d: d, {"seed": "x"}, "ValueError"),
    ],
)
def test_train_tells_why_it_failed(data, tmp_path, change, hyperparameters, message):
    _lay_out(tmp_path, change(data.iloc[::50]), **hyperparameters)
    assert container.main(["train"], root=tmp_path) == 1
    assert message in (tmp_path / "output" / "failure").read_text()


def test_train_without_data_and_unknown_words(tmp_path, capsys):
    assert container.main(["train"], root=tmp_path) == 1
    assert "no CSV file in" in (tmp_path / "output" / "failure").read_text()
    assert container.main(["dance"], root=tmp_path) == 2
    assert "expected train, serve, or predict" in capsys.readouterr().err


def test_serve_loads_the_model_and_listens_on_all_interfaces(model, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model" / container.MODEL_FILE)
    started = {}
    monkeypatch.setattr(
        serve.uvicorn, "run", lambda app, **options: started.update(options, app=app)
    )
    assert container.main(["serve"], root=tmp_path) == 0
    assert (started["host"], started["port"]) == ("0.0.0.0", 8080)
    assert Client(started["app"]).get("/ping").status_code == 200


def test_the_command_serves_on_this_machine_only(model, tmp_path, monkeypatch):
    from reactor_yield.cli import main

    model.save(tmp_path / "model.zip")
    started = {}
    monkeypatch.setattr(serve.uvicorn, "run", lambda app, **options: started.update(options))
    assert main(["serve", str(tmp_path / "model.zip"), "--port", "9000"]) == 0
    assert (started["host"], started["port"]) == ("127.0.0.1", 9000)


def test_missing_fastapi_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    spec = importlib.util.spec_from_file_location("serve_again", serve.__file__)
    with pytest.raises(MissingDependencyError, match=r"stnopt\[serve\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# AWS


def test_a_location_is_an_address_with_bucket_and_key():
    from reactor_yield.serving.aws import is_s3, upload

    assert is_s3("s3://bucket/key")
    assert not is_s3("data.csv")
    for wrong in ("s3://bucket", "s3:///key", "data.csv"):
        with pytest.raises(InvalidConditionsError, match="expected s3://bucket/key"):
            upload("x", wrong, client=object())


@pytest.fixture
def cloud(monkeypatch):
    """A simulated AWS account; boto3 never reaches the network."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with moto.mock_aws():
        boto3.client("s3").create_bucket(
            Bucket="plant", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield boto3


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_the_command_reads_and_writes_s3(cloud, tmp_path, monkeypatch):
    from reactor_yield.cli import main

    assert main(["generate", "s3://plant/data/train.csv", "--rows", "200"]) == 0
    arguments = ["s3://plant/data/train.csv", "s3://plant/model.zip", "--model", "gp"]
    assert main(["train", *arguments, "--points", "80"]) == 0
    arguments = ["s3://plant/model.zip", "s3://plant/data/train.csv", "s3://plant/out.csv"]
    assert main(["predict", *arguments]) == 0
    from reactor_yield.serving.aws import download

    download("s3://plant/out.csv", tmp_path / "out.csv")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 200
    arguments = ["s3://plant/model.zip", "s3://plant/data/train.csv", "--target", "0.9"]
    assert main(["alarm", "yield", *arguments, "--causes", "s3://plant/causes.csv"]) == 3
    download("s3://plant/causes.csv", tmp_path / "causes.csv")
    assert "effect" in pd.read_csv(tmp_path / "causes.csv").columns
    served = []
    monkeypatch.setattr(serve.uvicorn, "run", lambda app, **options: served.append(options))
    assert main(["serve", "s3://plant/model.zip", "--port", "9000"]) == 0
    assert [options["port"] for options in served] == [9000]


def test_training_and_endpoint_are_created_with_our_image(cloud):
    from reactor_yield.serving.sagemaker import deploy, invoke, start_training

    role = "arn:aws:iam::123456789012:role/SageMaker"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/reactor-yield:1"
    arn = start_training(
        "yield-1",
        image=image,
        role=role,
        data="s3://plant/data/",
        output="s3://plant/models/",
        hyperparameters={"model": "gp"},
    )
    assert arn.endswith("training-job/yield-1")
    sagemaker = cloud.client("sagemaker")
    job = sagemaker.describe_training_job(TrainingJobName="yield-1")
    assert job["HyperParameters"] == {"model": "gp"}
    assert job["AlgorithmSpecification"]["TrainingImage"] == image
    archive = "s3://plant/models/yield-1/output/model.tar.gz"
    arn = deploy("yield-1", image=image, role=role, model_archive=archive)
    assert arn.endswith("endpoint/yield-1")
    assert sagemaker.describe_endpoint(EndpointName="yield-1")["EndpointStatus"] == "InService"
    assert isinstance(invoke("yield-1", "Fao\n5\n"), str)


def test_missing_boto3_names_the_extra(monkeypatch):
    from reactor_yield.serving.aws import upload

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingDependencyError, match=r"stnopt\[aws\]"):
        upload("x", "s3://bucket/key")
