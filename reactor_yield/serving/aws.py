"""The same steps on AWS: files in S3, training and an endpoint on SageMaker with our own image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactor_yield.errors import InvalidConditionsError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def is_s3(location: Path | str) -> bool:
    """Whether a location is in S3 rather than a local file."""
    return str(location).startswith("s3://")


def upload(path: Path | str, uri: str, *, client: Any = None) -> None:
    """Copy a local file to `s3://bucket/key`."""
    bucket, key = _split(uri)
    (client or _client("s3")).upload_file(str(path), bucket, key)


def download(uri: str, path: Path | str, *, client: Any = None) -> None:
    """Copy `s3://bucket/key` to a local file."""
    bucket, key = _split(uri)
    (client or _client("s3")).download_file(bucket, key, str(path))


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


def _client(service: str) -> Any:
    try:
        import boto3  # type: ignore[import-untyped]
    except ImportError as error:
        message = 'AWS needs boto3: pip install "stnopt[aws]"'
        raise MissingDependencyError(message) from error
    return boto3.client(service)
