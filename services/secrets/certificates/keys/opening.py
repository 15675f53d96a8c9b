"""Opens private keys: from a PEM block, from DER, from the request field `private_key`.

Tells apart what libraries do not: a passphrase that is missing, one that is wrong, a method or a kind
of key that is not supported, and a key that is damaged.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from services.secrets.certificates.encodings.armor import PemBlock, PemFault, scan
from services.secrets.certificates.encodings.looks_like import (
    NOTHING_KNOWN,
    guess_bytes,
    guess_opened,
)
from services.secrets.certificates.encodings.transfer import Opened, open_transfer
from services.secrets.certificates.keys import traditional
from services.secrets.certificates.keys.encryption import (
    Budget,
    EncryptionRefused,
    FormsLeft,
    KeyEncryption,
    PartialCiphertext,
    Scheme,
    TooMuchWork,
    WrongPassphrase,
    scheme_of,
)
from services.secrets.certificates.keys.plain import load_plain
from services.secrets.certificates.keys.structure import (
    EncryptedKey,
    NoKeyStructure,
    PlainKey,
    UnsupportedKey,
    structure_of,
)
from services.secrets.certificates.limits import MAX_PRIVATE_KEYS
from services.secrets.certificates.refusal import CertificateRefused, Field

_EC_PARAMETERS: Final = "EC PARAMETERS"


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A private key that was opened. `pkcs8` is its plain PKCS#8 in DER, and is the only secret in it.

    Two keys are the same when their `public_key`s are equal. `is_ber`: it was not written in DER.
    """

    public_key: PublicKeyTypes
    encryption: KeyEncryption | None
    pkcs8: bytes = field(repr=False)
    is_ber: bool = False


def open_private_key(text: str, passphrase: bytes | None, budget: Budget) -> OpenedKey:
    """The one private key of the request field `private_key`: PEM, or base64 of DER. It may be there twice.

    Certificates and parameters beside it are not looked at. Raises CertificateRefused.
    """
    opened = open_transfer(text, "private_key")
    if opened.data is not None:
        return open_key_der(opened.data, passphrase, "private_key", budget)
    blocks = _blocks(opened.text or "")
    count = sum(block.is_private_key for block in blocks)
    if not count:
        raise _no_key_in(opened, blocks)
    few = count <= MAX_PRIVATE_KEYS
    keys = open_keys(blocks, passphrase, "private_key", budget) if few else ()
    if not keys or any(key.public_key != keys[0].public_key for key in keys):
        raise _invalid("private_key", f"private_key holds {count} private keys; send one.")
    return keys[0]


def open_keys(
    blocks: Sequence[PemBlock], passphrase: bytes | None, field: Field, budget: Budget
) -> tuple[OpenedKey, ...]:
    """The private keys among the blocks of a PEM text, in order; blocks of another kind stay unseen but
    for EC PARAMETERS, which belong to the key after them. `field` is where they came from, for the
    refusal. What is there twice is opened once. Raises CertificateRefused for the first that cannot be
    opened.
    """
    opened: list[OpenedKey] = []
    known: dict[object, OpenedKey] = {}
    curve: bytes | None = None
    for block in blocks:
        if block.label == _EC_PARAMETERS:
            curve = _parameters(block)
        elif block.is_private_key:
            same = (block.label, block.headers, "".join(block.body.split()), curve)
            if same not in known:
                known[same] = open_key(block, passphrase, field, budget, curve=curve)
            opened.append(known[same])
            curve = None
    return tuple(opened)


def open_key(
    block: PemBlock,
    passphrase: bytes | None,
    field: Field,
    budget: Budget,
    *,
    curve: bytes | None = None,
) -> OpenedKey:
    """Opens the key in `block`, whatever kind of key its label names.

    A passphrase given for a plain key is not needed and not an error: it may be for the consumer.
    `curve`: of the EC PARAMETERS before it. Raises CertificateRefused.
    """
    where = f"The block '{block.label}' on line {block.line}"
    opening = _Opening(field, where, passphrase, curve, budget)
    try:
        if traditional.is_encrypted(block):
            return opening.open_traditional(block)
        data = block.decoded()
    except PemFault as fault:
        raise _pem_fault(field, fault) from None
    return opening.open(data)


def open_key_der(data: bytes, passphrase: bytes | None, field: Field, budget: Budget) -> OpenedKey:
    """The same for the DER (or BER) of a key, plain or encrypted."""
    return _Opening(field, field, passphrase, None, budget).open(data)


