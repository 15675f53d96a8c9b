"""PKCS#7 SignedData that carries certificates (RFC 2315, RFC 5652 section 5)."""

from __future__ import annotations

from typing import Final

from tests.vectors.certificate_corpus import asn1

_DATA: Final = "1.2.840.113549.1.7.1"
SIGNED: Final = "1.2.840.113549.1.7.2"


def certs_only(
    *certificates: bytes,
    crls: tuple[bytes, ...] = (),
    content: bytes | None = None,
    digests: tuple[bytes, ...] = (),
    signers: tuple[bytes, ...] = (),
    version: int = 1,
    omit_certificates: bool = False,
) -> bytes:
    """A degenerate SignedData; the certificates keep the order in which they are given."""
    inner = asn1.explicit(0, asn1.octets(content)) if content is not None else b""
    signed = asn1.sequence(
        asn1.integer(version),
        asn1.set_of(*digests),
        asn1.sequence(asn1.oid(_DATA), inner),
        b"" if omit_certificates else asn1.explicit(0, b"".join(certificates)),
        asn1.explicit(1, b"".join(crls)) if crls else b"",
        asn1.set_of(*signers),
    )
    return content_info(SIGNED, signed)


def content_info(oid: str, value: bytes) -> bytes:
    """ContentInfo of that type."""
    return asn1.sequence(asn1.oid(oid), asn1.explicit(0, value))
