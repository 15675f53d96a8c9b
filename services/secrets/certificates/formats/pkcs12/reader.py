"""The door: a file that was declared as PKCS#12 goes in, its contents or the reason why not come out."""

from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings.armor import PemBlock, PemFault, scan
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.formats.other_kind import Declared, other_kind, refused
from services.secrets.certificates.formats.pkcs12 import refusals
from services.secrets.certificates.formats.pkcs12.structure import NotPkcs12, read_pfx
from services.secrets.certificates.formats.pkcs12.unpacking import unpack
from services.secrets.certificates.keys.encryption import EncryptionRefused

_PKCS12: Final = Declared(
    "a PKCS#12 file",
    "With certificate_type 'pfx' or 'p12' send base64 of the .pfx or .p12 file.",
)
_SHAPE: Final = "pkcs12"
_LABEL: Final = "PKCS12"
"""In which certtool of GnuTLS writes it."""


def read_pkcs12(opened: Opened, passphrase: bytes | None) -> Contents:
    """All X.509 certificates and private keys of the file, in its order.

    Revocation lists, other secrets and attributes are kept in the file and not looked at.
    Raises CertificateRefused.
    """
    data = _data(opened)
    try:
        return unpack(read_pfx(data), passphrase)
    except NotPkcs12:
        raise other_kind(_PKCS12, Opened(data=data)) from None
    except EncryptionRefused as refusal:
        raise refusals.unsupported(str(refusal)) from None
    except (ValueError, IndexError):
        if shape_of(data) != _SHAPE:
            raise other_kind(_PKCS12, Opened(data=data)) from None
    raise refusals.damaged()


def _data(opened: Opened) -> bytes:
    """The bytes of the file: as they came, or out of the one PEM block in which GnuTLS puts them."""
    if opened.data is not None:
        return opened.data
    try:
        blocks = scan(opened.text or "")
    except PemFault as fault:
        raise refused(fault.reason, fault.message) from None
    if [block.label for block in blocks] != [_LABEL]:
        raise other_kind(_PKCS12, opened, blocks)
    return _decoded(blocks[0])


def _decoded(block: PemBlock) -> bytes:
    try:
        return block.decoded()
    except PemFault as fault:
        raise refused(fault.reason, fault.message) from None
