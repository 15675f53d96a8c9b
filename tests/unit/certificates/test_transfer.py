"""The coat comes off whatever way it was put on, and what has none is left as it is."""

import base64
import urllib.parse

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from services.secrets.certificates import CertificateRefused, read_certificate
from services.secrets.certificates.encodings.looks_like import NOTHING_KNOWN
from services.secrets.certificates.encodings.transfer import Opened, open_file, open_transfer
from services.secrets.certificates.guess import as_pem, describe, guess_type
from tests.fakes.certificates import NOW, issue, pem_block

LEAF = issue(dns=["example.com"])
PEM = LEAF.pem
DER = LEAF.der
BYTES = b"\x30\x82\xfb\xef\xbe" + bytes(range(256))
"""Their base64 has every character of the alphabet, also the two that differ."""


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


PLAIN = base64_of(BYTES)
URL_SAFE = base64.urlsafe_b64encode(BYTES).decode()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.encodebytes(BYTES).decode(),
        base64.encodebytes(BYTES).decode().replace("\n", "\r\n"),
        base64.encodebytes(BYTES).decode().replace("\n", "\r"),
        "  \t" + " ".join(PLAIN[at : at + 4] for at in range(0, len(PLAIN), 4)) + "\n\n",
        PLAIN.replace("A", "A\u00a0"),
        URL_SAFE,
        URL_SAFE.rstrip("="),
        "\ufeff" + PLAIN,
        "\0".join(PLAIN) + "\0",
        f'"{PLAIN}"',
        f"'{PLAIN}'\n",
        f"data:application/pkix-cert;base64,{PLAIN}",
        f"DATA:;name=a.cer;BASE64,{URL_SAFE}",
        f"data:;base64,{urllib.parse.quote(base64.encodebytes(BYTES))}",
        f"data:application/pkix-cert,{urllib.parse.quote(BYTES)}",
        base64_of(PLAIN.encode()),
        base64_of(b"\xff\xfe" + PLAIN.encode("utf-16-le")),
    ],
)
def test_bytes_come_out_whatever_base64_they_were_sent_in(content: str) -> None:
    assert open_transfer(content) == Opened(data=BYTES)


def pasted(data: bytes) -> str:
    """What a program that takes bytes for characters makes of them."""
    return data.decode("latin-1")


@pytest.mark.parametrize(
    "content",
    [
        PEM,
        "\ufeff" + PEM,
        "\ufeff".join(["", PEM, ""]),
        pasted(b"\xef\xbb\xbf" + PEM.encode()),
        pasted(PEM.encode("utf-16-le")),
        pasted(PEM.encode("utf-16-be")),
        pasted(b"\xff\xfe" + PEM.encode("utf-16-le")),
        pasted(b"\xfe\xff" + PEM.encode("utf-16-be")),
        "\ufffd\ufffd" + "\0".join(PEM) + "\0",
        PEM + "\x1a",
        f'"{PEM}"',
        f"data:application/x-pem-file;base64,{base64_of(PEM.encode())}",
        f"data:,{urllib.parse.quote(PEM)}",
        f"data:text/plain,{PEM}",
        urllib.parse.quote(PEM),
        urllib.parse.quote(PEM, safe="+=/"),
        base64_of(PEM.encode()),
        base64_of(b"\xef\xbb\xbf" + PEM.encode()),
        base64_of(PEM.encode("utf-16-le")),
        base64_of(PEM.encode("utf-16-be")),
        base64_of(PEM.encode("utf-16")),
        base64_of(b"\xfe\xff" + PEM.encode("utf-16-be")),
        base64_of(base64_of(PEM.encode()).encode()),
        base64_of(PEM.encode() + b"\0\0"),
    ],
)
def test_text_is_text_also_when_it_was_wrapped(content: str) -> None:
    opened = open_transfer(content)
    assert opened.data is None
    assert opened.text is not None
    assert opened.text.strip() == PEM.strip()
    assert not opened.is_damaged_base64
    material = read_certificate(content, None, None, "pem", NOW)
    assert material.metadata.dns_names == ("example.com",)
    assert material.content == content.encode()


