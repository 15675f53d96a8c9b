"""What breaks when a certificate that cannot be used is answered with less than its documented reason."""

from __future__ import annotations

import base64
import signal
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.e2e.contract import wire
from tests.fakes import certificates
from tests.fakes.certificates import encrypted_info, pem_block, tlv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

CANARY = "canary-Zm9yZ2V0LW1l-7f3a"
MADE, OTHER = certificates.issue(), certificates.issue("other.example")
ENCRYPTED = certificates.key_pem(MADE.key, CANARY)
DES_OF_TOMORROW = tlv(0x30, tlv(6, b"\x2a\x03\x04") + tlv(4, bytes(8)))
UNKNOWN_CIPHER = encrypted_info(DES_OF_TOMORROW, DES_OF_TOMORROW, bytes(64))
TORN = MADE.pem.splitlines()[:3] + MADE.pem.splitlines()[-1:]
NOT_BASE64 = MADE.pem.splitlines()
NOT_BASE64[2] = "§" + NOT_BASE64[2][1:]


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


PFX = base64_of(
    pkcs12.serialize_key_and_certificates(
        b"made",
        MADE.key,
        MADE.certificate,
        None,
        serialization.BestAvailableEncryption(CANARY.encode()),
    )
)


def signed_data() -> bytes:
    """PKCS#7 without a certificate: SignedData of RFC 2315 section 9.1 whose every set is empty."""
    data = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701")))
    empty = tlv(0x30, tlv(2, b"\x01") + tlv(0x31, b"") + data + tlv(0x31, b""))
    return tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")) + tlv(0xA0, empty))


REFUSED: dict[str, tuple[str | None, str, dict[str, Any]]] = {
    "text that is none": (
        "not_this_format", "certificate_content", {"certificate_content": CANARY},
    ),
    "a PFX as PEM": (
        "not_this_format", "certificate_content",
        {"certificate_content": PFX, "passphrase": CANARY},
    ),
    "a certificate as PKCS#7": (
        "not_this_format", "certificate_content", {"certificate_type": "p7b"},
    ),
    "half of a certificate": (
        "malformed", "certificate_content", {"certificate_content": "\n".join(TORN)},
    ),
    "half of a certificate in base64": (
        "malformed", "certificate_content",
        {"certificate_type": "crt", "certificate_content": base64_of(MADE.der[:-9])},
    ),
    "nothing": ("empty", "certificate_content", {"certificate_content": " \r\n"}),
    "an empty key": ("empty", "private_key", {"private_key": ""}),
    "another's passphrase": (
        "wrong_passphrase", "passphrase", {"private_key": ENCRYPTED, "passphrase": "x"},
    ),
    "another's passphrase of a PFX": (
        "wrong_passphrase", "passphrase",
        {
            "certificate_type": "pfx", "passphrase": "x",
            "certificate_content": PFX,
        },
    ),
    "a sealed key alone": ("passphrase_required", "passphrase", {"private_key": ENCRYPTED}),
    "a sealed PFX alone": (
        "passphrase_required", "passphrase",
        {
            "certificate_type": "p12",
            "certificate_content": PFX,
        },
    ),
    "a key under a cipher of tomorrow": (
        "unsupported_algorithm", "private_key",
        {"private_key": UNKNOWN_CIPHER, "passphrase": CANARY},
    ),
    "another's key": ("key_mismatch", "private_key", {"private_key": OTHER.key_pem}),
    "a key that is none": ("invalid_private_key", "private_key", {"private_key": CANARY}),
    "broken base64 in PEM": (
        "invalid_base64", "certificate_content", {"certificate_content": "\n".join(NOT_BASE64)},
    ),
    "PKCS#7 without a certificate": (
        "no_certificate", "certificate_content",
        {"certificate_type": "pkcs7", "certificate_content": pem_block("PKCS7", signed_data())},
    ),
    "an unknown type": (None, "certificate_type", {"certificate_type": "jks"}),
    "no type": (None, "certificate_type", {"certificate_type": ""}),
    "too much": (None, "certificate_content", {"certificate_content": "A" * 750_000}),
}  # fmt: skip
"""Reason, field at fault, and what differs from a good request."""
DOCUMENTED = {
    "not_this_format", "malformed", "empty", "wrong_passphrase", "passphrase_required",
    "unsupported_algorithm", "key_mismatch", "invalid_private_key", "invalid_base64",
    "no_certificate",
}  # fmt: skip
SECRETS = (CANARY, *(line for line in (MADE.key_pem + ENCRYPTED).splitlines() if len(line) > 40))


