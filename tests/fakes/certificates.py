"""Real certificates and keys for tests: small, generated on the spot, trusted by nobody."""

import base64
import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Extension = tuple[x509.ExtensionType, bool]

NOW = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)
NOT_BEFORE = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
NOT_AFTER = datetime(2027, 1, 1, 0, 0, 0, tzinfo=UTC)


def name(common_name: str, organization: str = "Example Inc", country: str = "US") -> x509.Name:
    """C, O, CN in the order in which certificates encode them."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key per size and process: they are slow to make."""
    return rsa.generate_private_key(65537, bits)


def key_pem(
    key: Key,
    passphrase: str | None = None,
    key_format: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
) -> str:
    """The key in PEM; PKCS#8 unless told otherwise."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, key_format, encryption).decode()


def encrypted_pem(key: Key, passphrase: str, *, rounds: int, triple_des: bool = False) -> str:
    """PKCS#8 under PBES2 with that many rounds of PBKDF2-SHA-256 (RFC 8018), AES-256 or 3DES."""
    plain = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    salt, size = b"saltsalt", 24 if triple_des else 32
    derived = PBKDF2HMAC(hashes.SHA256(), size, salt, rounds).derive(passphrase.encode())
    algorithm = TripleDES(derived) if triple_des else AES(derived)
    block, oid = (8, "2a864886f70d0307") if triple_des else (16, "60864801650304012a")
    vector = b"\x01" * block
    padding = block - len(plain) % block
    encryptor = Cipher(algorithm, CBC(vector)).encryptor()
    sealed = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
    sha256 = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d0209")) + b"\x05\0")
    count = tlv(2, rounds.to_bytes(rounds.bit_length() // 8 + 1, "big"))
    pbkdf2 = tlv(6, bytes.fromhex("2a864886f70d01050c")) + tlv(0x30, tlv(4, salt) + count + sha256)
    cipher = tlv(6, bytes.fromhex(oid)) + tlv(4, vector)
    return encrypted_info(tlv(0x30, pbkdf2), tlv(0x30, cipher), sealed)


def encrypted_info(kdf: bytes, cipher: bytes, sealed: bytes) -> str:
    """EncryptedPrivateKeyInfo under PBES2, of two AlgorithmIdentifiers and the ciphertext."""
    pbes2 = tlv(6, bytes.fromhex("2a864886f70d01050d")) + tlv(0x30, kdf + cipher)
    return pem_block("ENCRYPTED PRIVATE KEY", tlv(0x30, tlv(0x30, pbes2) + tlv(4, sealed)))


def tlv(tag: int, body: bytes) -> bytes:
    """One DER element."""
    length = len(body)
    if length < 128:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key = field(repr=False)

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> str:
        """The key in plain PKCS#8."""
        return key_pem(self.key)


def issue(
    subject: x509.Name | str = "example.com",
    *,
    by: Issued | None = None,
    key: Key | None = None,
    ca: bool = False,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    serial: int | None = None,
    extensions: Sequence[Extension] = (),
) -> Issued:
    """A certificate, self-signed without `by`; `subject` may be just a common name."""
    key = key or ec_key()
    signer = by.key if by else key
    named = name(subject) if isinstance(subject, str) else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(by.certificate.subject if by else named)
        .public_key(key.public_key())
        .serial_number(serial if serial is not None else x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    names: list[x509.GeneralName] = [x509.DNSName(entry) for entry in dns]
    names += [x509.IPAddress(ipaddress.ip_address(entry)) for entry in ips]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    signing = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, signing), key)


@dataclass(frozen=True)
class Chain:
    """Root, intermediate and leaf, all P-256."""

    root: Issued
    intermediate: Issued
    leaf: Issued


def chain(leaf_key: Key | None = None) -> Chain:
    """A fresh three-level hierarchy; the leaf is `example.com`."""
    root = issue("Test Root", ca=True, not_after=NOT_AFTER + timedelta(days=3650))
    intermediate = issue(
        "Test Intermediate", by=root, ca=True, not_after=NOT_AFTER + timedelta(days=365)
    )
    leaf = issue("example.com", by=intermediate, key=leaf_key, dns=["example.com"])
    return Chain(root, intermediate, leaf)


def patched(issued: Issued, old: bytes, new: bytes) -> str:
    """The certificate's PEM with some bytes replaced by as many others; the signature then lies."""
    assert len(old) == len(new)
    der = issued.der
    assert old in der
    return pem_block("CERTIFICATE", der.replace(old, new))


def pem_block(label: str, data: bytes) -> str:
    """Any bytes in PEM armor."""
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"
