"""The one door: text as sent goes in, certificate material or a refusal comes out.

Synchronous, deterministic and without I/O. It may hold the interpreter lock for as long as a key
derivation takes, so a service calls it through `reader.CertificateReader`, never directly.
"""

import warnings
from datetime import datetime
from typing import Final

from services.secrets.certificates import normal_form
from services.secrets.certificates.contents import ContentReader, Contents
from services.secrets.certificates.encodings.transfer import Opened, open_transfer
from services.secrets.certificates.facts.bundle import assemble
from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.facts.findings import ber_encoding, findings
from services.secrets.certificates.facts.key_facts import describe_key_alone
from services.secrets.certificates.facts.metadata import CertificateMetadata, LeafFacts
from services.secrets.certificates.formats.crt import read_crt
from services.secrets.certificates.formats.key import read_key
from services.secrets.certificates.formats.pem import read_pem
from services.secrets.certificates.formats.pkcs7 import read_pkcs7
from services.secrets.certificates.formats.pkcs12 import read_pkcs12
from services.secrets.certificates.keys.encryption import Budget, KeyEncryption
from services.secrets.certificates.keys.opening import OpenedKey, open_private_key
from services.secrets.certificates.keys.pairing import BoundToPss, paired
from services.secrets.certificates.material import CertificateMaterial
from services.secrets.certificates.refusal import CertificateRefused, Field
from services.secrets.certificates.sent import Sent, check_sent

_READERS: Final[dict[str, ContentReader]] = {
    "pem": read_pem,
    "crt": read_crt,
    "cer": read_crt,
    "pfx": read_pkcs12,
    "p12": read_pkcs12,
    "pkcs7": read_pkcs7,
    "p7b": read_pkcs7,
    "p7c": read_pkcs7,
    "key": read_key,
}

SUPPORTED_TYPES: Final = frozenset(_READERS)
"""The values of `certificate_type` that this version reads."""


def read_certificate(
    content: str,
    private_key: str | None,
    passphrase: str | None,
    certificate_type: str,
    now: datetime,
) -> CertificateMaterial:
    """Reads what `POST /v1/secrets/certificate` was sent (API.md section 4).

    `now` is aware and decides the warnings about dates. An empty passphrase counts as none.
    Raises CertificateRefused for every input that cannot be used, and nothing else.
    Python's warnings are silenced meanwhile, which is process-wide: not for several threads.
    """
    sent = check_sent(content, private_key, passphrase, certificate_type, SUPPORTED_TYPES)
    return read_sent(sent, now)


def read_sent(sent: Sent, now: datetime) -> CertificateMaterial:
    """The same for fields that passed `check_sent`. Raises ValueError for a naive `now`."""
    if now.tzinfo is None:
        raise ValueError("now must be an aware datetime")
    with warnings.catch_warnings():
        # cryptography warns of odd but readable certificates; what matters is in the metadata
        warnings.simplefilter("ignore")
        return _read(sent, now)


def _read(sent: Sent, now: datetime) -> CertificateMaterial:
    opened = open_transfer(sent.content.decode())
    budget = Budget()
    contents = _contents(sent, opened, budget)
    keys = _keys(sent, contents.keys, budget)
    if not contents.certificates:
        return _key_alone(sent, contents, keys[0])
    keys_from: Field = "certificate_content" if sent.private_key is None else "private_key"
    bundle = assemble(
        contents.certificates,
        keys,
        now,
        keys_from=keys_from,
        is_unordered=contents.is_unordered,
    )
    key = bundle.key
    metadata = LeafFacts(bundle.leaf).describe(
        has_private_key=key is not None,
        has_passphrase=sent.passphrase is not None,
        chain_length=len(bundle.certificates),
        warnings=findings(
            bundle,
            _encryptions(contents, keys),
            now,
            is_ber=contents.is_ber,
            is_unordered=contents.is_unordered,
        ),
    )
    path = [contents.certificates[at].der for at in bundle.path.positions]
    pkcs8 = _paired(key, bundle.leaf, keys_from) if key else None
    return _material(sent, normal_form.write(path, pkcs8), metadata)


def _paired(key: OpenedKey, leaf: Certificate, keys_from: Field) -> bytes:
    try:
        return paired(key.pkcs8, leaf.structure.key)
    except BoundToPss:
        raise CertificateRefused(
            keys_from,
            "key_mismatch",
            "The private key is bound to RSASSA-PSS, but the certificate is for RSA keys without that "
            "restriction, and no TLS library takes the two together. Request the certificate for an "
            "RSASSA-PSS key, or send the key without the restriction.",
        ) from None


def _contents(sent: Sent, opened: Opened, budget: Budget) -> Contents:
    reader = _READERS[sent.certificate_type]
    try:
        return reader(opened, sent.passphrase, budget)
    except CertificateRefused as refusal:
        if refusal.field != "passphrase" or sent.private_key is None or reader is read_pkcs12:
            raise
        raise CertificateRefused(
            refusal.field,
            refusal.reason,
            f"{refusal.message} If it is the key in private_key too, leave it out of certificate_content.",
        ) from None


def _keys(sent: Sent, inside: tuple[OpenedKey, ...], budget: Budget) -> tuple[OpenedKey, ...]:
    """The keys that may be the leaf's: the one of the field `private_key` rules."""
    if sent.private_key is None:
        return inside
    key = open_private_key(sent.private_key.decode(), sent.passphrase, budget)
    if inside and all(other.public_key != key.public_key for other in inside):
        raise CertificateRefused(
            "private_key",
            "key_mismatch",
            "private_key is not the key that certificate_content holds. Send one of the two only.",
        )
    return (key,)


def _encryptions(contents: Contents, keys: tuple[OpenedKey, ...]) -> list[KeyEncryption]:
    """Of the container, and of every private key that is stored."""
    of_keys = (key.encryption for key in (*contents.keys, *keys))
    return [*contents.encryptions, *(found for found in of_keys if found is not None)]


def _key_alone(sent: Sent, contents: Contents, key: OpenedKey) -> CertificateMaterial:
    metadata = describe_key_alone(
        key, has_passphrase=sent.passphrase is not None, warnings=ber_encoding(contents.is_ber)
    )
    return _material(sent, normal_form.write((), key.pkcs8), metadata)


def _material(sent: Sent, normal: bytes, metadata: CertificateMetadata) -> CertificateMaterial:
    return CertificateMaterial(
        sent.certificate_type, sent.content, sent.private_key, sent.passphrase, normal, metadata
    )
