"""What S3 refuses is one sentence with exit code 2: a wrong key, bucket, connection or setting."""

from __future__ import annotations

import pytest
from bad_options import each_command
from right_lines import RIGHT_LINES

from reactor_yield import fit_yield_model, generate_dataset
from reactor_yield.cli import build_parser, main
from reactor_yield.errors import StorageError
from reactor_yield.files import read_csv
from reactor_yield.serving import aws

pytest.importorskip("boto3")
exceptions = pytest.importorskip("botocore.exceptions")

WHERE = "s3://plant/a/file.csv"
#: Without a time series.
RIGHT = RIGHT_LINES | {("alarm", "hot-spot"): ["data.csv", "data.csv"]}


def answer(code, operation="GetObject"):
    return exceptions.ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


#: What the client raises, and what of it must be said.
REFUSALS = {
    "no key": (answer("NoSuchKey"), "no such key"),
    "no bucket": (answer("NoSuchBucket"), "no such bucket"),
    "not found": (answer("404", "HeadObject"), "no such bucket or key"),
    "forbidden": (answer("403", "HeadObject"), "access denied"),
    "wrong key id": (answer("InvalidAccessKeyId"), "InvalidAccessKeyId"),
    "wrong secret": (answer("SignatureDoesNotMatch"), "SignatureDoesNotMatch"),
    "expired": (answer("ExpiredToken"), "ExpiredToken"),
    "other region": (answer("PermanentRedirect"), "PermanentRedirect"),
    "slow down": (answer("SlowDown"), "SlowDown"),
    "no connection": (
        exceptions.EndpointConnectionError(endpoint_url="https://s3.nowhere"),
        "Could not connect",
    ),
    "no answer": (exceptions.ReadTimeoutError(endpoint_url="https://s3.nowhere"), "timeout"),
    "cut off": (exceptions.ConnectionClosedError(endpoint_url="https://s3.nowhere"), "closed"),
    "wrong certificate": (
        exceptions.SSLError(endpoint_url="https://s3.nowhere", error="self-signed"),
        "self-signed",
    ),
    "no credentials": (exceptions.NoCredentialsError(), "credentials"),
    "half of them": (
        exceptions.PartialCredentialsError(provider="env", cred_var="aws_secret_access_key"),
        "credentials",
    ),
}


class Refuses:
    """A client all of whose answers are one error."""

    def __init__(self, error):
        self.error = error

    def __getattr__(self, name):
        def refuse(*_, **__):
            raise self.error

        return refuse


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("s3")
    data = generate_dataset(120, seed=2).dropna(subset=["Yc"])
    data.to_csv(root / "data.csv", index=False)
    fit_yield_model(data, model="ridge").save(root / "model.zip")
    return root


def lines_with_s3(words, parser):
    """Right lines of a command with one argument after the other in S3, as its help offers."""
    right, position = RIGHT[words], 0
    for action in parser._actions:
        takes_s3 = "s3://" in (action.help or "")
        if takes_s3 and action.option_strings:
            yield [*words, *right, action.option_strings[-1], WHERE]
        elif takes_s3:
            yield [*words, *right[:position], WHERE, *right[position + 1 :]]
        position += not action.option_strings


@pytest.mark.parametrize("kind", ["not found", "no connection"])
@pytest.mark.parametrize("words", RIGHT, ids=" ".join)
def test_every_argument_in_s3_that_is_refused_is_named(words, kind, folder, monkeypatch, capsys):
    error, reason = REFUSALS[kind]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(aws, "aws_client", lambda _: Refuses(error))
    before = sorted(folder.iterdir())
    lines = list(lines_with_s3(words, dict(each_command(build_parser()))[words]))
    assert lines
    for line in lines:
        assert main(line) == 2, line
        said = capsys.readouterr().err
        assert said.startswith("reactor-yield: cannot "), (line, said)
        assert said.count("\n") == 1, (line, said)
        assert "s3://plant/a" in said, (line, said)
        assert reason in said, (line, said)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("kind", REFUSALS)
def test_each_refusal_is_one_sentence(kind, tmp_path):
    error, reason = REFUSALS[kind]
    client = Refuses(error)
    for ask in (
        lambda: aws.download(WHERE, tmp_path / "x", client=client),
        lambda: aws.upload(__file__, WHERE, client=client),
        lambda: aws.upload_bytes(b"x", WHERE, client=client),
        lambda: aws.check_bucket(WHERE, client=client),
        lambda: aws.list_keys(WHERE, client=client),
    ):
        with pytest.raises(StorageError) as told:
            ask()
        assert WHERE in str(told.value)
        assert reason in str(told.value)
        assert "\n" not in str(told.value)


@pytest.fixture
def account(monkeypatch, tmp_path):
    """An account without any setting of this machine's, on an address where nobody answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    return monkeypatch


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL", "no address"),
        ("AWS_ENDPOINT_URL", "127.0.0.1:9"),
        ("AWS_PROFILE", "nobody"),
        ("AWS_MAX_ATTEMPTS", "many"),
        ("AWS_MAX_ATTEMPTS", "-1"),
        ("AWS_RETRY_MODE", "never"),
        ("AWS_DEFAULT_REGION", "no region"),
        ("AWS_CA_BUNDLE", "nowhere.pem"),
    ],
)
def test_a_wrong_setting_is_one_sentence(account, name, value, capsys):
    account.setenv(name, value)
    assert main(["check", WHERE]) == 2
    said = capsys.readouterr().err
    assert said.startswith("reactor-yield: cannot "), said
    assert said.count("\n") == 1, said
    with pytest.raises(StorageError):
        read_csv(WHERE)


@pytest.mark.parametrize(
    "where", ["s3://", "s3://plant", "s3:///key", "s3://UP_per/x", "s3://a b/x"]
)
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_no_bucket_of_that_name_can_be(account, where, capsys):
    assert main(["check", where]) == 2
    said = capsys.readouterr().err
    assert where in said
    assert said.count("\n") == 1, said
