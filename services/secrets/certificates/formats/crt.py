"""certificate_type `crt` and `cer`: PEM text, or one certificate in DER (RFC 5280) or BER.

Windows, Java and OpenSSL use both names for both forms, so the content decides.
"""

from typing import Final

from services.secrets.certificates.contents import Contents
from services.secrets.certificates.encodings.outline import shape_of
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.formats.one_certificate import certificate_of, without_padding
from services.secrets.certificates.formats.other_kind import Declared, no_such_structure, refused
from services.secrets.certificates.formats.pem import read_blocks
from services.secrets.certificates.keys.encryption import Budget

_CRT: Final = Declared(
    "a certificate in PEM or DER",
    "With certificate_type 'crt' or 'cer' send PEM text, or base64 of a DER certificate.",
)


def read_crt(opened: Opened, passphrase: bytes | None, budget: Budget) -> Contents:
    """The certificate, or everything that `pem` reads when it is text. Raises CertificateRefused."""
    if opened.data is None:
        return read_blocks(_CRT, opened, passphrase, budget)
    if shape_of(opened.data) != "certificate":
        raise no_such_structure(_CRT, opened)
    try:
        certificate, is_ber = certificate_of(without_padding(opened.data))
    except ValueError:
        raise refused(
            "malformed",
            "certificate_content begins like a DER certificate but is none: it was cut or changed on "
            "the way. Send the whole file in base64.",
        ) from None
    return Contents((certificate,), is_ber=is_ber)
