"""certificate_type `pkcs7`, `p7b` and `p7c`: the certificates of a SignedData (RFC 2315, RFC 5652).

PEM under any label in use, or DER or BER. Usually it signs nothing ("certs-only", RFC 5652 section 5.2); what
it does sign, and its revocation lists, are not looked at, and no signature of it is verified.
"""

from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings import der
from services.secrets.certificates.encodings.armor import PKCS7_LABELS, PemBlock, PemFault
from services.secrets.certificates.encodings.ber import to_der
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.formats.one_certificate import certificate_of, without_padding
from services.secrets.certificates.formats.other_kind import (
    Declared,
    no_such_structure,
    other_kind,
    refused,
)
from services.secrets.certificates.formats.pem import blocks_of, keys_of
from services.secrets.certificates.keys.encryption import Budget
from services.secrets.certificates.keys.opening import OpenedKey
from services.secrets.certificates.limits import check_count
from services.secrets.certificates.refusal import CertificateRefused

_PKCS7: Final = Declared(
    "PKCS#7",
    "With certificate_type 'pkcs7', 'p7b' or 'p7c' send PEM text with '-----BEGIN PKCS7-----', or base64 "
    "of DER.",
)
_DATA: Final = "1.2.840.113549.1.7.1"
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_OTHER_TYPES: Final = {
    "1.2.840.113549.1.7.3": "envelopedData",
    "1.2.840.113549.1.7.4": "signedAndEnvelopedData",
    "1.2.840.113549.1.7.5": "digestedData",
    "1.2.840.113549.1.7.6": "encryptedData",
    "1.2.840.113549.1.9.16.1.2": "authenticatedData",
    "1.2.840.113549.1.9.16.1.9": "compressedData",
    "1.2.840.113549.1.9.16.1.23": "authEnvelopedData",
}
_EXPLICIT_0: Final = der.context(0)
_CERTIFICATES: Final = der.context(0)  # [0] IMPLICIT SET OF CertificateChoices
_MISLEADING: Final = frozenset({"PKCS12", "OPENSSH PRIVATE KEY"})


def read_pkcs7(opened: Opened, passphrase: bytes | None, budget: Budget) -> Contents:
    """Every X.509 certificate in it, in the order of the file, which means nothing (it is a SET).

    A private key may stand beside it in PEM text. Raises CertificateRefused.
    """
    if opened.data is not None:
        return _contents([opened.data], (), in_armor=False)
    blocks = blocks_of(opened)
    holders: list[PemBlock] = []
    others: list[PemBlock] = []
    for block in blocks:
        if _may_hold_pkcs7(block):
            holders.append(block)
        elif block.is_certificate or block.label in _MISLEADING:
            others.append(block)
    if others or not holders:
        raise other_kind(_PKCS7, opened, others or blocks)
    files = [_decoded(block) for block in holders]
    return _contents(files, keys_of(blocks, passphrase, budget), in_armor=True)


def _may_hold_pkcs7(block: PemBlock) -> bool:
    """Windows writes it under the label CERTIFICATE too."""
    if block.label in PKCS7_LABELS:
        return True
    return block.is_certificate and shape_of(_decoded(block)) == "pkcs7"


def _decoded(block: PemBlock) -> bytes:
    try:
        return block.decoded()
    except PemFault as fault:
        raise refused(fault.reason, fault.message) from None


def _contents(files: list[bytes], keys: tuple[OpenedKey, ...], *, in_armor: bool) -> Contents:
    """What several PKCS#7 structures, in practice one, hold together.

    `in_armor`: a label called them PKCS#7, so that what is unknown is damaged and no other kind.
    """
    found: list[bytes] = []
    is_ber = False
    for data in files:
        shape = shape_of(data)
        if shape != "pkcs7" and (shape is not None or not in_armor):
            raise no_such_structure(_PKCS7, Opened(data=data))
        written = without_padding(data)
        try:
            rewritten = to_der(written)
            found += _certificates_as_sent(written, rewritten)
        except ValueError:
            raise refused(
                "malformed",
                "certificate_content is damaged PKCS#7: it was cut or changed on the way. "
                "Send it again, whole.",
            ) from None
        is_ber = is_ber or rewritten != written
    if not found:
        raise _empty()
    check_count(len(found))
    certificates = tuple(
        _certificate(data, number, len(found)) for number, data in enumerate(found, start=1)
    )
    return Contents(certificates, keys, is_ber=is_ber, is_unordered=True)


def _certificates_as_sent(written: bytes, in_der: bytes) -> list[bytes]:
    """From the file as it was sent, if its own lengths are definite: what a certificate's signature was made
    over is for its reader to say. Raises as `_certificates` does."""
    try:
        return _certificates(written)
    except ValueError:
        return _certificates(in_der)


def _certificates(data: bytes) -> list[bytes]:
    """The encoded certificates of a ContentInfo in DER.

    ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY OPTIONAL }
    Raises ValueError for another structure, CertificateRefused for another content type.
    """
    content_type, *content = der.sequence(data)
    oid = content_type.oid()
    if oid == _DATA or (oid == _SIGNED_DATA and not content):
        raise _empty()
    if oid != _SIGNED_DATA:
        raise refused(
            "unsupported_algorithm",
            f"certificate_content is PKCS#7 of the type {_OTHER_TYPES.get(oid, oid)}, of which no "
            "certificates are read. Export it as SignedData, for example with 'openssl crl2pkcs7 -nocrl "
            "-certfile <file>'.",
        )
    (explicit,) = content
    (signed_data,) = explicit.members(_EXPLICIT_0)
    return [
        choice.encoded
        for member in signed_data.members()
        if member.tag == _CERTIFICATES
        for choice in member.children()
        if choice.tag == der.SEQUENCE  # the other choices are no X.509 certificates
    ]


def _empty() -> CertificateRefused:
    return refused(
        "no_certificate",
        "The PKCS#7 is empty: it holds no certificate (revocation lists and signatures do not count). "
        "Export it again, with its certificates.",
    )


def _certificate(data: bytes, number: int, total: int) -> Certificate:
    try:
        certificate, _ = certificate_of(data)
    except ValueError:
        which = "The certificate" if total == 1 else f"Certificate {number} of {total}"
        raise refused(
            "malformed",
            f"{which} in the PKCS#7 is no X.509 certificate: it was changed on the way, or its author "
            "made a mistake. Export it again.",
        ) from None
    return certificate
