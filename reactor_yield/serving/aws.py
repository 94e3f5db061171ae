"""The same steps on AWS: files in S3, training and an endpoint on SageMaker with our own image."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from reactor_yield.errors import InvalidConditionsError, MissingDependencyError, StorageError
from reactor_yield.files import is_s3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def upload(path: Path | str, uri: str, *, client: Any = None) -> None:
    """Copy a local file to `s3://bucket/key`.

    Raises
    ------
    StorageError
        When the bucket, the key, the credentials or the connection do not allow it.
    """
    bucket, key = _split(uri)
    with _said("write", uri):
        (client or _client("s3")).upload_file(str(path), bucket, key)


def download(uri: str, path: Path | str, *, client: Any = None) -> None:
    """Copy `s3://bucket/key` to a local file; raises as `upload` does."""
    bucket, key = _split(uri)
    with _said("read", uri):
        (client or _client("s3")).download_file(bucket, key, str(path))


def check_bucket(uri: str, *, client: Any = None) -> None:
    """Refuse an output whose bucket does not exist or cannot be reached, before the work."""
    bucket, _ = _split(uri)
    with _said("write", uri):
        (client or _client("s3")).head_bucket(Bucket=bucket)


def list_keys(prefix: str, *, client: Any = None) -> list[str]:
    """All `s3://bucket/key` whose key begins with that of the prefix, sorted."""
    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    with _said("list", prefix):
        pages = (client or _client("s3")).get_paginator("list_objects_v2")
        found = [
            f"s3://{bucket}/{entry['Key']}"
            for page in pages.paginate(Bucket=bucket, Prefix=key)
            for entry in page.get("Contents", ())
        ]
    return sorted(found)


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
    """Start a training job with our image (`docs/reactor/serving.md`) and return its ARN.

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
    job = (client or _client("sagemaker")).create_training_job(
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
    sagemaker = client or _client("sagemaker")
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": image, "ModelDataUrl": model_archive},
        ExecutionRoleArn=role,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "only",
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": instance,
            }
        ],
    )
    endpoint = sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return str(endpoint["EndpointArn"])


def invoke(name: str, conditions_csv: str, *, client: Any = None) -> str:
    """Send conditions as CSV text to an endpoint, and return its predictions as CSV text."""
    answer = (client or _client("sagemaker-runtime")).invoke_endpoint(
        EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=conditions_csv.encode()
    )
    return str(answer["Body"].read().decode())


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not is_s3(uri) or not bucket or not key:
        message = f"expected s3://bucket/key, got {uri!r}"
        raise InvalidConditionsError(message)
    return bucket, key


@contextlib.contextmanager
def _said(verb: str, uri: str) -> Iterator[None]:
    """Turn what AWS raises into one sentence that names the file and what to look at."""
    try:
        yield
    except MissingDependencyError:
        raise
    except Exception as problem:
        # botocore and boto3 raise from several families that share no base of their own.
        if not type(problem).__module__.startswith(("boto3", "botocore", "s3transfer")):
            raise
        response = getattr(problem, "response", None) or {}
        code = str(response.get("Error", {}).get("Code", ""))
        reason = _REASONS.get(code) or " ".join(str(problem).split())
        message = f"cannot {verb} {uri}: {reason}"
        raise StorageError(message) from problem


_REASONS = {
    "404": "no such bucket or key; see that both are spelt right",
    "NoSuchKey": "no such key; see that it is spelt right",
    "NoSuchBucket": "no such bucket; see that it is spelt right",
    "403": "access denied; see that these credentials may use the bucket",
    "AccessDenied": "access denied; see that these credentials may use the bucket",
}


def _client(service: str) -> Any:
    try:
        import boto3  # type: ignore[import-untyped]
    except ImportError as error:
        message = 'AWS needs boto3: pip install "stnopt[aws]"'
        raise MissingDependencyError(message) from error
    return boto3.client(service)
