"""The parameters of RSASSA-PSS, which say what a signature of that kind rests on (RFC 4055 section 3.1).

Read by ourselves, for certificates that the library reads and those it refuses alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from services.secrets.certificates.encodings import der

_SHA1: Final = "1.3.14.3.2.26"
_MGF1: Final = "1.2.840.113549.1.1.8"
_MD2, _MD4, _MD5 = (f"1.2.840.113549.2.{number}" for number in (2, 4, 5))
_SHA0: Final = "1.3.14.3.2.18"
_NIST: Final = "2.16.840.1.101.3.4.2"
_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    _MD5: hashes.MD5(),  # noqa: S303 - verified, and warned of
    _SHA1: hashes.SHA1(),  # noqa: S303
    f"{_NIST}.1": hashes.SHA256(),
    f"{_NIST}.2": hashes.SHA384(),
    f"{_NIST}.3": hashes.SHA512(),
    f"{_NIST}.4": hashes.SHA224(),
    f"{_NIST}.5": hashes.SHA512_224(),
    f"{_NIST}.6": hashes.SHA512_256(),
    f"{_NIST}.7": hashes.SHA3_224(),
    f"{_NIST}.8": hashes.SHA3_256(),
    f"{_NIST}.9": hashes.SHA3_384(),
    f"{_NIST}.10": hashes.SHA3_512(),
}
_WEAK: Final = frozenset({_MD2, _MD4, _MD5, _SHA0, _SHA1})
_DEFAULT_SALT: Final = 20
_MAX_SALT: Final = 2048  # octets; no key that is verified with has room for more
_TRAILER: Final = 1
_MEMBERS: Final = [der.context(number) for number in range(4)]


@dataclass(frozen=True, slots=True)
class PssParameters:
    """The numbers of the two hashes, of the message and of the mask, and the octets of salt."""

    digest: str
    mask_digest: str
    salt_octets: int

    @property
    def is_weak(self) -> bool:
        """Whether what was signed is a hash of SHA-1 or older; that of the mask proves nothing."""
        return self.digest in _WEAK

    def scheme(self) -> tuple[padding.PSS, hashes.HashAlgorithm]:
        """What a key verifies with. Raises UnsupportedAlgorithm for a hash that is not known here."""
        mask = padding.MGF1(_hash(self.mask_digest))
        return padding.PSS(mask, self.salt_octets), _hash(self.digest)


def read_pss(parameters: list[der.Element]) -> PssParameters:
    """RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0], maskGenAlgorithm [1], saltLength [2],
    trailerField [3] }, each EXPLICIT and with a default: SHA-1, MGF1 with SHA-1, 20, 1.

    Parameters that are absent or NULL, against the RFC, are all defaults. Raises ValueError for what
    are none, and UnsupportedAlgorithm for another mask than MGF1.
    """
    if len(parameters) > 1:
        raise ValueError("more than one set of parameters")
    is_absent = not parameters or parameters[0].tag == der.NULL
    members = [] if is_absent else parameters[0].members()
    tags = [member.tag for member in members]
    if tags != [tag for tag in _MEMBERS if tag in tags]:
        raise ValueError("no RSASSA-PSS-params")
    found = {member.tag: _only(member) for member in members}
    digest, mask, salt, trailer = (found.get(tag) for tag in _MEMBERS)
    octets = _DEFAULT_SALT if salt is None else salt.integer()
    if not 0 <= octets <= _MAX_SALT or (trailer is not None and trailer.integer() != _TRAILER):
        raise ValueError("a salt or trailer that nothing was signed with")
    return PssParameters(
        _SHA1 if digest is None else _number(digest),
        _SHA1 if mask is None else _mask_digest(mask),
        octets,
    )


def _mask_digest(mask: der.Element) -> str:
    """AlgorithmIdentifier of MGF1, whose parameter is the AlgorithmIdentifier of a hash."""
    if _number(mask) != _MGF1:
        raise UnsupportedAlgorithm("another mask generation function than MGF1")
    _, digest = mask.children()
    return _number(digest)


def _number(identifier: der.Element) -> str:
    """Of an AlgorithmIdentifier, whose parameters (NULL or none) tell nothing."""
    members = identifier.members()
    if not members:
        raise ValueError("an empty AlgorithmIdentifier")
    return members[0].oid()


def _only(member: der.Element) -> der.Element:
    (inner,) = member.children()
    return inner


def _hash(number: str) -> hashes.HashAlgorithm:
    if number not in _DIGESTS:
        raise UnsupportedAlgorithm("a hash that is not known here")
    return _DIGESTS[number]
