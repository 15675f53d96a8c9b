"""AssumeRole lets in only whom the trust policy names, for as long as was agreed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.devcloud.stand import Credentials, Stand, refused


def assume(stand: Stand, credentials: Credentials | None = None, **changes: object) -> object:
    wanted = {
        "RoleArn": stand.role,
        "ExternalId": "coffer-tenant-1",
        "RoleSessionName": "coffer",
        **changes,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return stand.sts(credentials, parameter_validation=False).assume_role(**given)  # type: ignore[arg-type]


def test_the_trusted_principal_with_the_external_id_becomes_the_role(stand: Stand) -> None:
    answer = stand.sts().assume_role(
        RoleArn=stand.role,
        ExternalId="coffer-tenant-1",
        RoleSessionName="coffer",
        DurationSeconds=1800,
    )
    expected = stand.role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/coffer"
    assert answer["AssumedRoleUser"]["Arn"] == expected
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert timedelta(seconds=1790) < left <= timedelta(seconds=1800)
    session = answer["Credentials"]
    identity = stand.sts(
        Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    ).get_caller_identity()
    assert identity["Arn"] == expected
    assert identity["Account"] == stand.key.split(":")[4]


def test_the_operator_is_itself_before_it_assumes_anything(stand: Stand) -> None:
    assert stand.sts().get_caller_identity()["Arn"] == stand.info["aws_principal_arn"]


@pytest.mark.parametrize("external_id", ["coffer-tenant-2", "", None])
def test_a_wrong_or_missing_external_id_is_denied(stand: Stand, external_id: str | None) -> None:
    error = refused("AccessDenied", assume, stand=stand, ExternalId=external_id)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "sts:AssumeRole" in error.response["Error"]["Message"]


def test_an_unknown_role_is_denied_like_a_forbidden_one(stand: Stand) -> None:
    refused("AccessDenied", assume, stand=stand, RoleArn=stand.role + "x")


def test_a_principal_the_role_does_not_trust_is_denied(stand: Stand) -> None:
    refused("AccessDenied", assume, stand=stand, credentials=stand.owner)


def test_trust_in_an_account_root_lets_its_principals_in(stand: Stand) -> None:
    account = stand.info["aws_operator_account"]
    stand.control.set_trusted(stand.role, [f"arn:aws:iam::{account}:root"])
    stand.assume()
    refused("AccessDenied", assume, stand=stand, credentials=stand.owner)


def test_trust_taken_away_stops_new_sessions_and_a_new_external_id_takes_effect(
    stand: Stand,
) -> None:
    stand.control.set_external_id(stand.role, "coffer-other")
    refused("AccessDenied", assume, stand=stand)
    stand.assume(ExternalId="coffer-other")
    stand.control.set_trusted(stand.role, [])
    refused("AccessDenied", assume, stand=stand, ExternalId="coffer-other")


@pytest.mark.parametrize("seconds", [899, 3601, 1])
def test_a_duration_outside_of_the_limits_is_refused(stand: Stand, seconds: int) -> None:
    refused("ValidationError", assume, stand=stand, DurationSeconds=seconds)


@pytest.mark.parametrize(
    "changes",
    [{"RoleSessionName": "x"}, {"RoleSessionName": "a b"}, {"Policy": "{}"}, {"Policy": ""}],
)
def test_a_bad_session_name_or_a_narrowing_that_is_not_served_is_refused(
    stand: Stand, changes: dict[str, object]
) -> None:
    refused("ValidationError", assume, stand=stand, **changes)


def test_a_session_ends_and_then_says_so_in_both_services(stand: Stand) -> None:
    stand.control.set_session_lifetime(2)
    session = stand.assume()
    kms = stand.kms(session)
    kms.describe_key(KeyId=stand.key)
    deadline = time.monotonic() + 10
    while _works(stand, session) and time.monotonic() < deadline:
        time.sleep(0.1)
    refused("ExpiredTokenException", kms.describe_key, KeyId=stand.key)
    refused("ExpiredToken", stand.sts(session).get_caller_identity)
    stand.control.set_session_lifetime(None)
    stand.kms(stand.assume()).describe_key(KeyId=stand.key)


def _works(stand: Stand, session: Credentials) -> bool:
    sts = stand.sts(session)
    try:
        sts.get_caller_identity()
    except sts.exceptions.ClientError:
        return False
    return True
