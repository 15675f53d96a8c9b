"""PEM as people really paste it, and as it arrives when something went wrong on the way."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization

from services.secrets.certificates import (
    CertificateMaterial,
    CertificateRefused,
    normal_form,
    read_certificate,
)
from tests.fakes.certificates import NOW, Issued, chain, issue, key_pem, pem_block, rsa_key, tlv

LEAF = issue(dns=["example.com"])


def read(
    content: str, key: str | None = None, passphrase: str | None = None
) -> CertificateMaterial:
    return read_certificate(content, key, passphrase, "pem", NOW)


def refused(
    content: str, key: str | None = None, passphrase: str | None = None
) -> CertificateRefused:
    with pytest.raises(CertificateRefused) as caught:
        read(content, key, passphrase)
    return caught.value


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "content",
    [
        LEAF.pem.replace("\n", "\r\n"),
        LEAF.pem.replace("\n", "\r"),
        "\ufeff" + LEAF.pem,
        "subject=CN = example.com\nissuer: somebody -- else\n\n" + LEAF.pem + "\ntrailing words",
        LEAF.pem.replace("\n", "   \n"),
        LEAF.pem.rstrip("\n"),
        "\n".join("    " + line for line in LEAF.pem.splitlines()),
        LEAF.pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
        pem_block("EC PARAMETERS", b"\x06\x08*\x86H\xce=\x03\x01\x07") + LEAF.pem,
        LEAF.pem.replace("\n", "\r\r\n"),
        LEAF.pem.replace("\n", "\n\n"),
        "--- begin certificate ---\n" + LEAF.pem,
        pem_block("CERTIFICATE REQUEST", b"0\0") + LEAF.pem + pem_block("X509 CRL", b"0\0"),
    ],
    ids=[
        *("crlf", "cr", "bom", "text", "blanks", "no-final-newline", "indented", "x509", "params"),
        *("crcrlf", "empty-lines", "remark", "request-and-crl"),
    ],
)
def test_harmless_variants_are_read_and_stored_byte_for_byte(content: str) -> None:
    material = read(content, LEAF.key_pem)
    assert material.metadata.subject == "CN=example.com, O=Example Inc, C=US"
    assert material.content == content.encode()


def test_one_bad_member_refuses_the_file_and_is_named() -> None:
    made = chain()
    broken = pem_block("CERTIFICATE", made.intermediate.der[:-30])
    refusal = refused(made.leaf.pem + broken + made.root.pem)
    assert (refusal.field, refusal.reason) == ("certificate_content", "malformed")
    assert "Certificate 2 of 3" in refusal.message


FOLDED = LEAF.pem.replace("\n", r"\n")


@pytest.mark.parametrize(
    "before",
    [
        "Copy it with the -----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- lines, please.",
        "Your certificate (-----BEGIN CERTIFICATE-----) follows",
        "it ends with -----END CERTIFICATE-----",
        "-----END OF HEADER-----",
        r"-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----",
    ],
)
def test_text_about_markers_is_text(before: str) -> None:
    for content in (f"{before}\n{LEAF.pem}", f"{LEAF.pem}{before}\n"):
        assert read(content).normal_form == read(LEAF.pem).normal_form
    assert read(LEAF.pem, f"{before}\n{LEAF.key_pem}").metadata.has_private_key


@pytest.mark.parametrize(
    "given",
    [r"\n", r"\r\n", " ", "   ", ""],
    ids=["backslash-n", "backslash-r-n", "blanks", "several-blanks", "nothing"],
)
def test_pem_that_lost_its_line_breaks_is_read(given: str) -> None:
    made = chain()
    whole = made.leaf.pem + made.intermediate.pem + made.root.pem
    expected = read(whole, made.leaf.key_pem).normal_form
    folded, key = whole.replace("\n", given), made.leaf.key_pem.replace("\n", given)
    for content in (folded, f'"{folded}"', base64_of(folded.encode()), folded + "\n"):
        material = read(content, key)
        assert material.normal_form == expected
        assert material.content == content.encode()
    assert read(whole + key).normal_form == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"# old: {FOLDED}\n{LEAF.pem}", "malformed"),
        (f'# CERT="{FOLDED}"\nCERT="{FOLDED}"', "malformed"),
        (f'{{"revoked": ["{FOLDED}"], "active": "{FOLDED}"}}', "not_this_format"),
        (f'{{"a": {{"cert": "{FOLDED}"}}}}', "not_this_format"),
    ],
    ids=["comment", "env", "json", "nested"],
)
def test_a_block_among_other_words_of_its_line_is_never_taken_for_the_one_that_is_meant(
    content: str, reason: str
) -> None:
    assert refused(content).reason == reason


@pytest.mark.parametrize("remark", [" # mine", " (copy)"])
def test_a_block_whose_markers_are_damaged_is_not_passed_over_beside_another(remark: str) -> None:
    marked = LEAF.pem.replace("CERTIFICATE-----\n", f"CERTIFICATE-----{remark}\n")
    key = LEAF.key_pem.replace("KEY-----\n", f"KEY-----{remark}\n")
    dashed = LEAF.key_pem.replace("-----", "\u2013\u2013\u2013")
    for other in (marked, key, dashed):
        assert refused(LEAF.pem + other).reason == "malformed"
        assert refused(other + LEAF.pem).reason == "malformed"


def test_a_slash_as_php_writes_it_is_a_slash() -> None:
    folded = LEAF.pem.replace("/", r"\/").replace("\n", r"\n")
    assert read(folded).normal_form == read(LEAF.pem).normal_form


def test_headers_of_a_key_survive_where_line_breaks_are_spelled() -> None:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    locked = key_pem(LEAF.key, "x", form)
    assert "DEK-Info" in locked
    assert read(LEAF.pem, locked.replace("\n", r"\n"), "x").metadata.has_private_key


@pytest.mark.parametrize("padding", [b"\0\0", b"\n", b"\r\n"])
def test_padding_behind_a_certificate_does_no_harm(padding: bytes) -> None:
    material = read(pem_block("CERTIFICATE", LEAF.der + padding))
    assert material.normal_form == read(LEAF.pem).normal_form


def test_trailing_bytes_after_the_certificate_are_refused() -> None:
    assert refused(pem_block("CERTIFICATE", LEAF.der + b"\1")).reason == "malformed"


def test_settings_of_openssl_behind_a_trusted_certificate_do_no_harm() -> None:
    settings = tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex("2b06010505070301"))) + tlv(0x0C, b"mine"))
    material = read(pem_block("TRUSTED CERTIFICATE", LEAF.der + settings), LEAF.key_pem)
    assert material.metadata == read(LEAF.pem, LEAF.key_pem).metadata
    assert material.normal_form == read(LEAF.pem, LEAF.key_pem).normal_form
    assert refused(pem_block("TRUSTED CERTIFICATE", LEAF.der[:-1])).reason == "malformed"


def test_a_ber_certificate_is_read_in_der() -> None:
    length_in_three_octets = b"\x30\x83\0" + LEAF.der[2:]
    material = read(pem_block("CERTIFICATE", length_in_three_octets))
    assert material.normal_form == read(LEAF.pem).normal_form
    assert "ber_encoding" in [warning.code for warning in material.metadata.warnings]


def test_of_several_keys_that_of_the_leaf_counts_wherever_it_stands() -> None:
    made, stranger = chain(), issue("stranger")
    for content in (
        made.leaf.pem + made.leaf.key_pem + stranger.key_pem,
        stranger.key_pem + made.leaf.pem + made.intermediate.pem + made.leaf.key_pem,
        made.leaf.key_pem + made.leaf.pem + made.leaf.key_pem,
    ):
        material = read(content)
        assert material.metadata.subject == "CN=example.com, O=Example Inc, C=US"
        form = normal_form.read(material.normal_form)
        assert form.certificate == made.leaf.pem
        assert form.private_key == made.leaf.key_pem
    assert refused(made.leaf.pem + stranger.key_pem + issue().key_pem).reason == "key_mismatch"


def test_the_number_of_certificates_is_bounded() -> None:
    assert read(LEAF.pem * 100).metadata.chain_length == 100
    over = refused(LEAF.pem * 101)
    assert (over.field, over.reason) == ("certificate_content", None)
    assert "at most 100" in over.message


@pytest.mark.parametrize(
    ("content", "reason", "hint"),
    [
        ("", "empty", "empty"),
        (" \r\n\t\ufeff", "empty", "empty"),
        (LEAF.pem.split("-----END")[0], "malformed", "no END line"),
        (LEAF.pem.replace("-----END CERTIFICATE-----", ""), "malformed", "no END line"),
        (LEAF.pem.replace("-----BEGIN CERTIFICATE-----", ""), "malformed", "END line"),
        (LEAF.pem.replace("-----END", "----END"), "malformed", "Line"),
        (LEAF.pem.replace("END CERTIFICATE-----", "END CERTIFICATE----"), "malformed", "dashes"),
        (LEAF.pem.replace("CERTIFICATE-----\n", "CERTIFICATE-----", 1), "malformed", "Line 1 "),
        (LEAF.pem.replace("\n-----END", "-----END"), "malformed", "stand alone"),
        (LEAF.pem.rstrip() + LEAF.pem, "malformed", "stand alone"),
        (LEAF.pem + "".join(LEAF.pem.split("\n"))[:-3], "malformed", "stand alone"),
        ("The -----BEGIN CERTIFICATE----- line is missing.", "malformed", "Line 1 "),
        (
            "Take the -----BEGIN X----- line\n" + LEAF.pem.split("-----END")[0],
            "malformed",
            "no END",
        ),
        (LEAF.pem + LEAF.pem.replace("-----END CERTIFICATE-----", ""), "malformed", "no END line"),
        (LEAF.pem.replace("M", "*", 1), "invalid_base64", "base64"),
        (LEAF.pem.replace("M", "é", 1), "invalid_base64", "base64"),
        (LEAF.pem[:200] + LEAF.pem[201:], "invalid_base64", "base64"),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "malformed", "empty"),
        (pem_block("CERTIFICATE", b"hello"), "malformed", "no X.509 certificate"),
        ("\ud800" + LEAF.pem, "malformed", "Unicode"),
        (pem_block("DH PARAMETERS", b"0\0"), "no_certificate", "no CERTIFICATE block"),
        (LEAF.pem.replace("-----", "---"), "malformed", "Line 1 "),
        (LEAF.pem.replace("-----", "\u2014\u2013"), "malformed", "five plain dashes"),
        (LEAF.pem.lower(), "malformed", "in capitals"),
        (LEAF.pem.replace("-----BEGIN ", "----- BEGIN "), "malformed", "Line 1 "),
        (base64_of(LEAF.der)[:-6] + "*" * 6, "invalid_base64", "base64"),
        (base64_of(LEAF.der)[:41], "invalid_base64", "base64"),
        (base64_of(b"\xfb\xff" * 30) + "-_+/", "invalid_base64", "base64"),
        ("data:application/x-pem-file;base64,%%", "invalid_base64", "base64"),
        ("data:;base64,", "empty", "nothing in it"),
        ("\0\0", "empty", "empty"),
        ('""', "empty", "nothing in it"),
    ],
)
def test_broken_text_is_refused_with_advice(content: str, reason: str, hint: str) -> None:
    refusal = refused(content)
    assert (refusal.field, refusal.reason) == ("certificate_content", reason)
    assert hint in refusal.message


PKCS7_OID = bytes.fromhex("06092a864886f70d010702")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (base64_of(LEAF.der), "DER certificate"),
        (base64.encodebytes(LEAF.der).decode(), "DER certificate"),
        (pem_block("PKCS7", b"0\0"), "PKCS#7"),
        (LEAF.pem + pem_block("PKCS7", b"0\0"), "PKCS#7"),
        (base64_of(b"\x30\x0d" + PKCS7_OID + b"\xa0\x00"), "PKCS#7"),
        (base64_of(b"\x30\x80" + PKCS7_OID + b"\xa0\x80\0\0\0\0"), "PKCS#7"),
        (base64_of(b"\x30\x10\x02\x01\x03\x30\x0b" + PKCS7_OID), "PKCS#12"),
        (base64_of(b"\x30\x10\x02\x01\x03\x30\x0b" + PKCS7_OID), "certificate_type 'pfx'"),
        (pem_block("CERTIFICATE", b"\x30\x0d" + PKCS7_OID + b"\xa0\x00"), "'pkcs7'"),
        (LEAF.key_pem, "certificate_type 'key'"),
        (pem_block("PKCS12", b"0\0"), "certificate_type 'pfx'"),
        (LEAF.key_pem, "private key alone"),
        (key_pem(LEAF.key, "x"), "private key alone"),
        (pem_block("CERTIFICATE REQUEST", b"0\0"), "signing request"),
        (pem_block("PUBLIC KEY", b"0\0"), "public key"),
        (pem_block("OPENSSH PRIVATE KEY", b"openssh-key-v1\0"), "OpenSSH private key"),
        (LEAF.pem + pem_block("OPENSSH PRIVATE KEY", b"x"), "OpenSSH private key"),
        (pem_block("X509 CRL", b"0\0"), "revocation list"),
        ("<!DOCTYPE html><html>Not found</html>", "HTML"),
        ('{"certificate": "..."}', "JSON"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here", "OpenSSH public key"),
        ("PuTTY-User-Key-File-3: ssh-rsa", "PuTTY"),
        (base64_of(b"\xfe\xed\xfe\xed\0\0\0\2"), "Java keystore"),
        (base64_of(b"PK\x03\x04...."), "ZIP"),
        ("/etc/ssl/certs/example.pem", "name of a file"),
        ("@example.crt", "name of a file"),
        ("what is this?", "nothing Coffer recognises"),
    ],
)
def test_another_format_is_named_so_that_it_can_be_sent_rightly(content: str, said: str) -> None:
    refusal = refused(content)
    assert (refusal.field, refusal.reason) == ("certificate_content", "not_this_format")
    assert said in refusal.message


def test_der_keys_and_requests_in_base64_are_told_apart() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat
    key = rsa_key()
    plain = serialization.NoEncryption()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(LEAF.key, hashes.SHA256()).public_bytes(encoding)
    public = key.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    locked = serialization.BestAvailableEncryption(b"x")
    assert "signing request" in refused(base64_of(signed)).message
    assert "public key" in refused(base64_of(public)).message
    for private_format, encryption in (
        (form.PKCS8, plain),
        (form.TraditionalOpenSSL, plain),
        (form.PKCS8, locked),
    ):
        data = key.private_bytes(encoding, private_format, encryption)
        assert "private key" in refused(base64_of(data)).message


@pytest.mark.parametrize("certificate_type", ["der", "jks", "", "PEM", "x" * 9999])
def test_unknown_types_are_refused_naming_the_known_ones(certificate_type: str) -> None:
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(LEAF.pem, None, None, certificate_type, NOW)
    assert (caught.value.field, caught.value.reason) == ("certificate_type", None)
    assert "cer, crt" in caught.value.message
    assert "xxxx" not in caught.value.message


def test_size_limits_are_exact() -> None:
    padding = 720 * 1024 - len(LEAF.pem)
    read(LEAF.pem + " " * padding)
    over = refused(LEAF.pem + " " * (padding + 1))
    assert (over.field, over.reason) == ("certificate_content", None)
    assert refused(LEAF.pem, LEAF.key_pem + " " * 65536).field == "private_key"
    assert refused(LEAF.pem, LEAF.key_pem, "é" * 513).field == "passphrase"
    read(LEAF.pem, LEAF.key_pem, "é" * 512)


def test_half_a_mebibyte_of_certificates_fits_although_base64_is_longer() -> None:
    rest = 512 * 1024 - len(LEAF.der)
    assert read(LEAF.pem + pem_block("X509 CRL", b"x" * rest)).metadata.chain_length == 1
    over = refused(LEAF.pem + pem_block("X509 CRL", b"x" * (rest + 1)))
    assert (over.field, over.reason) == ("certificate_content", None)
    assert "524289 bytes" in over.message


def test_a_refusal_survives_pickling_and_holds_nothing_of_the_input() -> None:
    import pickle

    leaf: Issued = issue()
    refusal = refused(leaf.pem, key_pem(leaf.key, "right-canary"), "wrong-canary")
    copy = pickle.loads(pickle.dumps(refusal))
    assert (copy.field, copy.reason, copy.message) == (
        "passphrase",
        "wrong_passphrase",
        refusal.message,
    )
    assert "canary" not in repr(refusal) + str(refusal)
