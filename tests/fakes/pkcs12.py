"""PKCS#12 files from their parts (RFC 7292), for those that no tool at hand writes.

Written apart from the reader under test: the key derivation too is a second one.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from tests.fakes.certificates import Issued, Key, tlv

SALT = b"saltsalt"
FEW = 3  # rounds
DIGESTS = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sha512_224": "2.16.840.1.101.3.4.2.5",
    "sha512_256": "2.16.840.1.101.3.4.2.6",
    "sha3_256": "2.16.840.1.101.3.4.2.8",
}
DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_BAGS = "1.2.840.113549.1.12.10.1."
_NULL = b"\x05\0"

Mac = Callable[[bytes], bytes]
"""From what is authenticated to MacData."""
Layer = Callable[[bytes], bytes]
"""What is done to each layer's encoding."""


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = b""
    for arc in (40 * first + second, *rest):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.insert(0, arc & 0x7F | 0x80)
        body += bytes(octets)
    return tlv(6, body)


def seq(*members: bytes) -> bytes:
    """A SEQUENCE."""
    return tlv(0x30, b"".join(members))


def octets(data: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(4, data)


def integer(value: int) -> bytes:
    """An INTEGER."""
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def explicit(data: bytes) -> bytes:
    """[0] EXPLICIT."""
    return tlv(0xA0, data)


def as_ber(data: bytes) -> bytes:
    """The same value in indefinite lengths, and its strings in segments."""
    made = b""
    at = 0
    while at < len(data):
        begun, tag, length, start = at, data[at], data[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[begun + 2 : start], "big")
        body = data[start : start + length]
        at = start + length
        if tag in {0x04, 0x80}:
            parts = [body[i : i + 50] for i in range(0, len(body), 50)]
            segments = b"".join(tlv(4, part) for part in parts)
            made += bytes([0x24 if tag == 4 else 0xA0]) + b"\x80" + segments + b"\0\0"
        elif tag & 0x20:
            made += bytes([tag]) + b"\x80" + as_ber(body) + b"\0\0"
        else:
            made += data[begun:at]
    return made


def wide(passphrase: str) -> bytes:
    """A passphrase as PKCS#12 takes it; no passphrase at all is no byte."""
    return passphrase.encode("utf-16-be") + b"\0\0"


def kdf(form: bytes, purpose: int, size: int, rounds: int = FEW, digest: str = "sha1") -> bytes:
    """RFC 7292 appendix B.2 with the salt above."""
    block = hashlib.new(digest).block_size

    def filled(data: bytes) -> bytes:
        return (data * block)[: -(-len(data) // block) * block]

    made, state = b"", filled(SALT) + filled(form)
    while len(made) < size:
        value = bytes([purpose]) * block + state
        for _ in range(rounds):
            value = hashlib.new(digest, value).digest()
        made += value
        more = int.from_bytes((value * block)[:block], "big") + 1
        state = b"".join(
            ((int.from_bytes(state[i : i + block], "big") + more) % 2 ** (8 * block)).to_bytes(
                block, "big"
            )
            for i in range(0, len(state), block)
        )
    return made[:size]


@dataclass(frozen=True)
class Sealing:
    """A way to encrypt: an AlgorithmIdentifier and what it does."""

    algorithm: bytes
    encrypt: Callable[[bytes], bytes] = field(repr=False)


def triple_des(form: bytes, rounds: int = FEW) -> Sealing:
    """pbeWithSHA1And3-KeyTripleDES-CBC, as nearly everybody did for twenty years."""

    def encrypt(data: bytes) -> bytes:
        key, vector = kdf(form, 1, 24, rounds), kdf(form, 2, 8, rounds)
        return _cbc(TripleDES(key), vector, data)

    return Sealing(pbe("1.2.840.113549.1.12.1.3", rounds), encrypt)


def rc4(form: bytes, size: int = 16) -> Sealing:
    """pbeWithSHA1And128BitRC4, or 40BitRC4 for five bytes."""

    def encrypt(data: bytes) -> bytes:
        encryptor = Cipher(ARC4(kdf(form, 1, size)), None).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    return Sealing(pbe(f"1.2.840.113549.1.12.1.{1 if size == 16 else 2}", FEW), encrypt)


def pbes2(passphrase: str, rounds: int = FEW) -> Sealing:
    """PBES2 with PBKDF2, HMAC-SHA-256 and AES-256."""
    vector = b"\x01" * 16

    def encrypt(data: bytes) -> bytes:
        key = PBKDF2HMAC(hashes.SHA256(), 32, SALT, rounds).derive(passphrase.encode())
        return _cbc(AES(key), vector, data)

    cipher = seq(oid("2.16.840.1.101.3.4.1.42"), octets(vector))
    methods = seq(pbkdf2(rounds), cipher)
    return Sealing(seq(oid("1.2.840.113549.1.5.13"), methods), encrypt)


def pbe(dotted: str, rounds: int) -> bytes:
    """AlgorithmIdentifier with PBEParameter."""
    return seq(oid(dotted), seq(octets(SALT), integer(rounds)))


def pbkdf2(rounds: int, size: int | None = None) -> bytes:
    """AlgorithmIdentifier of PBKDF2 with HMAC-SHA-256."""
    length = b"" if size is None else integer(size)
    prf = seq(oid("1.2.840.113549.2.9"), _NULL)
    return seq(oid("1.2.840.113549.1.5.12"), seq(octets(SALT), integer(rounds), length, prf))


def _cbc(algorithm: AES | TripleDES, vector: bytes, data: bytes) -> bytes:
    padding = len(vector) - len(data) % len(vector)
    encryptor = Cipher(algorithm, CBC(vector)).encryptor()
    return encryptor.update(data + bytes([padding]) * padding) + encryptor.finalize()


def mac(form: bytes, digest: str = "sha1", rounds: int | None = FEW) -> Mac:
    """The MAC of RFC 7292; without rounds they are left out, which means one."""

    def made(authenticated: bytes) -> bytes:
        key = kdf(form, 3, hashlib.new(digest).digest_size, rounds or 1, digest)
        value = hmac.new(key, authenticated, digest).digest()
        count = b"" if rounds is None else integer(rounds)
        return seq(digest_info(DIGESTS[digest], value), octets(SALT), count)

    return made


def digest_info(dotted: str, value: bytes, parameters: bytes = _NULL) -> bytes:
    """DigestInfo."""
    return seq(seq(oid(dotted), parameters), octets(value))


def pbmac1(passphrase: str, *, rounds: int = FEW, size: int = 32, digest: str = "sha256") -> Mac:
    """The MAC of RFC 9579."""
    scheme = {"sha256": "1.2.840.113549.2.9", "sha512": "1.2.840.113549.2.11"}[digest]

    def made(authenticated: bytes) -> bytes:
        key = PBKDF2HMAC(hashes.SHA256(), size, SALT, rounds).derive(passphrase.encode())
        value = hmac.new(key, authenticated, digest).digest()
        parameters = seq(pbkdf2(rounds, size), seq(oid(scheme), _NULL))
        info = digest_info("1.2.840.113549.1.5.14", value, parameters)
        return seq(info, octets(b"NOT USED"), integer(1))

    return made


def bag(kind: int, value: bytes, attributes: bytes = b"") -> bytes:
    """SafeBag; `kind` is the last arc of its name."""
    return seq(oid(f"{_BAGS}{kind}"), explicit(value), attributes)


def key_bag(key: Key) -> bytes:
    """A private key that lies open."""
    return bag(1, pkcs8(key))


def shrouded_bag(key: Key | bytes, sealing: Sealing) -> bytes:
    """A private key, or what should be one, encrypted."""
    plain = key if isinstance(key, bytes) else pkcs8(key)
    return bag(2, seq(sealing.algorithm, octets(sealing.encrypt(plain))))


def certificate_bag(certificate: Issued | bytes, attributes: bytes = b"") -> bytes:
    """An X.509 certificate, or what should be one."""
    data = certificate if isinstance(certificate, bytes) else certificate.der
    return bag(3, seq(oid("1.2.840.113549.1.9.22.1"), explicit(octets(data))), attributes)


def attribute(dotted: str, *values: bytes) -> bytes:
    """PKCS12Attribute."""
    return seq(oid(dotted), tlv(0x31, b"".join(values)))


def friendly_name(name: str) -> bytes:
    """The attribute that people see."""
    return attribute("1.2.840.113549.1.9.20", tlv(0x1E, name.encode("utf-16-be")))


def attributes(*members: bytes) -> bytes:
    """The SET behind a bag."""
    return tlv(0x31, b"".join(members))


def pkcs8(key: Key) -> bytes:
    """PrivateKeyInfo in DER."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def contents(*bags: bytes, layer: Layer = bytes) -> bytes:
    """SafeContents."""
    return layer(seq(*bags))


def content_info(dotted: str, content: bytes) -> bytes:
    """ContentInfo."""
    return seq(oid(dotted), explicit(content))


def plain(*bags: bytes, layer: Layer = bytes) -> bytes:
    """SafeContents in the clear."""
    return content_info(DATA, octets(contents(*bags, layer=layer)))


def sealed(sealing: Sealing, *bags: bytes, layer: Layer = bytes) -> bytes:
    """SafeContents encrypted."""
    return sealed_octets(sealing.algorithm, sealing.encrypt(contents(*bags, layer=layer)))


def sealed_octets(algorithm: bytes, data: bytes) -> bytes:
    """EncryptedData of what is encrypted already."""
    info = seq(oid(DATA), algorithm, tlv(0x80, data))
    return content_info(_ENCRYPTED_DATA, seq(integer(0), info))


def pfx(*parts: bytes, mac: Mac | None = None, layer: Layer = bytes, version: int = 3) -> bytes:
    """The whole file of such parts."""
    return pfx_of(layer(seq(*parts)), mac=mac, layer=layer, version=version)


def pfx_of(
    authenticated: bytes, *, mac: Mac | None = None, layer: Layer = bytes, version: int = 3
) -> bytes:
    """The whole file of an AuthenticatedSafe."""
    data = mac(authenticated) if mac else b""
    return layer(seq(integer(version), content_info(DATA, octets(authenticated)), data))


def usual(
    leaf: Issued, passphrase: str, others: Sequence[Issued] = (), *, layer: Layer = bytes
) -> bytes:
    """A file as Windows, Java and OpenSSL wrote it for twenty years: SHA-1 and 3DES."""
    form = wide(passphrase)
    certificates = [certificate_bag(one) for one in (leaf, *others)]
    return pfx(
        plain(shrouded_bag(leaf.key, triple_des(form)), layer=layer),
        sealed(triple_des(form), *certificates, layer=layer),
        mac=mac(form),
        layer=layer,
    )


def sent(data: bytes) -> str:
    """As the request holds it."""
    return base64.b64encode(data).decode()
