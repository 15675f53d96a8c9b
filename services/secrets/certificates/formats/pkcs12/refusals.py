"""Why a PKCS#12 was refused, in words for the person who sent it."""

from typing import Final

from services.secrets.certificates.formats.other_kind import refused
from services.secrets.certificates.formats.pkcs12.bags import Bags
from services.secrets.certificates.refusal import CertificateRefused

PRIVATE_KEY: Final = "private key"
CERTIFICATES: Final = "part with the certificates"

_AGAIN: Final = (
    "Export it again, for example with 'openssl pkcs12 -export -in <PEM file> -out <file>'."
)


def damaged() -> CertificateRefused:
    """The structure is broken."""
    return refused(
        "malformed",
        "certificate_content is a PKCS#12 file, but it is damaged or was cut short. Copy it again, whole.",
    )


def contradictory() -> CertificateRefused:
    """The passphrase decrypts what is inside, but did not make the MAC over it."""
    return refused(
        "malformed",
        "The passphrase decrypts the PKCS#12 file, but the file's checksum (MAC) does not match: the file is "
        f"damaged, or it was written with two different passphrases. {_AGAIN}",
    )


def unreadable_certificate(number: int, total: int) -> CertificateRefused:
    """What stands in a bag for X.509 certificates is none."""
    which = "The certificate" if total == 1 else f"Certificate {number} of {total}"
    return refused(
        "malformed", f"{which} in the PKCS#12 file is no X.509 certificate. Export it again."
    )


def unreadable_key() -> CertificateRefused:
    """What stands in a bag for private keys is none, or a damaged one."""
    return refused(
        "invalid_private_key",
        "A private key in the PKCS#12 file is damaged, or its numbers contradict each other. Export it "
        "again.",
    )


def unsupported(what: str) -> CertificateRefused:
    """`what` goes on after a colon and names the method or the price."""
    return refused("unsupported_algorithm", f"The PKCS#12 file was not opened: {what}. {_AGAIN}")


def too_dear(what: str) -> CertificateRefused:
    """`what` goes on after a colon and names the limit."""
    return refused(
        "unsupported_algorithm",
        f"The PKCS#12 file was not opened: {what}. Export it again with fewer iterations (600000 are "
        "plenty), or with fewer private keys.",
    )


def without_certificate(bags: Bags) -> CertificateRefused:
    """Nothing in it is an X.509 certificate; `bags` says what else is."""
    counted = ((len(bags.keys), "private keys"), (bags.others, "entries of other kinds"))
    found = " and ".join(f"{noun} ({count})" for count, noun in counted if count)
    return refused(
        "no_certificate",
        f"The PKCS#12 file holds no X.509 certificate, but {found or 'nothing at all'}. "
        "Export it again together with the certificate.",
    )


def locked(passphrase: bytes | None, bags: Bags) -> CertificateRefused:
    """The MAC or what is encrypted shows that the passphrase is not the right one, or is missing."""
    if passphrase:
        hint = (
            " It ends with a line break: send it without."
            if passphrase.endswith((b"\n", b"\r"))
            else ""
        )
        return CertificateRefused(
            "passphrase",
            "wrong_passphrase",
            f"The passphrase does not open the PKCS#12 file (or the file is damaged).{hint}",
        )
    if bags.is_for_windows_accounts:
        return CertificateRefused(
            "passphrase",
            "passphrase_required",
            "The PKCS#12 file can be opened without a passphrase only by the Windows accounts that it was "
            "exported for. Export it again with a password, and send that in 'passphrase'.",
        )
    return CertificateRefused(
        "passphrase",
        "passphrase_required",
        "The PKCS#12 file is protected with a passphrase: send it in 'passphrase'.",
    )


def locked_inside(what: str, passphrase: bytes | None) -> CertificateRefused:
    """The MAC was made with the passphrase, but what is inside is encrypted with another one."""
    given = "The passphrase opens the PKCS#12 file" if passphrase else "The PKCS#12 file opens"
    return CertificateRefused(
        "passphrase",
        "wrong_passphrase" if passphrase else "passphrase_required",
        f"{given}, but the {what} in it has another passphrase. Give both the same one (in a Java "
        "keystore with 'keytool -keypasswd'), or export it again.",
    )
