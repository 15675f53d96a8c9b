"""PKCS#12 files (RFC 7292, PBMAC1: RFC 9579) with each part as one likes it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.vectors.certificate_corpus import asn1, pbe

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAGS: Final = "1.2.840.113549.1.12.10.1."
_DATA: Final = "1.2.840.113549.1.7.1"
_ENCRYPTED: Final = "1.2.840.113549.1.7.6"
_FRIENDLY_NAME: Final = "1.2.840.113549.1.9.20"
_LOCAL_KEY_ID: Final = "1.2.840.113549.1.9.21"
_HASHES: Final = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}


def friendly_name(text: str) -> bytes:
    """What keystores call an alias."""
    return _attribute(_FRIENDLY_NAME, asn1.tlv(0x1E, text.encode("utf-16-be")))


def local_key_id(identifier: bytes) -> bytes:
    """What ties a certificate to its key."""
    return _attribute(_LOCAL_KEY_ID, asn1.octets(identifier))


def csp_name(text: str) -> bytes:
    """Windows: the provider that the key lived in."""
    return _attribute("1.3.6.1.4.1.311.17.1", asn1.tlv(0x1E, text.encode("utf-16-be")))


def local_machine_keyset() -> bytes:
    """Windows: an attribute without a value."""
    return asn1.sequence(asn1.oid("1.3.6.1.4.1.311.17.2"), asn1.set_of())


def trusted_key_usage() -> bytes:
    """Java: the mark of a trusted certificate."""
    return _attribute("2.16.840.1.113894.746875.1.1", asn1.oid("2.5.29.37.0"))


def _attribute(oid: str, value: bytes) -> bytes:
    return asn1.sequence(asn1.oid(oid), asn1.set_of(value))


def bag(kind: int, value: bytes, *attributes: bytes) -> bytes:
    """SafeBag; the kinds count from 1: key, shrouded key, certificate, CRL, secret, contents."""
    tail = asn1.set_of(*attributes) if attributes else b""
    return asn1.sequence(asn1.oid(f"{_BAGS}{kind}"), asn1.explicit(0, value), tail)


def certificate_bag(der: bytes, *attributes: bytes) -> bytes:
    """An X.509 certificate."""
    return bag(3, _typed("1.2.840.113549.1.9.22.1", asn1.octets(der)), *attributes)


def sdsi_bag(text: str) -> bytes:
    """A certificate of a kind that nobody ever used."""
    return bag(3, _typed("1.2.840.113549.1.9.22.2", asn1.tlv(0x16, text.encode())))


def crl_bag(der: bytes) -> bytes:
    """A revocation list."""
    return bag(4, _typed("1.2.840.113549.1.9.23.1", asn1.octets(der)))


def secret_bag(value: bytes) -> bytes:
    """A secret of somebody's own kind."""
    return bag(5, _typed("1.2.840.113549.1.12.10.1.2", asn1.octets(value)))


def key_bag(pkcs8: bytes, *attributes: bytes) -> bytes:
    """A private key that is not encrypted by itself."""
    return bag(1, pkcs8, *attributes)


def shrouded_bag(pkcs8: bytes, scheme: pbe.Scheme, *attributes: bytes) -> bytes:
    """A private key that is."""
    return bag(2, scheme.encrypted_key(pkcs8), *attributes)


def nested_bag(*bags: bytes) -> bytes:
    """SafeContents within SafeContents."""
    return bag(6, asn1.sequence(*bags))


def _typed(oid: str, value: bytes) -> bytes:
    return asn1.sequence(asn1.oid(oid), asn1.explicit(0, value))


def plain(*bags: bytes) -> bytes:
    """A ContentInfo with bags that are not encrypted."""
    return _typed(_DATA, asn1.octets(asn1.sequence(*bags)))


def encrypted(scheme: pbe.Scheme, *bags: bytes) -> bytes:
    """A ContentInfo with bags that are."""
    return encrypted_content(scheme.algorithm, scheme.seal(asn1.sequence(*bags)))


def encrypted_content(algorithm: bytes, sealed: bytes) -> bytes:
    """The same from its parts."""
    inner = asn1.sequence(asn1.oid(_DATA), algorithm, asn1.tlv(0x80, sealed))
    return _typed(_ENCRYPTED, asn1.sequence(asn1.integer(0), inner))


