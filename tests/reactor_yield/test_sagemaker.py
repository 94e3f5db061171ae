"""From data to predictions on a simulated account, the container's own programs doing the work."""

from __future__ import annotations

import io
import socket
import threading

import pandas as pd
import pytest

from reactor_yield.cli import main
from reactor_yield.errors import StorageError
from reactor_yield.files import check_output, files_together, read_csv
from reactor_yield.serving import container

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
moto = pytest.importorskip("moto")
boto3 = pytest.importorskip("boto3")

from reactor_yield.serving import sagemaker  # noqa: E402 - only where boto3 is
from reactor_yield.serving.app import create_app  # noqa: E402
from reactor_yield.yield_model import load_yield_model  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/reactor-yield:1"


@pytest.fixture
def cloud(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with moto.mock_aws():
        boto3.client("s3").create_bucket(
            Bucket="plant", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield boto3.client("s3")


@pytest.fixture
def endpoint(data, tmp_path):
    """The container's `serve` on a model that the container's `train` made."""
    folder = tmp_path / "ml" / "input" / "data" / "train"
    folder.mkdir(parents=True)
    data.iloc[::20].to_csv(folder / "data.csv", index=False)
    (tmp_path / "ml" / "input" / "config").mkdir()
    hyperparameters = '{"model": "ridge"}'
    (tmp_path / "ml" / "input" / "config" / "hyperparameters.json").write_text(hyperparameters)
    assert container.main(["train"], root=tmp_path / "ml") == 0
    model = load_yield_model(tmp_path / "ml" / "model" / "model.zip")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(model), log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", model
    server.should_exit = True
    thread.join()
    listener.close()


def test_the_whole_run_predicts_into_s3_and_cleans_up(cloud, endpoint, data, tmp_path, capsys):
    url, model = endpoint
    data.iloc[::20].to_csv(tmp_path / "train.csv", index=False)
    now = data[list(model.features)].iloc[:6_000]  # more than one request
    now.to_csv(tmp_path / "now.csv", index=False)
    options = ["--image", IMAGE, "--role", ROLE, "--bucket", "s3://plant/runs"]
    options += ["--data", str(tmp_path / "train.csv"), "--conditions", str(tmp_path / "now.csv")]
    options += ["--endpoint-url", url, "--hyperparameter", "model=ridge"]
    assert sagemaker.main(["yield-1", *options]) == 0
    said = capsys.readouterr().out
    assert "removed endpoint, configuration, model" in said
    found = read_csv("s3://plant/runs/yield-1/predictions.csv")
    assert found["Yc"].tolist() == pytest.approx(model.predict(now)["Yc"].tolist())
    account = boto3.client("sagemaker")
    assert account.list_endpoints()["Endpoints"] == []
    job = account.describe_training_job(TrainingJobName="yield-1")
    assert job["HyperParameters"] == {"model": "ridge"}
    assert job["InputDataConfig"][0]["ChannelName"] == "train"
    # A name that is taken, an endpoint that is not there.
    assert sagemaker.main(["yield-2", *options[:-4], "--endpoint-url", "http://127.0.0.1:9"]) == 2
    assert "cannot be reached" in capsys.readouterr().err
    assert account.list_endpoints()["Endpoints"] == []


class Account:
    """Answers of an account one after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def describe_training_job(self, **_):
        return self.answers.pop(0)

    def describe_endpoint(self, **_):
        return self.answers.pop(0)


def test_waiting_ends_with_the_archive_a_reason_or_the_limit():
    waits = []
    done = {"TrainingJobStatus": "Completed", "ModelArtifacts": {"S3ModelArtifacts": "s3://a/b"}}
    going = {"TrainingJobStatus": "InProgress"}
    found = sagemaker.wait_for_training("x", client=Account(going, going, done), sleep=waits.append)
    assert (found, waits) == ("s3://a/b", [15.0, 15.0])
    failed = {"TrainingJobStatus": "Failed", "FailureReason": "column 'Ta' is missing"}
    with pytest.raises(StorageError, match="failed: column 'Ta' is missing"):
        sagemaker.wait_for_training("x", client=Account(failed), sleep=waits.append)
    with pytest.raises(StorageError, match=r"not ended after 0\.5 minutes"):
        sagemaker.wait_for_training(
            "x", client=Account(going, going), attempts=2, sleep=waits.append
        )
    broken = {"EndpointStatus": "Failed", "FailureReason": "no capacity"}
    with pytest.raises(StorageError, match="endpoint x is Failed: no capacity"):
        sagemaker.wait_for_endpoint("x", client=Account(broken), sleep=waits.append)


def test_what_s3_refuses_is_a_sentence(cloud, tmp_path, capsys, monkeypatch):
    for arguments, said in (
        (["check", "s3://plant/nowhere.csv"], "no such bucket or key"),
        (["check", "s3://nowhere/data.csv"], "cannot read s3://nowhere/data.csv"),
        (["generate", "s3://nowhere/data.csv", "--rows", "100"], "no such bucket"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("reactor-yield: ")
        assert said in error
        assert "Traceback" not in error
    with pytest.raises(StorageError, match="cannot write s3://nowhere"):
        check_output("s3://nowhere/x")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main(["check", "s3://plant/x.csv"]) == 2


def test_files_in_s3_appear_together_with_local_ones(cloud, tmp_path):
    def fail():
        with files_together() as outputs:
            outputs.write_text(tmp_path / "a.txt", "a")
            outputs.write_text("s3://nowhere/b.txt", "b")

    with pytest.raises(StorageError):
        fail()
    assert not list(tmp_path.iterdir())
    with files_together() as outputs:
        outputs.write_text(tmp_path / "a.txt", "a")
        outputs.write_csv("s3://plant/b.csv", pd.DataFrame({"x": [1]}))
    body = cloud.get_object(Bucket="plant", Key="b.csv")["Body"].read()
    assert pd.read_csv(io.BytesIO(body))["x"].tolist() == [1]


def test_the_monitoring_job_keeps_its_history_in_s3(cloud, data, tmp_path):
    data.iloc[::10].to_csv(tmp_path / "old.csv", index=False)
    data.iloc[1::10].to_csv(tmp_path / "now.csv", index=False)
    files = [str(tmp_path / "old.csv"), str(tmp_path / "now.csv")]
    for _ in range(2):
        assert main(["monitor", *files, "--folder", "s3://plant/drift"]) == 0
    assert len(read_csv("s3://plant/drift/history.csv")) == 2
