"""Private keys in PEM: PKCS#8 plain or encrypted, PKCS#1, SEC1, OpenSSL's traditional form.

RSA keys are checked for consistency (RFC 8017 section 3.2, and that their factors pass a Fermat
test), but not proven prime: the library's proof holds the interpreter lock for 30 ms to 7 s per
key, which is a denial of service, and a sender who crafts a bad key harms nobody else's.
No operation is ever performed with a stored key.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.secrets.certificates.encodings import der
from services.secrets.certificates.encodings.armor import PemBlock, PemFault, scan
from services.secrets.certificates.encodings.looks_like import looks_like
from services.secrets.certificates.keys.encryption import (
    EncryptionRefused,
    KeyEncryption,
    encryption_of,
)
from services.secrets.certificates.limits import MAX_RSA_PRIVATE_BITS
from services.secrets.certificates.refusal import CertificateRefused, Field

_KNOWN_ALGORITHMS: Final = frozenset(
    {
        "1.2.840.113549.1.1.1",  # RSA
        "1.2.840.113549.1.1.10",  # RSASSA-PSS
        "1.2.840.10045.2.1",  # EC
        "1.2.840.10040.4.1",  # DSA
        "1.3.101.110",  # X25519
        "1.3.101.111",  # X448
        "1.3.101.112",  # Ed25519
        "1.3.101.113",  # Ed448
    }
)
_FERMAT_BASE: Final = 2
_UNSUPPORTED: Final = ("Unknown key encryption algorithm", "Key encrypted with unknown cipher")
"""How the library's ValueError begins when the passphrase is not to blame (50.0; tests hold it)."""


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A private key that was opened. `pkcs8` is its plain PKCS#8 in DER, and is the only secret in it."""

    public_key: PublicKeyTypes
    encryption: KeyEncryption | None
    pkcs8: bytes = field(repr=False)


def private_key_block(text: str) -> PemBlock:
    """The one private key of the field `private_key`. Raises CertificateRefused."""
    try:
        blocks = scan(text)
    except PemFault as fault:
        raise _invalid("private_key", fault.message) from None
    keys = [block for block in blocks if block.is_private_key]
    if not keys:
        raise _invalid(
            "private_key",
            f"private_key holds no PEM private key: it looks like {looks_like(text, blocks)}. "
            "Send PKCS#8, PKCS#1 or SEC1 in PEM ('-----BEGIN PRIVATE KEY-----').",
        )
    if len(keys) > 1:
        raise _invalid("private_key", f"private_key holds {len(keys)} private keys; send one.")
    return keys[0]


def open_key(block: PemBlock, passphrase: bytes | None, field: Field) -> OpenedKey:
    """Opens the key in `block`; `field` is where it came from, for the refusal.

    A passphrase given for a plain key is not needed and not an error: it may be for the consumer.
    Raises CertificateRefused.
    """
    try:
        encryption = encryption_of(block)
        data = block.normalised()
    except PemFault as fault:
        raise _invalid(field, fault.message) from None
    except EncryptionRefused as refusal:
        raise CertificateRefused(
            field,
            "unsupported_algorithm",
            f"The private key was not opened: {refusal}. Encrypt it again, for example with "
            "'openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 600000'.",
        ) from None
    except ValueError:
        raise _invalid(field, "The private key's encryption header is damaged.") from None
    if encryption is None:
        key = _open_plain(block, data, field)
    elif not passphrase:
        raise CertificateRefused(
            "passphrase",
            "passphrase_required",
            "The private key is encrypted: send its passphrase in 'passphrase'.",
        )
    else:
        key = _open_encrypted(data, passphrase, encryption, field)
    _check(key, field)
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return OpenedKey(key.public_key(), encryption, pkcs8)


def _open_plain(block: PemBlock, data: bytes, field: Field) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(data, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        named = _unknown_algorithm(block)
    if named is not None:
        raise CertificateRefused(
            field, "unsupported_algorithm", f"The private key's algorithm {named} is not supported."
        )
    raise _invalid(
        field,
        f"The block '{block.label}' on line {block.line} is not a readable private key of that "
        "kind: it is damaged, or its BEGIN line names another kind.",
    )


def _open_encrypted(
    data: bytes, passphrase: bytes, encryption: KeyEncryption, field: Field
) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(data, passphrase, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        pass
    except (ValueError, TypeError) as error:
        if not str(error).startswith(_UNSUPPORTED):
            raise _wrong(passphrase) from None
    raise CertificateRefused(
        field,
        "unsupported_algorithm",
        f"The private key is encrypted with {encryption.name}, which is not supported. Encrypt it "
        "again, for example with 'openssl pkcs8 -topk8 -v2 aes-256-cbc'.",
    )


def _wrong(passphrase: bytes) -> CertificateRefused:
    hint = " It ends with a line break: send it without." if passphrase.endswith(b"\n") else ""
    return CertificateRefused(
        "passphrase",
        "wrong_passphrase",
        f"The passphrase does not open the private key (or the key is damaged).{hint}",
    )


def _check(key: PrivateKeyTypes, field: Field) -> None:
    if not isinstance(key, rsa.RSAPrivateKey):
        return  # loading checked it, or derived the public half from the private one
    if key.key_size > MAX_RSA_PRIVATE_BITS:
        raise CertificateRefused(
            field,
            "unsupported_algorithm",
            f"The private key is RSA with {key.key_size} bits; at most {MAX_RSA_PRIVATE_BITS} "
            "are supported.",
        )
    if not _is_consistent(key.private_numbers()):
        raise _invalid(field, "The RSA private key is damaged: its numbers contradict each other.")


def _is_consistent(numbers: rsa.RSAPrivateNumbers) -> bool:
    """RFC 8017 section 3.2 for two factors; every line is an equation that the section states."""
    p, q, public = numbers.p, numbers.q, numbers.public_numbers
    return (
        min(p, q) > _FERMAT_BASE
        and p * q == public.n
        and public.e * numbers.d % (p - 1) == 1
        and public.e * numbers.d % (q - 1) == 1
        and numbers.dmp1 == numbers.d % (p - 1)
        and numbers.dmq1 == numbers.d % (q - 1)
        and numbers.iqmp * q % p == 1
        and all(pow(_FERMAT_BASE, factor - 1, factor) == 1 for factor in (p, q))
    )


def _unknown_algorithm(block: PemBlock) -> str | None:
    """The dotted number in a PKCS#8 key, when it is the reason why it could not be read."""
    if block.label != "PRIVATE KEY":
        return None
    try:
        oid = der.sequence(block.decoded())[1].children()[0].oid()
    except (ValueError, IndexError, PemFault):
        return None
    return None if oid in _KNOWN_ALGORITHMS else oid


def _invalid(field: Field, message: str) -> CertificateRefused:
    return CertificateRefused(field, "invalid_private_key", message)
