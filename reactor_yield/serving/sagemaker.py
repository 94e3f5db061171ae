"""From data to predictions on SageMaker with our own image: train, deploy, predict, clean up.

As a script: `python -m reactor_yield.serving.sagemaker --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactor_yield.errors import ReactorYieldError, StorageError
from reactor_yield.files import csv_bytes, read_csv
from reactor_yield.serving.aws import aws_client, aws_errors, upload_bytes
from reactor_yield.tables import parse_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROWS_AT_ONCE = 5_000
"""Rows per request: an endpoint takes at most 6 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """What a run left behind.

    Attributes
    ----------
    model_archive, predictions
        In S3.
    n_rows
        Rows predicted.
    removed
        What was cleaned up.
    """

    model_archive: str
    predictions: str
    n_rows: int
    removed: tuple[str, ...]


def run_pipeline(
    name: str,
    *,
    image: str,
    role: str,
    bucket: str,
    data: str,
    conditions: str,
    hyperparameters: Mapping[str, str] | None = None,
    endpoint_url: str | None = None,
    minutes: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda line: None,
) -> PipelineResult:
    """Upload, train, wait, deploy, predict, write back to S3 and clean up.

    Parameters
    ----------
    name
        Of job, model and endpoint, unique in the account.
    image, role
        The image's registry address and the execution role's ARN.
    bucket
        `s3://bucket/prefix` for everything.
    data, conditions
        Training CSV and CSV to predict, local or in S3.
    hyperparameters
        Such as `{"model": "best", "seed": "0"}`; SageMaker passes text only.
    endpoint_url
        Predict there instead of at the endpoint: a container that runs elsewhere.
    minutes
        To wait for training and for the endpoint, each.
    sleep, say
        The clock and the voice, for tests.

    Raises
    ------
    StorageError
        When a step fails; what it left running is cleaned up first.
    """
    prefix = bucket.rstrip("/")
    sagemaker = aws_client("sagemaker")
    training = f"{prefix}/{name}/train/data.csv"
    upload_bytes(csv_bytes(read_csv(data)), training)
    say(f"training data in {training}")
    start_training(
        name,
        image=image,
        role=role,
        data=f"{prefix}/{name}/train/",
        output=f"{prefix}/{name}/output",
        hyperparameters=hyperparameters,
        client=sagemaker,
    )
    limit = max(1, int(minutes * 4))
    archive = wait_for_training(name, client=sagemaker, attempts=limit, sleep=sleep)
    say(f"model in {archive}")
    predicted = f"{prefix}/{name}/predictions.csv"
    try:
        deploy(name, image=image, role=role, model_archive=archive, client=sagemaker)
        wait_for_endpoint(name, client=sagemaker, attempts=limit, sleep=sleep)
        say(f"endpoint {name} in service")
        table = read_csv(conditions)
        parts: list[list[str]] = []
        for first in range(0, len(table), _ROWS_AT_ONCE):
            body = csv_bytes(table.iloc[first : first + _ROWS_AT_ONCE])
            answer = _post(endpoint_url, body) if endpoint_url else invoke(name, body.decode())
            parts.append(answer.splitlines(keepends=True)[1 if parts else 0 :])
        text = "".join(line for part in parts for line in part)
        n_rows = len(parse_csv(text.encode(), name="the endpoint's answer"))
        if n_rows != len(table):
            message = f"the endpoint answered {n_rows} rows for {len(table)}"
            raise StorageError(message)
        upload_bytes(text.encode(), predicted)
        say(f"{n_rows} predictions in {predicted}")
    finally:
        removed = clean_up(name, client=sagemaker)
        say(f"removed {', '.join(removed) or 'nothing'}")
    return PipelineResult(
        model_archive=archive, predictions=predicted, n_rows=n_rows, removed=removed
    )


def start_training(
    name: str,
    *,
    image: str,
    role: str,
    data: str,
    output: str,
    hyperparameters: Mapping[str, str] | None = None,
    instance: str = "ml.m5.large",
    client: Any = None,
) -> str:
    """Start a training job with our image and return its ARN.

    Parameters
    ----------
    name
        Of the job, unique in the account.
    image, role
        The image's registry address and the execution role's ARN.
    data
        S3 prefix with the training CSV files, mounted as channel `train`.
    output
        S3 prefix for the model archive.
    hyperparameters
        Such as `{"model": "best", "seed": "0"}`; SageMaker passes text only.
    """
    with aws_errors("start the training job", name):
        job = (client or aws_client("sagemaker")).create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
            RoleArn=role,
            HyperParameters=dict(hyperparameters or {}),
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}},
                    "ContentType": "text/csv",
                }
            ],
            OutputDataConfig={"S3OutputPath": output},
            ResourceConfig={"InstanceType": instance, "InstanceCount": 1, "VolumeSizeInGB": 5},
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )
    return str(job["TrainingJobArn"])


