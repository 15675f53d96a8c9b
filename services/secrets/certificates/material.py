"""Certificate material that was read and found usable, ready to be sealed."""

from dataclasses import dataclass, field

from services.secrets.certificates.facts.metadata import CertificateMetadata


@dataclass(frozen=True, slots=True)
class CertificateMaterial:
    """What to store: three secret fields exactly as sent, their normal form, and public metadata.

    `private_key` is the field of that name; a key that came inside `content` stays only there
    (`metadata.has_private_key` is true for both). An empty passphrase is stored as none.
    Promised: the certificates parse, a key that is present opens with the passphrase and belongs
    to the leaf. Not promised: that anybody trusts the chain, or that it is valid now.
    `normal_form` is what `normal_form.read` takes apart; its private key is not encrypted.
    Secret bytes are kept out of repr.
    """

    certificate_type: str
    content: bytes = field(repr=False)
    private_key: bytes | None = field(repr=False)
    passphrase: bytes | None = field(repr=False)
    normal_form: bytes = field(repr=False)
    metadata: CertificateMetadata
