"""Whatever is sent, the answer is material or a refusal: never another exception, never a hang."""

import base64
import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.secrets.certificates import CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, chain, encrypted_pem, key_pem, pem_block, rsa_key

MADE = chain()
TEXTS = [
    MADE.leaf.pem + MADE.intermediate.pem,
    MADE.leaf.key_pem,
    key_pem(rsa_key(1024)),
    encrypted_pem(MADE.leaf.key, "x", rounds=10),
    MADE.leaf.pem + MADE.leaf.key_pem,
]
LABELS = [
    "CERTIFICATE",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
]
BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answered(content: str, key: str | None, passphrase: str | None) -> None:
    with contextlib.suppress(CertificateRefused):
        material = read_certificate(content, key, passphrase, "pem", NOW)
        json.dumps(material.metadata.to_json()).encode()


def bitten(text: str, at: int, replacement: bytes) -> str:
    """One block's bytes, some of them overwritten, in sound armor."""
    lines = text.strip().splitlines()
    label = lines[0].removeprefix("-----BEGIN ").removesuffix("-----")
    end = next(i for i, line in enumerate(lines) if line.startswith("-----END"))
    data = base64.b64decode("".join(lines[1:end]))
    at %= len(data)
    return pem_block(label, data[:at] + replacement + data[at + len(replacement) :])


@BOUNDED
@given(
    st.text(st.characters(), max_size=300),
    st.none() | st.text(max_size=200),
    st.none() | st.text(max_size=20),
)
def test_any_text(content: str, key: str | None, passphrase: str | None) -> None:
    answered(content, key, passphrase)


@BOUNDED
@given(st.sampled_from(LABELS), st.binary(max_size=200))
def test_any_bytes_in_sound_armor(label: str, data: bytes) -> None:
    answered(pem_block(label, data), None, "x")
    answered(MADE.leaf.pem, pem_block(label, data), "x")


@BOUNDED
@given(st.sampled_from(TEXTS), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_any_bite_out_of_real_material(text: str, at: int, replacement: bytes) -> None:
    broken = bitten(text, at, replacement)
    answered(broken, None, "x")
    answered(MADE.leaf.pem, broken, "x")
    answered(broken, MADE.leaf.key_pem, None)


@BOUNDED
@given(st.sampled_from(TEXTS), st.integers(0, 2000), st.text(max_size=3), st.integers(0, 50))
def test_any_slip_in_the_text(text: str, at: int, inserted: str, dropped: int) -> None:
    broken = text[:at] + inserted + text[at + dropped :]
    answered(broken, broken, "x")
    answered(base64.b64encode(broken.encode("utf-8", "ignore")).decode(), None, None)
