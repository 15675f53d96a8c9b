"""What breaks when a person has a file and does not know what the API wants to be told about it."""

from __future__ import annotations

import base64
import codecs

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from services.secrets.certificates import read_certificate
from services.secrets.certificates.encodings.looks_like import NOTHING_KNOWN
from services.secrets.certificates.guess import as_content, as_pem, describe, guess_type
from tests.fakes.certificates import NOW, chain, key_pem, pem_block

MADE = chain()
LEAF = MADE.leaf
TEXT = (LEAF.pem + MADE.intermediate.pem).encode()
KEY_DER = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
P7B = pkcs7.serialize_certificates([LEAF.certificate], Encoding.DER)
PFX = pkcs12.serialize_key_and_certificates(
    b"x", LEAF.key, LEAF.certificate, None, BestAvailableEncryption(b"x")
)
FILES = {
    "PEM": ("pem", TEXT),
    "PEM after a comment in Latin-1": ("pem", "Müller\n".encode("latin-1") + TEXT),
    "PEM in UTF-16, as PowerShell writes it": (
        "pem",
        codecs.BOM_UTF16_LE + TEXT.decode().encode("utf-16-le"),
    ),
    "PEM with a BOM": ("pem", codecs.BOM_UTF8 + TEXT),
    "PEM whose end was cut off": ("pem", TEXT[:-30]),
    "certificate and key in one file": ("pem", LEAF.key_pem.encode() + TEXT),
    "DER": ("crt", LEAF.der),
    "base64 of DER": ("crt", base64.encodebytes(LEAF.der)),
    "PKCS#7 in DER": ("pkcs7", P7B),
    "PKCS#7 in PEM": ("pkcs7", pem_block("PKCS7", P7B).encode()),
    "PKCS#7 under the label that Windows writes": ("pkcs7", pem_block("CERTIFICATE", P7B).encode()),
    "PFX": ("pfx", PFX),
    "base64 of a PFX": ("pfx", base64.b64encode(PFX)),
    "base64 of a PFX in UTF-16 without a mark": (
        "pfx",
        base64.encodebytes(PFX).decode().encode("utf-16-le"),
    ),
    "base64 of DER in UTF-16 of the other order": (
        "crt",
        base64.b64encode(LEAF.der).decode().encode("utf-16-be"),
    ),
    "key in PEM": ("key", LEAF.key_pem.encode()),
    "encrypted key in PEM": ("key", key_pem(LEAF.key, "x").encode()),
    "key in DER": ("key", KEY_DER),
}


@pytest.mark.parametrize("name", FILES)
def test_the_type_is_told_by_the_content(name: str) -> None:
    expected, data = FILES[name]
    assert guess_type(data) == expected


@pytest.mark.parametrize("name", FILES)
def test_what_is_sent_is_still_of_that_type(name: str) -> None:
    expected, data = FILES[name]
    assert guess_type(as_content(data).encode()) == expected


@pytest.mark.parametrize("name", ["PEM", "PEM with a BOM", "base64 of DER", "key in PEM"])
def test_text_is_sent_byte_for_byte(name: str) -> None:
    assert as_content(FILES[name][1]).encode() == FILES[name][1]


@pytest.mark.parametrize("name", ["DER", "PFX", "PKCS#7 in DER", "key in DER"])
def test_binary_files_are_sent_as_base64(name: str) -> None:
    assert base64.b64decode(as_content(FILES[name][1]), validate=True) == FILES[name][1]


def test_binary_that_happens_to_be_valid_utf_8_is_not_sent_as_text() -> None:
    assert as_content(b"0.\x02\x01\0") == base64.b64encode(b"0.\x02\x01\0").decode()


def test_files_of_every_encoding_are_joined_to_one_chain() -> None:
    utf_16 = codecs.BOM_UTF16_LE + MADE.root.pem.encode("utf-16-le")
    files = (LEAF.der, base64.encodebytes(MADE.intermediate.der).rstrip(), utf_16)
    text = "".join(part for data in files if (part := as_pem(data)) is not None)
    metadata = read_certificate(text, None, None, "pem", NOW).metadata
    assert metadata.chain_length == 3
    assert metadata.warnings == ()


@pytest.mark.parametrize("name", [name for name in FILES if FILES[name][0] not in {"pem", "crt"}])
def test_what_is_no_plain_certificate_is_not_joined(name: str) -> None:
    assert as_pem(FILES[name][1]) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\0\1\2", id="noise"),
        pytest.param(b"hello", id="a word"),
        pytest.param(b"PK\x03\x04rest", id="an archive"),
        pytest.param(b"tls.crt", id="a file's name"),
        pytest.param(b"", id="nothing"),
        pytest.param(LEAF.pem.encode()[30:90], id="a piece of PEM"),
    ],
)
def test_what_cannot_be_stored_has_no_type_but_a_name(data: bytes) -> None:
    assert guess_type(data) is None
    assert as_pem(data) is None
    assert describe(data)


def test_an_archive_is_called_one_and_noise_is_not_called_anything() -> None:
    assert "ZIP" in describe(b"PK\x03\x04rest")
    assert describe(b"\0\1\2") == NOTHING_KNOWN


@given(st.binary(max_size=400))
def test_no_file_makes_it_fail(data: bytes) -> None:
    guess_type(data)
    describe(data)
    as_pem(data)
    as_content(data)