@dataclass(frozen=True, slots=True)
class _Opening:
    """One key that is being opened. `where` begins a sentence about it."""

    source: Field
    where: str
    passphrase: bytes | None = field(repr=False)
    curve: bytes | None = field(repr=False)
    budget: Budget

    def open(self, data: bytes) -> OpenedKey:
        """A key in DER, which says itself whether it is encrypted."""
        try:
            found = structure_of(data, self.curve)
        except NoKeyStructure:
            raise self._no_key(data) from None
        except UnsupportedKey as kind:
            raise self._unsupported(kind) from None
        except ValueError:
            raise self._damaged() from None
        with self._refusals():
            if isinstance(found, PlainKey):
                return self._opened(found, None)
            scheme = scheme_of(found.algorithm, self.budget)
            key = self._opened_inside(self._decrypted(scheme, found.data), scheme.encryption)
            return replace(key, is_ber=key.is_ber or found.is_ber)

    def open_traditional(self, block: PemBlock) -> OpenedKey:
        """A key that the headers of its block say to be encrypted."""
        with self._refusals():
            encryption = traditional.encryption_of(block)
            if not self.passphrase:
                raise self._passphrase_required()
            plain = traditional.decrypt(block, self.passphrase)
            return self._opened_inside(plain, encryption)

    def _decrypted(self, scheme: Scheme, data: bytes) -> bytes:
        """Without a passphrase the empty one is tried: some tools encrypt with it."""
        if self.passphrase:
            return scheme.decrypt(data, self.passphrase)
        for nothing in (None, b"") if scheme.tells_none_from_empty else (None,):
            with contextlib.suppress(WrongPassphrase, FormsLeft):
                return scheme.decrypt(data, nothing)
        raise self._passphrase_required()

    def _opened_inside(self, plain: bytes, encryption: KeyEncryption) -> OpenedKey:
        """What was decrypted is the key, unless the passphrase was wrong and made something else."""
        try:
            found = structure_of(plain, self.curve)
        except NoKeyStructure:
            raise (self._wrong() if self.passphrase else self._passphrase_required()) from None
        except UnsupportedKey as kind:
            raise self._unsupported(kind) from None
        except ValueError:
            raise self._damaged() from None
        if isinstance(found, EncryptedKey):
            raise self._damaged()
        return self._opened(found, encryption)

    def _opened(self, found: PlainKey, encryption: KeyEncryption | None) -> OpenedKey:
        try:
            key, pkcs8 = load_plain(found, self.budget)
        except UnsupportedKey as kind:
            raise self._unsupported(kind) from None
        except (ValueError, IndexError):
            raise self._damaged() from None
        return OpenedKey(key.public_key(), encryption, pkcs8, found.is_ber)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turns what decryption raises into refusals."""
        try:
            yield
        except WrongPassphrase:
            raise self._wrong() from None
        except TooMuchWork as refusal:
            raise self._not_opened(
                refusal,
                "Send fewer private keys, or encrypt them with fewer iterations (600000 are plenty).",
            ) from None
        except EncryptionRefused as refusal:
            raise self._not_opened(
                refusal,
                "Encrypt it again, for example with 'openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 600000' "
                "(OpenSSL 3 also needs '-provider legacy -provider default' for old ciphers).",
            ) from None
        except traditional.NoCipherNamed:
            raise _invalid(
                self.source,
                f"{self.where} is an encrypted private key whose DEK-Info header, which names the cipher, "
                "was lost on the way. Copy it again, whole.",
            ) from None
        except PartialCiphertext:
            raise _invalid(
                self.source,
                f"{self.where} is an encrypted private key that was cut on the way: what is encrypted is no "
                "whole number of the cipher's blocks. Copy it again, whole.",
            ) from None
        except ValueError:
            raise _invalid(self.source, "The private key's encryption header is damaged.") from None

    def _not_opened(self, why: EncryptionRefused, advice: str) -> CertificateRefused:
        return CertificateRefused(
            self.source,
            "unsupported_algorithm",
            f"The private key was not opened: {why}. {advice}",
        )

    def _passphrase_required(self) -> CertificateRefused:
        return CertificateRefused(
            "passphrase",
            "passphrase_required",
            f"The private key in {self.source} is encrypted: send its passphrase in 'passphrase'.",
        )

    def _wrong(self) -> CertificateRefused:
        ends = (self.passphrase or b"").endswith((b"\n", b"\r"))
        hint = " It ends with a line break: send it without." if ends else ""
        return CertificateRefused(
            "passphrase",
            "wrong_passphrase",
            f"The passphrase does not open the private key in {self.source} (or that key is damaged).{hint}",
        )

    def _unsupported(self, kind: UnsupportedKey) -> CertificateRefused:
        return CertificateRefused(
            self.source,
            "unsupported_algorithm",
            f"The private key is of a kind that is not supported: {kind}.",
        )

    def _damaged(self) -> CertificateRefused:
        return _invalid(
            self.source,
            f"{self.where} is a private key that is damaged: it was cut or changed on the way, or its "
            "numbers contradict each other.",
        )

    def _no_key(self, data: bytes) -> CertificateRefused:
        guess = guess_bytes(data)
        if guess.phrase == NOTHING_KNOWN:
            return _invalid(
                self.source,
                f"{self.where} is not a readable private key: it looks like {guess.phrase}. If it is "
                "one, it was damaged on the way: copy it again, whole.",
            )
        if guess.kind == "key":
            return self._damaged()
        return _invalid(
            self.source, f"{self.where} is not a private key: it looks like {guess.phrase}."
        )


def _blocks(text: str) -> list[PemBlock]:
    try:
        return scan(text)
    except PemFault as fault:
        raise _pem_fault("private_key", fault) from None


def _parameters(block: PemBlock) -> bytes | None:
    """A damaged block of parameters does no harm to a key that names its curve itself."""
    try:
        return block.decoded()
    except PemFault:
        return None


def _no_key_in(opened: Opened, blocks: Sequence[PemBlock]) -> CertificateRefused:
    guess = guess_opened(opened, blocks)
    if opened.is_damaged_base64 and guess.phrase == NOTHING_KNOWN:
        return CertificateRefused(
            "private_key",
            "invalid_base64",
            "private_key is not valid base64: it was cut or changed on the way. Copy it again.",
        )
    return _invalid(
        "private_key",
        f"private_key holds no private key: it looks like {guess.phrase}. "
        "Send PKCS#8, PKCS#1 or SEC1 in PEM ('-----BEGIN PRIVATE KEY-----').",
    )


def _pem_fault(field: Field, fault: PemFault) -> CertificateRefused:
    if fault.reason == "invalid_base64":
        return CertificateRefused(field, "invalid_base64", fault.message)
    return _invalid(field, fault.message)


def _invalid(field: Field, message: str) -> CertificateRefused:
    return CertificateRefused(field, "invalid_private_key", message)