def test_the_armor_that_windows_puts_around_any_file_is_a_coat() -> None:
    key = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    locked = BestAvailableEncryption(b"x")
    assert isinstance(LEAF.key, ec.EllipticCurvePrivateKey)
    pfx = serialize_key_and_certificates(b"mine", LEAF.key, LEAF.certificate, None, locked)
    for file in (key, pfx):
        encoded = pem_block("CERTIFICATE", file).replace("\n", "\r\n")
        assert open_transfer(encoded) == Opened(data=file)
        assert open_transfer(base64_of(encoded.encode())) == Opened(data=file)
        beside = PEM + encoded
        assert open_transfer(beside) == Opened(text=beside)
    material = read_certificate(pem_block("CERTIFICATE", pfx), None, "x", "pfx", NOW)
    assert material.metadata.has_private_key


def test_a_remark_in_an_old_encoding_does_not_hide_the_certificate() -> None:
    opened = open_transfer(base64_of("Für Müller\n".encode("latin-1") + PEM.encode()))
    assert opened.text == f"Für Müller\n{PEM}"


@pytest.mark.parametrize(
    "content",
    [
        "what is this?",
        "/etc/ssl/certs/some/very/long/path/to/it/example.com.pem",
        "https://example.com/" + "certificates/" * 9,
        DER.hex(),
        DER.hex(" "),
        DER.hex(":"),
        "-----BEGIN CERTIFICATE-----",
        "---- BEGIN SSH2 PUBLIC KEY ----",
        "\u2014BEGIN CERTIFICATE\u2014",
        "data:",
        "data: is what it says",
    ],
)
def test_text_that_is_no_base64_stays_text(content: str) -> None:
    assert open_transfer(content).text == content


@pytest.mark.parametrize(
    "content",
    [
        PLAIN[:50] + "*" + PLAIN[51:],
        PLAIN[:50] + "ü" + PLAIN[51:],
        PLAIN.rstrip("=")[: len(PLAIN) // 4 * 4 - 3],
        base64_of(BYTES + b"x") * 2,
        PLAIN + "===",
        "-_" + PLAIN,
        PLAIN.replace("\n", r"\n") + r"\n",
        "data:;base64,*",
    ],
    ids=["star", "umlaut", "one-more", "twice", "padding", "mixed", "backslash", "declared"],
)
def test_what_was_meant_as_base64_is_called_damaged_and_not_guessed_at(content: str) -> None:
    opened = open_transfer(content)
    assert opened.text is not None
    assert opened.is_damaged_base64
    for certificate_type in ("pem", "crt", "p7b"):
        with pytest.raises(CertificateRefused) as caught:
            read_certificate(content, None, None, certificate_type, NOW)
        assert (caught.value.field, caught.value.reason) == (
            "certificate_content",
            "invalid_base64",
        )


@pytest.mark.parametrize("prefix", ["data:,", "data:text/plain,"])
def test_a_coat_over_and_over_is_not_taken_off_for_ever(prefix: str) -> None:
    content = prefix * 400 + "x"
    assert (open_transfer(content).text or "").startswith("data:")
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(content, None, None, "pem", NOW)
    assert caught.value.reason == "not_this_format"
    assert open_file(content.encode()).text is not None
    assert guess_type(content.encode()) is None
    assert describe(content.encode()) == NOTHING_KNOWN
    assert as_pem(content.encode()) is None


@pytest.mark.parametrize("content", ["", " \n", "\0", '""', "data:;base64,", "data:,"])
def test_nothing_inside_is_refused_as_empty_in_the_field_it_came_in(content: str) -> None:
    with pytest.raises(CertificateRefused) as caught:
        open_transfer(content, "private_key")
    assert (caught.value.field, caught.value.reason) == ("private_key", "empty")


def test_half_a_mebibyte_is_the_limit_of_what_is_inside() -> None:
    most = b"\xff" * (512 * 1024)
    assert open_transfer(base64_of(most)).data == most
    with pytest.raises(CertificateRefused) as caught:
        open_transfer(base64_of(most + b"\xff"))
    assert (caught.value.field, caught.value.reason) == ("certificate_content", None)
    assert "524289 bytes" in caught.value.message


def test_a_file_is_opened_without_limit_or_refusal() -> None:
    assert open_file(b"") == Opened(text="")
    assert open_file(DER) == Opened(data=DER)
    assert open_file(base64.encodebytes(DER)) == Opened(data=DER)
    assert open_file(PEM.encode("utf-16")).text == PEM
    assert open_file(b"\xff" * 2**20).data == b"\xff" * 2**20


def test_nothing_inside_shows_in_a_repr() -> None:
    key = pem_block("PRIVATE KEY", b"canary")
    for content in (key, base64_of(b"\xff" + key.encode())):
        assert "canary" not in repr(open_transfer(content))
        assert "BEGIN" not in repr(open_transfer(content))