def wait_for_training(
    name: str,
    *,
    client: Any = None,
    attempts: int = 240,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Wait until a job has ended, asking every 15 s; return the model archive's address.

    Raises
    ------
    StorageError
        With what the job wrote to `failure`, or when it has not ended after so many questions.
    """
    sagemaker = client or aws_client("sagemaker")
    for _ in range(attempts):
        with aws_errors("look at the training job", name):
            job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] == "Completed":
            return str(job["ModelArtifacts"]["S3ModelArtifacts"])
        if job["TrainingJobStatus"] in ("Failed", "Stopped"):
            reason = job.get("FailureReason", "no reason given")
            message = f"training job {name} {job['TrainingJobStatus'].lower()}: {reason}"
            raise StorageError(message)
        sleep(15.0)
    message = f"training job {name} has not ended after {attempts * 15 / 60:g} minutes"
    raise StorageError(message)


def deploy(
    name: str,
    *,
    image: str,
    role: str,
    model_archive: str,
    instance: str = "ml.t2.medium",
    client: Any = None,
) -> str:
    """Create model, endpoint configuration and endpoint under one name; return the endpoint's ARN.

    Parameters
    ----------
    name, image, role
        As for `start_training`.
    model_archive
        `s3://.../model.tar.gz` that the training job wrote.
    """
    sagemaker = client or aws_client("sagemaker")
    with aws_errors("deploy", name):
        sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": image, "ModelDataUrl": model_archive},
            ExecutionRoleArn=role,
        )
        variant = {
            "VariantName": "only",
            "ModelName": name,
            "InitialInstanceCount": 1,
            "InstanceType": instance,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        endpoint = sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return str(endpoint["EndpointArn"])


def wait_for_endpoint(
    name: str,
    *,
    client: Any = None,
    attempts: int = 240,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until an endpoint is in service, asking every 15 s; raises as `wait_for_training`."""
    sagemaker = client or aws_client("sagemaker")
    for _ in range(attempts):
        with aws_errors("look at the endpoint", name):
            endpoint = sagemaker.describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] == "InService":
            return
        if endpoint["EndpointStatus"] in ("Failed", "OutOfService", "Deleting"):
            reason = endpoint.get("FailureReason", "no reason given")
            message = f"endpoint {name} is {endpoint['EndpointStatus']}: {reason}"
            raise StorageError(message)
        sleep(15.0)
    message = f"endpoint {name} is not in service after {attempts * 15 / 60:g} minutes"
    raise StorageError(message)


def invoke(name: str, conditions_csv: str, *, client: Any = None) -> str:
    """Send conditions as CSV text to an endpoint, and return its predictions as CSV text."""
    with aws_errors("ask the endpoint", name):
        answer = (client or aws_client("sagemaker-runtime")).invoke_endpoint(
            EndpointName=name,
            ContentType="text/csv",
            Accept="text/csv",
            Body=conditions_csv.encode(),
        )
    return str(answer["Body"].read().decode())


def clean_up(name: str, *, client: Any = None) -> tuple[str, ...]:
    """Delete endpoint, configuration and model of a name; what is not there is passed over."""
    sagemaker = client or aws_client("sagemaker")
    removed = []
    for what, delete in (
        ("endpoint", lambda: sagemaker.delete_endpoint(EndpointName=name)),
        ("configuration", lambda: sagemaker.delete_endpoint_config(EndpointConfigName=name)),
        ("model", lambda: sagemaker.delete_model(ModelName=name)),
    ):
        try:
            with aws_errors("delete", name):
                delete()
        except StorageError:
            continue  # a step before it failed: there is none
        removed.append(what)
    return tuple(removed)


def _post(url: str, body: bytes) -> str:
    """Ask a container that runs elsewhere."""
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    request = urllib.request.Request(f"{url.rstrip('/')}/invocations", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as problem:
        told = problem.read().decode(errors="replace")[:500]
        message = f"{url} answered {problem.code}: {told}"
        raise StorageError(message) from problem
    except urllib.error.URLError as problem:
        message = f"{url} cannot be reached: {problem.reason}"
        raise StorageError(message) from problem


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline as a script; return the exit code, 0 or 2."""
    parser = argparse.ArgumentParser(description=run_pipeline.__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("name", help="of job, model and endpoint")
    parser.add_argument("--image", required=True, help="the image's registry address")
    parser.add_argument("--role", required=True, help="the execution role's ARN")
    parser.add_argument("--bucket", required=True, help="s3://bucket/prefix for everything")
    parser.add_argument("--data", required=True, help="training CSV")
    parser.add_argument("--conditions", required=True, help="CSV to predict")
    parser.add_argument("--endpoint-url", help="predict at a container that runs there instead")
    parser.add_argument(
        "--hyperparameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="may be repeated",
    )
    options = parser.parse_args(arguments)
    pairs = dict(p.partition("=")[::2] for p in options.hyperparameter)
    try:
        run_pipeline(
            options.name,
            image=options.image,
            role=options.role,
            bucket=options.bucket,
            data=options.data,
            conditions=options.conditions,
            hyperparameters=pairs,
            endpoint_url=options.endpoint_url,
            say=_say,
        )
    except (ReactorYieldError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
