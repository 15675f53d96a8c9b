"""The weather a client of a KMS has to live with, and the record of what it asked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from devcloud.control import Control, ControlError
from devcloud.faults import FaultKind
from tests.integration.devcloud.stand import CONTEXT, Stand, refused


def test_throttling_is_per_service_and_ends(stand: Stand) -> None:
    kms = stand.kms()
    stand.control.throttle(stand.key, "Encrypt", times=2)
    for _ in range(2):
        refused("ThrottlingException", kms.encrypt, KeyId=stand.key, Plaintext=b"x")
    kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    stand.control.throttle(stand.role)
    refused("Throttling", stand.assume)
    stand.control.clear_faults()
    stand.assume()


def test_the_sdk_retries_a_throttled_call_by_itself_and_both_are_counted(stand: Stand) -> None:
    kms = stand.kms(retries={"mode": "standard", "total_max_attempts": 2})
    stand.control.throttle(stand.key, times=1)
    kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    (tally,) = [t for t in stand.control.tallies() if t.operation == "Encrypt"]
    assert tally.outcomes == {"ThrottlingException": 1, "ok": 1}


def test_an_internal_error_is_a_500(stand: Stand) -> None:
    stand.control.break_answers(FaultKind.INTERNAL, stand.key)
    error = refused("KMSInternalException", stand.kms().encrypt, KeyId=stand.key, Plaintext=b"x")
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_garbage_holds_none_of_the_members_an_answer_has(stand: Stand) -> None:
    """For KMS botocore swallows it and returns an empty answer without raising anything."""
    kms = stand.kms()
    stand.control.break_answers(FaultKind.GARBAGE, None)
    assert kms.encrypt(KeyId=stand.key, Plaintext=b"x").keys() == {"ResponseMetadata"}
    with pytest.raises(ResponseParserError):
        stand.assume()


def test_a_corrupt_decrypt_gives_other_bytes_in_good_form(stand: Stand) -> None:
    kms = stand.kms()
    blob = kms.encrypt(KeyId=stand.key, Plaintext=bytes(32))["CiphertextBlob"]
    stand.control.break_answers(FaultKind.CORRUPT, stand.key)
    opened = kms.decrypt(CiphertextBlob=blob)["Plaintext"]
    assert len(opened) == 32
    assert opened != bytes(32)


def test_a_dropped_connection_is_no_answer_and_is_recorded(stand: Stand) -> None:
    kms = stand.kms()
    stand.control.break_answers(FaultKind.DROP, stand.key, times=1)
    with pytest.raises(ConnectionClosedError):
        kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    assert [c.outcome for c in stand.control.calls() if c.operation == "Encrypt"] == [
        "aborted",
        "ok",
    ]


def test_a_slow_key_times_out_its_caller_and_no_other(stand: Stand) -> None:
    other = stand.control.create_key(
        account=stand.key.split(":")[4], region=stand.info["aws_region"]
    )
    stand.control.slow(stand.key, 30)
    impatient, patient = stand.kms(read_timeout=1), stand.kms()
    failed = threading.Event()

    def hang() -> None:
        with pytest.raises(ReadTimeoutError):
            impatient.encrypt(KeyId=stand.key, Plaintext=b"x")
        failed.set()

    with ThreadPoolExecutor(8) as pool:
        hanging = [pool.submit(hang) for _ in range(8)]
        answered = 0
        while not failed.is_set():
            patient.encrypt(KeyId=other.arn, Plaintext=b"x")
            answered += 1
        for future in hanging:
            future.result()
    assert answered >= 20
    (tally,) = [t for t in stand.control.tallies() if t.resource == stand.key]
    assert tally.peak_in_flight == 8


def test_a_small_delay_is_only_a_delay(stand: Stand) -> None:
    kms = stand.kms()
    stand.control.slow(stand.key, 0.3, "Encrypt")
    begin = time.monotonic()
    kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    assert time.monotonic() - begin >= 0.3


def test_eight_threads_share_a_client_without_harm(stand: Stand) -> None:
    kms = stand.kms()

    def round_trip(number: int) -> bool:
        plain, context = str(number).encode(), {"n": str(number)}
        sealed = kms.encrypt(KeyId=stand.key, Plaintext=plain, EncryptionContext=context)
        opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
        return bool(opened["Plaintext"] == plain)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(200)))
    assert stand.control.count("Encrypt", stand.key) == 200
    assert stand.control.count("Decrypt") == 200


def test_calls_are_fast_on_a_kept_connection(stand: Stand) -> None:
    """Nagle's algorithm with delayed acknowledgement costs 40 ms for each call."""
    kms = stand.kms()
    kms.encrypt(KeyId=stand.key, Plaintext=b"x")
    durations = []
    for _ in range(20):
        begin = time.perf_counter()
        kms.encrypt(KeyId=stand.key, Plaintext=b"x")
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.03


def test_the_log_tells_who_did_what_and_never_the_plaintext(stand: Stand) -> None:
    canary = b"canary-7f1c-plaintext"
    kms = stand.kms()
    stand.control.reset_ledger()
    blob = kms.encrypt(KeyId="alias/coffer", Plaintext=canary, EncryptionContext=CONTEXT)
    kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=CONTEXT)
    refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob["CiphertextBlob"])
    calls = stand.control.calls()
    assert [(c.operation, c.resource, c.outcome) for c in calls] == [
        ("Encrypt", stand.key, "ok"),
        ("Decrypt", stand.key, "ok"),
        ("Decrypt", stand.key, "InvalidCiphertextException"),
    ]
    assert calls[0].context == CONTEXT
    assert calls[2].context == {}
    assert all(c.caller is not None and ":assumed-role/" in c.caller for c in calls)
    assert canary.decode() not in repr(calls)


def test_the_control_door_is_shut_without_its_token(stand: Stand) -> None:
    with Control(stand.url, "guess") as stranger, pytest.raises(ControlError):
        stranger.keys()
    with httpx.Client(trust_env=False) as client:
        assert client.post(f"{stand.url}/_devcloud/keys", json={}).status_code == 401


def test_control_refuses_what_does_not_exist(stand: Stand) -> None:
    with pytest.raises(ControlError):
        stand.control.disable(stand.key + "x")
    with pytest.raises(ControlError):
        stand.control.set_external_id("arn:aws:iam::1:role/none", "x")
    with pytest.raises(ControlError):
        stand.control.key("none")


def test_faults_can_be_seen_and_cleared_for_one_key(stand: Stand) -> None:
    stand.control.slow(stand.key, 5)
    stand.control.throttle(stand.role)
    assert len(stand.control.faults()) == 2
    stand.control.clear_faults(stand.key)
    assert [fault.resource for fault in stand.control.faults()] == [stand.role]
