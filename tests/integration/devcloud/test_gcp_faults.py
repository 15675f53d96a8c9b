"""Bad weather, and what the ledger says of it, through the real clients."""

from __future__ import annotations

import time
from typing import Any

import google_crc32c
import pytest
import requests
from google.auth.exceptions import RefreshError, TransportError
from google.cloud import kms_v1

from devcloud.control_client import ControlError
from devcloud.faults import Fault, FaultKind
from devcloud.gcp.control import GcpControl
from devcloud.gcp.server import GcpServer
from tests.integration.devcloud.gcp_stand import GcpStand, code, refused


def test_throttling_ends_after_the_given_number_of_calls(gcp: GcpStand) -> None:
    client = gcp.kms()
    gcp.control.throttle(gcp.key, "Encrypt", times=2)
    for _ in range(2):
        error = refused(lambda: gcp.encrypt(client))
        assert code(error) == "RESOURCE_EXHAUSTED"
        assert error.details[0].reason == "RATE_LIMIT_EXCEEDED"
    assert gcp.encrypt(client).ciphertext


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.INTERNAL, "INTERNAL"),
        (FaultKind.DROP, "UNAVAILABLE"),
        (FaultKind.GARBAGE, "INTERNAL"),
    ],
)
def test_broken_answers_reach_the_client_as_such(
    gcp: GcpStand, kind: FaultKind, expected: str
) -> None:
    client = gcp.kms()
    gcp.control.break_answers(kind, gcp.key, times=1)
    assert code(refused(lambda: gcp.encrypt(client))) == expected
    assert gcp.encrypt(client).ciphertext


def test_a_corrupt_answer_has_a_checksum_that_fits(gcp: GcpStand) -> None:
    client = gcp.kms()
    sealed = gcp.encrypt(client).ciphertext
    gcp.control.break_answers(FaultKind.CORRUPT, gcp.key, "Decrypt", times=1)
    opened = gcp.decrypt(client, sealed)
    assert opened.plaintext != b"x" * 32
    assert len(opened.plaintext) == 32
    assert opened.plaintext_crc32c == google_crc32c.value(opened.plaintext)


def test_a_bad_checksum_comes_with_the_right_bytes(gcp: GcpStand) -> None:
    client = gcp.kms()
    gcp.control.break_answers(FaultKind.BAD_CHECKSUM, gcp.key, times=2)
    sealed = gcp.encrypt(client)
    assert sealed.ciphertext_crc32c != google_crc32c.value(sealed.ciphertext)
    opened = gcp.decrypt(client, sealed.ciphertext)
    assert opened.plaintext == b"x" * 32
    assert opened.plaintext_crc32c != google_crc32c.value(opened.plaintext)


def hanging(stand: GcpStand, client: kms_v1.KeyManagementServiceClient) -> Any:
    """A call on the stand's key that has reached the server, and does not come back."""
    stand.control.slow(stand.key, 3600, "Encrypt")
    method: Any = client.transport.encrypt
    call = method.future(kms_v1.EncryptRequest(name=stand.key, plaintext=b"x"), timeout=60)
    deadline = time.monotonic() + 10
    while not any(one.in_flight for one in stand.control.tallies() if one.resource == stand.key):
        assert time.monotonic() < deadline
    return call


def test_a_slow_key_does_not_slow_another_and_counts_as_in_flight(gcp: GcpStand) -> None:
    other = gcp.control.create_customer()
    other_client = gcp.kms(gcp.token(other.service_account))
    waiting = hanging(gcp, gcp.kms())
    gcp.encrypt(other_client, name=other.key)
    assert not waiting.done()
    waiting.cancel()
    # Whoever gives up frees the stand-in's thread, or a test of many would run out of them.
    deadline = time.monotonic() + 10
    while gcp.control.count("Encrypt", gcp.key) == 0:
        assert time.monotonic() < deadline
    last = [one for one in gcp.control.calls() if one.resource == gcp.key][-1]
    assert last.outcome == "CANCELLED"


def test_a_server_stops_at_once_while_a_call_hangs() -> None:
    with GcpServer.seeded() as server, server.control() as control:
        stand = GcpStand(server.announcement(), control)
        call = hanging(stand, stand.kms())
        began = time.monotonic()
    assert time.monotonic() - began < 30
    # Whether the woken call still got its answer out is a race nobody should rely on.
    call.exception()
    stand.close()


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE, FaultKind.INTERNAL, FaultKind.THROTTLE])
def test_iam_has_bad_weather_too(gcp: GcpStand, kind: FaultKind) -> None:
    gcp.control.break_answers(kind, gcp.account, times=1)
    with pytest.raises(RefreshError):
        gcp.impersonate()
    gcp.impersonate()


def test_a_dropped_connection_to_iam_is_a_transport_error(gcp: GcpStand) -> None:
    gcp.control.break_answers(FaultKind.DROP, gcp.account)
    with pytest.raises(TransportError):
        gcp.impersonate()


def test_iam_can_send_a_caller_elsewhere(gcp: GcpStand) -> None:
    gcp.control.add_fault(
        Fault(FaultKind.REDIRECT, resource=gcp.account, location="https://elsewhere.invalid/")
    )
    url = f"{gcp.info['gcp_iam_endpoint_url']}/v1/projects/-/serviceAccounts/{gcp.account}"
    answer = gcp.session().post(
        f"{url}:generateAccessToken",
        json={"scope": ["s"]},
        headers={"Authorization": f"Bearer {gcp.ambient_token()}"},
        allow_redirects=False,
        timeout=10,
    )
    assert answer.status_code == 307
    assert answer.headers["Location"] == "https://elsewhere.invalid/"


def test_a_client_that_does_not_know_the_ca_is_not_served(gcp: GcpStand) -> None:
    session = gcp.session()
    session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        session.get(f"{gcp.info['gcp_iam_endpoint_url']}/", timeout=10)


def test_the_ledger_counts_each_call_by_operation_key_and_outcome(gcp: GcpStand) -> None:
    client = gcp.kms()
    for _ in range(3):
        gcp.encrypt(client)
    gcp.control.disable(gcp.key)
    refused(lambda: gcp.encrypt(client))
    tally = next(
        one
        for one in gcp.control.tallies()
        if (one.operation, one.resource) == ("Encrypt", gcp.key)
    )
    assert tally.outcomes == {"ok": 3, "FAILED_PRECONDITION": 1}
    assert gcp.control.count("GenerateAccessToken", gcp.account) == 1
    last = [one for one in gcp.control.calls() if one.resource == gcp.key][-1]
    assert (last.caller, last.outcome) == (gcp.account, "FAILED_PRECONDITION")
    assert last.context


def test_the_control_door_needs_its_token(gcp: GcpStand) -> None:
    with (
        GcpControl(gcp.info["gcp_control_url"], "wrong") as stranger,
        pytest.raises(ControlError),
    ):
        stranger.keys()