@pytest.fixture(scope="module")
def shopper(stack: RunningStack) -> TenantUser:
    """One tenant for all that is refused: nothing of it leaves a trace."""
    return stack.tenant()


@pytest.fixture(scope="module")
def stored(shopper: TenantUser) -> Any:
    """The row of a certificate that nothing may change."""
    body = {"name": "STORED", "certificate_content": MADE.pem, "private_key": MADE.key_pem}
    made = wire.data_of(shopper.call("POST", "/v1/secrets/certificate", json=body), 201)
    return shopper.get(f"/v1/secrets/{made['id']}")["data"]


def test_every_documented_reason_is_tried() -> None:
    assert {reason for reason, _, _ in REFUSED.values() if reason} == DOCUMENTED


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_says_why_and_which_field_and_changes_nothing(
    shopper: TenantUser, stored: Any, what: str
) -> None:
    reason, field, change = REFUSED[what]
    fields = {"certificate_content": MADE.pem} | change
    for method, path, body in (
        ("POST", "/v1/secrets/certificate", {"name": "REFUSED"} | fields),
        ("POST", "/v1/secrets", {"name": "REFUSED", "secret_type": "certificate"} | fields),
        ("PUT", f"/v1/secrets/{stored['id']}/value", fields),
    ):
        answer = shopper.call(method, path, json=body)
        error = wire.error_of(answer, 400, "validation_error")
        assert (error.get("reason"), list(error["fields"])) == (reason, [field])
        assert not [secret for secret in SECRETS if secret in answer.text]
    assert shopper.get(f"/v1/secrets/{stored['id']}")["data"] == stored
    assert set(shopper.rows()) == {"STORED"}


@pytest.fixture
def readers_stopped(stack: RunningStack) -> Iterator[Callable[[], None]]:
    """The processes that read certificates stand still until this is called."""
    workers = psutil.Process(stack.stack.pid("secrets")).children(recursive=True)
    assert workers

    def go_on() -> None:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)

    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    try:
        yield go_on
    finally:
        go_on()


def test_a_client_may_store_many_certificates_at_once(
    tenant: TenantUser, readers_stopped: Callable[[], None]
) -> None:
    def create(number: int) -> int:
        body = {"name": f"C{number}", "certificate_content": MADE.pem}
        return tenant.call("POST", "/v1/secrets/certificate", json=body).status_code

    crowd = 60
    with ThreadPoolExecutor(crowd) as pool:
        sent = [pool.submit(create, number) for number in range(crowd)]
        wait(sent, timeout=1, return_when=FIRST_COMPLETED)  # nobody is sent away meanwhile
        readers_stopped()
        assert {one.result() for one in sent} == {201}


def test_more_certificates_than_can_be_read_are_sent_away_to_come_again(
    tenant: TenantUser, readers_stopped: Callable[[], None]
) -> None:
    large = MADE.pem + " " * 700_000

    def create(number: int) -> httpx.Response:
        body = {"name": f"C{number}", "certificate_content": large}
        return tenant.call("POST", "/v1/secrets/certificate", json=body)

    crowd = 56  # of which 32 MiB may wait
    with ThreadPoolExecutor(crowd) as pool:
        sent = [pool.submit(create, number) for number in range(crowd)]
        turned_away = next(as_completed(sent)).result()
        readers_stopped()
        answers = [one.result() for one in sent]
    assert turned_away.status_code == 503
    for answer in answers:
        if answer.status_code != 201:
            wire.error_of(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    made = {answer.json()["data"]["name"] for answer in answers if answer.status_code == 201}
    assert made
    assert set(tenant.rows()) == made
