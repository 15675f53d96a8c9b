"""The form that a TLS library takes as it stands, whatever it was made from."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    PrivateFormat,
    load_pem_private_key,
)

from services.secrets.certificates import read_certificate
from services.secrets.certificates.normal_form import NormalForm, read, write
from tests.fakes.certificates import NOW, chain, ec_key, encrypted_pem, issue, key_pem
from tests.fakes.odd_certificates import odd, odd_pem

MADE = chain()
ROOT, INTERMEDIATE, LEAF = MADE.root, MADE.intermediate, MADE.leaf


def normal(
    content: str, key: str | None = None, passphrase: str | None = None, kind: str = "pem"
) -> NormalForm:
    return read(read_certificate(content, key, passphrase, kind, NOW).normal_form)


@pytest.mark.parametrize(
    "content",
    [
        LEAF.pem + INTERMEDIATE.pem + ROOT.pem,
        ROOT.pem + INTERMEDIATE.pem + LEAF.pem,
        "Bag Attributes\r\n" + INTERMEDIATE.pem.replace("\n", "\r\n") + ROOT.pem + LEAF.pem,
        LEAF.pem + LEAF.pem + ROOT.pem + INTERMEDIATE.pem + issue("other.example").pem,
    ],
    ids=["in-order", "reversed", "with-text", "with-more"],
)
def test_the_chain_is_in_order_and_nothing_else_is_in_it(content: str) -> None:
    assert normal(content) == NormalForm(LEAF.pem, INTERMEDIATE.pem + ROOT.pem, None)


@pytest.mark.parametrize(
    "key",
    [
        LEAF.key_pem,
        key_pem(LEAF.key, key_format=PrivateFormat.TraditionalOpenSSL),
        key_pem(LEAF.key, "open sesame"),
        encrypted_pem(LEAF.key, "open sesame", rounds=2048),
    ],
    ids=["PKCS#8", "SEC1", "encrypted", "PBES2"],
)
def test_the_key_is_plain_pkcs8_however_it_came(key: str) -> None:
    beside = normal(LEAF.pem, key, "open sesame")
    inside = normal(key + LEAF.pem, None, "open sesame")
    assert beside.private_key == inside.private_key == LEAF.key_pem
    loaded = load_pem_private_key(LEAF.key_pem.encode(), None)
    assert loaded.public_key() == LEAF.certificate.public_key()


def test_a_key_alone_is_the_key_only() -> None:
    key = ec_key()
    assert normal(key_pem(key), kind="key") == NormalForm("", "", key_pem(key))


def test_a_certificate_that_the_library_refuses_stays_as_it_is() -> None:
    certificate = odd(serial=b"\2\2\0\7")
    form = normal(odd_pem(certificate))
    assert "".join(form.certificate.split("\n")[1:-2]) in odd_pem(certificate).replace("\n", "")


def test_what_was_written_is_read_again() -> None:
    path = [one.certificate for one in (LEAF, INTERMEDIATE)]
    form = read(write([LEAF.der, INTERMEDIATE.der], None))
    assert x509.load_pem_x509_certificates((form.certificate + form.chain).encode()) == path
    assert read(b"") == NormalForm("", "", None)


def test_the_key_is_not_in_repr() -> None:
    assert "PRIVATE" not in repr(normal(LEAF.pem, LEAF.key_pem))
