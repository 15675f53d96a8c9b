"""What every reader of a format hands over, and how it is asked."""

from collections.abc import Callable
from dataclasses import dataclass

from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.keys.encryption import Budget, KeyEncryption
from services.secrets.certificates.keys.opening import OpenedKey


@dataclass(frozen=True, slots=True)
class Contents:
    """Certificates in the order in which they came, and the private keys that stood beside them.

    Without a certificate there is exactly one key (certificate_type `key`). `encryptions` are those of
    the container itself, such as of a PKCS#12; a key's own is its own. `is_ber`: the container was not DER.
    `is_unordered`: the format keeps no order (a PKCS#7's SET), so that none can be wrong.
    """

    certificates: tuple[Certificate, ...]
    keys: tuple[OpenedKey, ...] = ()
    encryptions: tuple[KeyEncryption, ...] = ()
    is_ber: bool = False
    is_unordered: bool = False


ContentReader = Callable[[Opened, bytes | None, Budget], Contents]
"""(`certificate_content` without its transfer encoding, passphrase in UTF-8, what opening keys may cost) to
Contents; raises CertificateRefused and nothing else."""
