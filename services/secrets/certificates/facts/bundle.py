"""Which of several certificates is meant, whether the key is its key, and how the chain holds.

Whatever the container (PEM, PKCS#7, PKCS#12...), the reader of that format hands over certificates
in the order in which they came, and the private keys that came along.
RFC 8446 section 4.4.2: the leaf comes first and each certificate certifies the one before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from services.secrets.certificates.facts.certificate import Certificate
from services.secrets.certificates.facts.leaf import Leaves
from services.secrets.certificates.facts.links import Links
from services.secrets.certificates.facts.path import Path, path_from
from services.secrets.certificates.keys.opening import OpenedKey
from services.secrets.certificates.refusal import Field


@dataclass(frozen=True, eq=False)  # no slots: what is found out once is kept
class Bundle:
    """The certificates as they came, what signed what, and the way from the leaf upwards.

    Extra certificates are not an error. `key` is the leaf's, if there is one.
    """

    certificates: tuple[Certificate, ...]
    links: Links
    path: Path
    key: OpenedKey | None

    @property
    def leaf_at(self) -> int:
        """The position of the leaf."""
        return self.path.positions[0]

    @property
    def leaf(self) -> Certificate:
        """The certificate that the metadata is about."""
        return self.certificates[self.leaf_at]

    @cached_property
    def has_unreached(self) -> bool:
        """Whether a certificate is neither on the path nor a copy of one that is."""
        on_path = {self.certificates[at].der for at in self.path.positions}
        return any(certificate.der not in on_path for certificate in self.certificates)


def assemble(
    certificates: Sequence[Certificate],
    keys: Sequence[OpenedKey],
    now: datetime,
    *,
    keys_from: Field = "certificate_content",
    is_unordered: bool = False,
) -> Bundle:
    """Finds the leaf and follows its issuers. `certificates` is not empty, `now` is aware.

    With keys, the leaf is the first end-entity certificate that one of them belongs to, or else the first
    CA: the first certificate of the file, or one that issued no other certificate of the file.
    Without a key it is the first certificate, unless that is a CA: then it is an end-entity certificate
    below that one, or else the first end-entity certificate. A file of CAs is about its first; where the
    format keeps no order, about one that issued none of the others. There, "the first" of several
    is one that is valid `now`, or else the last to expire.
    Raises CertificateRefused (`key_mismatch` of the field `keys_from`, or `unsupported_algorithm` when
    the only candidate's key cannot be read and so not be compared).
    """
    links = Links(certificates)
    leaves = Leaves(certificates, links, now if is_unordered else None)
    key = None
    if keys:
        leaf_at, key = leaves.of_keys(keys, keys_from)
        path = path_from(leaf_at, certificates, links)
    else:
        path = leaves.of_file()
    return Bundle(tuple(certificates), links, path, key)
