"""Nobody gets in with a wrong secret, a borrowed token or a changed request."""

from __future__ import annotations

from dataclasses import replace

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from tests.integration.devcloud.stand import Credentials, Stand, refused


def test_unknown_credentials_are_refused_by_each_service_in_its_own_words(stand: Stand) -> None:
    nobody = Credentials("AKIAAAAAAAAAAAAAAAAA", "secret")
    refused("UnrecognizedClientException", stand.kms(nobody).describe_key, KeyId=stand.key)
    refused("InvalidClientTokenId", stand.sts(nobody).get_caller_identity)


def test_a_wrong_secret_is_a_wrong_signature(stand: Stand) -> None:
    wrong = replace(stand.operator, secret_access_key="wrong")
    refused("InvalidSignatureException", stand.kms(wrong).describe_key, KeyId=stand.key)
    refused("SignatureDoesNotMatch", stand.sts(wrong).get_caller_identity)


def test_a_session_secret_does_not_work_without_or_with_another_sessions_token(
    stand: Stand,
) -> None:
    one, other = stand.assume(), stand.assume()
    for broken in (
        replace(one, token=None),
        replace(one, token=other.token),
        replace(one, token="bm9ub25zZW5zZW5vbnNlbnNlbm9uc2Vuc2U="),
    ):
        refused("UnrecognizedClientException", stand.kms(broken).describe_key, KeyId=stand.key)


def signed_request(stand: Stand, body: bytes, service: str = "kms") -> AWSRequest:
    session = stand.assume()
    request = AWSRequest(
        "POST",
        f"{stand.url}/",
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "TrentService.DescribeKey",
            "Host": stand.url.removeprefix("http://"),
        },
        data=body,
    )
    credentials = BotoCredentials(session.access_key_id, session.secret_access_key, session.token)
    SigV4Auth(credentials, service, stand.info["aws_region"]).add_auth(request)
    return request


def send(stand: Stand, headers: dict[str, str], body: bytes) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{stand.url}/", headers=headers, content=body)


BODY = b'{"KeyId": "%s"}'


def test_a_request_as_signed_is_answered(stand: Stand) -> None:
    body = BODY % stand.key.encode()
    answer = send(stand, dict(signed_request(stand, body).headers.items()), body)
    assert answer.status_code == 200
    assert answer.json()["KeyMetadata"]["Arn"] == stand.key


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Amz-Target", "TrentService.DisableKey"),
        ("X-Amz-Date", "20200101T000000Z"),
        ("X-Amz-Unsigned", "added on the way"),
    ],
)
def test_a_header_changed_after_signing_is_refused(stand: Stand, header: str, value: str) -> None:
    body = BODY % stand.key.encode()
    headers = dict(signed_request(stand, body).headers.items())
    answer = send(stand, {**headers, header: value}, body)
    assert answer.json()["__type"] == "InvalidSignatureException"


def test_a_body_changed_after_signing_is_refused(stand: Stand) -> None:
    body = BODY % stand.key.encode()
    headers = dict(signed_request(stand, body).headers.items())
    answer = send(stand, headers, body + b" ")
    assert (answer.status_code, answer.json()["__type"]) == (400, "InvalidSignatureException")


def test_a_signature_for_another_service_is_refused(stand: Stand) -> None:
    body = BODY % stand.key.encode()
    headers = dict(signed_request(stand, body, service="sts").headers.items())
    assert send(stand, headers, body).json()["__type"] == "InvalidSignatureException"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"KeyId": 7}',
        b'{"KeyId": "k", "EncryptionContext": []}',
        b'{"KeyId": "k", "EncryptionContext": {"a": 1}}',
        b'{"KeyId": "k", "EncryptionContext": {"a": "\\ud800"}}',
    ],
)
def test_a_body_that_is_not_a_request_is_refused(stand: Stand, body: bytes) -> None:
    answer = send(stand, dict(signed_request(stand, body).headers.items()), body)
    assert (answer.status_code, answer.json()["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("Basic YTpi", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c", "IncompleteSignatureException"),
    ],
)
def test_a_request_without_a_whole_signature_is_refused(
    stand: Stand, authorization: str | None, code: str
) -> None:
    headers = {"X-Amz-Target": "TrentService.DescribeKey"}
    if authorization:
        headers["Authorization"] = authorization
    assert send(stand, headers, b"{}").json()["__type"] == code


def test_the_ambient_credential_chain_finds_its_way(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stand.operator.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stand.operator.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", stand.url)
    client = boto3.session.Session(region_name="us-east-1").client("sts")
    assert client.get_caller_identity()["Arn"] == stand.info["aws_principal_arn"]
    client.close()
