"""Files in S3: read, written and listed, with errors that say what to look at."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from reactor_yield.errors import InvalidConditionsError, MissingDependencyError, StorageError
from reactor_yield.files import is_s3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def upload(path: Path | str, uri: str, *, client: Any = None) -> None:
    """Copy a local file to `s3://bucket/key`.

    Raises
    ------
    StorageError
        When the bucket, the key, the credentials or the connection do not allow it.
    """
    bucket, key = _split(uri)
    with aws_errors("write", uri):
        (client or aws_client("s3")).upload_file(str(path), bucket, key)


def upload_bytes(content: bytes, uri: str, *, client: Any = None) -> None:
    """Write an object whole; raises as `upload` does."""
    bucket, key = _split(uri)
    with aws_errors("write", uri):
        (client or aws_client("s3")).put_object(Bucket=bucket, Key=key, Body=content)


def download(uri: str, path: Path | str, *, client: Any = None) -> None:
    """Copy `s3://bucket/key` to a local file; raises as `upload` does."""
    bucket, key = _split(uri)
    with aws_errors("read", uri):
        (client or aws_client("s3")).download_file(bucket, key, str(path))


def check_bucket(uri: str, *, client: Any = None) -> None:
    """Refuse an output whose bucket does not exist or cannot be reached, before the work."""
    bucket, _ = _split(uri)
    with aws_errors("write", uri):
        (client or aws_client("s3")).head_bucket(Bucket=bucket)


def list_keys(prefix: str, *, client: Any = None) -> list[str]:
    """All `s3://bucket/key` whose key begins with that of the prefix, sorted."""
    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    with aws_errors("list", prefix):
        pages = (client or aws_client("s3")).get_paginator("list_objects_v2")
        found = [
            f"s3://{bucket}/{entry['Key']}"
            for page in pages.paginate(Bucket=bucket, Prefix=key)
            for entry in page.get("Contents", ())
        ]
    return sorted(found)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not is_s3(uri) or not bucket or not key:
        message = f"expected s3://bucket/key, got {uri!r}"
        raise InvalidConditionsError(message)
    return bucket, key


@contextlib.contextmanager
def aws_errors(verb: str, uri: str) -> Iterator[None]:
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


def aws_client(service: str) -> Any:
    """Client of one AWS service, with whatever credentials the machine has.

    Raises
    ------
    MissingDependencyError
        Without boto3.
    StorageError
        Without a region, or when a setting of AWS is none, such as an address.
    """
    try:
        import boto3  # type: ignore[import-untyped]
    except ImportError as error:
        message = 'AWS needs boto3: pip install "stnopt[aws]"'
        raise MissingDependencyError(message) from error
    with aws_errors("use", service):
        try:
            return boto3.client(service)
        except ValueError as problem:  # as botocore calls an address or a number that is none
            message = (
                f"cannot use {service}: {problem}; see the AWS_... variables and ~/.aws/config"
            )
            raise StorageError(message) from problem