def enveloped() -> bytes:
    """A ContentInfo encrypted to somebody's public key: nothing that a passphrase opens."""
    recipients, content = asn1.set_of(), asn1.sequence(asn1.oid(_DATA))
    return _typed("1.2.840.113549.1.7.3", asn1.sequence(asn1.integer(0), recipients, content))


@dataclass(frozen=True)
class Mac:
    """MacData under the KDF of PKCS#12; `claimed` is written instead of the true round count."""

    digest: str = "sha256"
    rounds: int | None = pbe.ROUNDS
    claimed: int | None = None

    def over(self, content: bytes, passphrase: str | None) -> bytes:
        """MacData for that content."""
        rounds = self.rounds or 1
        password = pbe.bmp_password(passphrase)
        size = hashlib.new(self.digest).digest_size
        key = pbe.pkcs12_kdf(self.digest, password, pbe.SALT, rounds, 3, size)
        value = asn1.octets(hmac.digest(key, content, self.digest))
        info = asn1.sequence(asn1.algorithm(_HASHES[self.digest], asn1.NULL), value)
        count = asn1.integer(self.claimed or rounds) if self.rounds else b""
        return asn1.sequence(info, asn1.octets(pbe.SALT), count)


@dataclass(frozen=True)
class Pbmac1:
    """MacData under PBMAC1 (RFC 9579)."""

    prf: str = "hmacWithSHA256"
    mac: str = "hmacWithSHA256"
    rounds: int = pbe.ROUNDS
    claimed: int | None = None

    def over(self, content: bytes, passphrase: str | None) -> bytes:
        """MacData for that content; its own salt is there but not used, nor the count."""
        prf_oid, prf = pbe.PRFS[self.prf]
        mac_oid, digest = pbe.PRFS[self.mac]
        size = hashlib.new(digest).digest_size
        password = (passphrase or "").encode()
        key = hashlib.pbkdf2_hmac(prf, password, pbe.SALT, self.rounds, size)
        pbkdf2 = asn1.sequence(
            asn1.octets(pbe.SALT),
            asn1.integer(self.claimed or self.rounds),
            asn1.integer(size),
            asn1.algorithm(prf_oid, asn1.NULL),
        )
        parameters = asn1.sequence(
            asn1.algorithm("1.2.840.113549.1.5.12", pbkdf2), asn1.algorithm(mac_oid, asn1.NULL)
        )
        value = asn1.octets(hmac.digest(key, content, digest))
        info = asn1.sequence(asn1.algorithm("1.2.840.113549.1.5.14", parameters), value)
        return asn1.sequence(info, asn1.octets(b"NOT USED"))


def pfx(
    safes: Sequence[bytes],
    passphrase: str | None = None,
    mac: Mac | Pbmac1 | None = None,
    *,
    version: int = 3,
) -> bytes:
    """The whole file; without `mac` nothing protects its integrity."""
    content = asn1.sequence(*safes)
    tail = mac.over(content, passphrase) if mac else b""
    return asn1.sequence(asn1.integer(version), _typed(_DATA, asn1.octets(content)), tail)


def ber_pfx(safes: Sequence[bytes], passphrase: str | None, mac: Mac | Pbmac1 | None) -> bytes:
    """The same in BER, inside its octet strings too; the MAC is over what was written."""
    content = asn1.ber(asn1.sequence(*safes))
    tail = mac.over(content, passphrase) if mac else b""
    whole = asn1.sequence(asn1.integer(3), _typed(_DATA, asn1.octets(content)), tail)
    return asn1.ber(whole)


def usual(
    chain: Sequence[bytes],
    pkcs8: bytes,
    passphrase: str | None,
    cert_scheme: pbe.Scheme | None,
    key_scheme: pbe.Scheme | None,
    mac: Mac | Pbmac1 | None = None,
) -> bytes:
    """Leaf, issuers and key in the shape that most programs write; None leaves a part unencrypted."""
    mine = local_key_id(hashlib.sha1(chain[0]).digest())  # as OpenSSL, Windows and NSS do
    bags = [certificate_bag(chain[0], mine), *(certificate_bag(one) for one in chain[1:])]
    certificates = encrypted(cert_scheme, *bags) if cert_scheme else plain(*bags)
    key = shrouded_bag(pkcs8, key_scheme, mine) if key_scheme else key_bag(pkcs8, mine)
    return pfx([certificates, plain(key)], passphrase, mac)
