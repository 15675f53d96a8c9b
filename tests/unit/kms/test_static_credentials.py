"""No long-lived credential gets in, whatever it is called and however it is dressed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from services.common.errors import StaticCredentialsRejectedError
from services.kms.validation import parse
from tests.fakes.kms_bodies import RULES, TENANT, aws, azure, faults, gcp

NAMES = [
    "access_key",
    "accessKey",
    "AccessKeyId",
    "aws_access_key_id",
    "AWS-ACCESS-KEY-ID",
    "secret_access_key",
    "aws_secret_access_key",
    "session_token",
    "aws_session_token",
    "service_account_json",
    "service-account-key",
    "credentials_json",
    "private_key",
    "clientSecret",
    "connection_string",
    "Password",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["top", "config", "deep", "list"])
def test_a_static_credential_is_refused_by_name_at_any_depth(name: str, place: str) -> None:
    secret = "the-value-nobody-may-see"
    bodies: dict[str, tuple[dict[str, Any], str]] = {
        "top": (aws() | {name: secret}, name),
        "config": (aws(**{name: secret}), f"config.{name}"),
        "deep": (aws(a={"b": {name: {"c": secret}}}), f"config.a.b.{name}"),
        "list": (aws(a=[1, [{name: secret}]]), f"config.a[1][0].{name}"),
    }
    body, path = bodies[place]
    assert rejected(body) == [path]


def rejected(body: dict[str, Any]) -> list[str]:
    with pytest.raises(StaticCredentialsRejectedError) as caught:
        parse(body, TENANT, RULES)
    error = caught.value
    said = f"{error} {error.message} {error.fields} {error.hint}"
    assert "nobody-may-see" not in said
    assert "AKIA" not in said
    assert "BEGIN" not in said
    return list(error.fields)


VALUES = {
    "access key id": "AKIAIOSFODNN7EXAMPLE",
    "temporary access key id": "ASIAIOSFODNN7EXAMPLE",
    "in a text": "use AKIAIOSFODNN7EXAMPLE please",
    "pem": "-----BEGIN PRIVATE KEY-----\nMIIE nobody-may-see\n-----END PRIVATE KEY-----",
    "rsa pem": "-----BEGIN RSA PRIVATE KEY-----\nnobody-may-see",
    "service account": '{"type": "service_account", "project_id": "nobody-may-see"}',
    "json with a key": '{"x": [{"Private-Key": "nobody-may-see"}]}',
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_static_credential_is_refused_by_its_looks_in_any_field(value: str) -> None:
    assert rejected(aws(external_id=value)) == ["config.external_id"]
    assert rejected(aws() | {"kms_key_ref": value}) == ["kms_key_ref"]
    assert rejected(aws() | {"provider": [value]}) == ["provider[0]"]
    assert rejected(aws(**{value: "x"})) == ["config.[redacted]"]


def test_a_service_account_object_is_refused() -> None:
    assert rejected(gcp(account={"type": "service_account"})) == ["config.account"]


@pytest.mark.parametrize(
    "secret", ["abc8Q~nobody-may-see.abcdefghijklmnop_qr", "Ab1cdefghijklmnopqrstuvwxyz0123456"]
)
def test_an_azure_secret_in_place_of_a_variables_name_is_refused(secret: str) -> None:
    with pytest.raises(StaticCredentialsRejectedError) as caught:
        parse(azure(client_secret_env_var=secret), TENANT, RULES)
    assert list(caught.value.fields) == ["config.client_secret_env_var"]
    assert secret not in str(vars(caught.value))


def test_static_credentials_come_before_every_other_fault() -> None:
    body = {"provider": 1, "unknown": 2, "config": {"client_secret": "x"}}
    assert rejected(body) == ["config.client_secret"]


def test_every_credential_is_named() -> None:
    assert rejected(aws(password="x", private_key="y") | {"access_key": "z"}) == [
        "config.password",
        "config.private_key",
        "access_key",
    ]


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_a_document_too_deep_to_be_searched_is_refused(depth: int) -> None:
    for text in ('{"a":' * depth + "1" + "}" * depth, "[" * depth + "]" * depth):
        found = rejected(aws(external_id=text))
        assert found == ["config.external_id"]


def armored(kind: str) -> str:
    text = f"-----BEGIN {kind}-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\n-----END {kind}-----\n"
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "value",
    [
        armored("PRIVATE KEY"),
        armored("RSA PRIVATE KEY"),
        armored("ENCRYPTED PRIVATE KEY"),
        f"key={armored('OPENSSH PRIVATE KEY')}",
        "-----begin private key-----\nmiie",
        "-----Begin Ec Private Key-----",
    ],
)
def test_a_private_key_in_another_dress_is_refused(value: str) -> None:
    assert rejected(aws(external_id=value)) == ["config.external_id"]


def test_a_certificate_in_base64_is_no_private_key() -> None:
    assert list(faults(aws(external_id=armored("CERTIFICATE") + "!"))) == ["config.external_id"]


@pytest.mark.parametrize(
    "secret",
    [
        "xk/9Zr+Q2bTn0hYd5LwGm8sVu3CfAe7PjR1iKo4NvMs=",
        "?:=.abcdefgHIJKLMNOP[]qrstuv-1234",
        "|@#$abcdefghijklmnopqrstuvwxyz,;!",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ+/1234567890==",
    ],
)
def test_an_azure_secret_of_the_older_forms_is_refused(secret: str) -> None:
    assert rejected(azure(client_secret_env_var=secret)) == ["config.client_secret_env_var"]


@pytest.mark.parametrize(
    "name", ["A" * 40, "CUSTOMER_A_SECRET_FOR_AZURE_KEY_VAULT_2", "customer_a_secret" * 2]
)
def test_what_looks_like_a_variables_name_is_no_secret(name: str) -> None:
    assert list(faults(azure(client_secret_env_var=name))) == ["config.client_secret_env_var"]
