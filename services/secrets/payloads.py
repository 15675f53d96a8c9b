"""From the fields of a request to the plaintext fields of a value version, checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from services.common.errors import InternalError, UnavailableError
from services.secrets import values
from services.secrets.certificates import (
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    CertificateRefused,
)
from services.secrets.model import Metadata, Payload

if TYPE_CHECKING:
    from services.secrets.certificates import CertificateMaterial
    from services.secrets.model import FieldName, SecretType, SentPayload
    from services.secrets.ports import Certificates
    from services.secrets.values import Faults

DEFAULT_CERTIFICATE_TYPE: Final = "pem"


class Payloads:
    """Checks what is to be sealed; certificates are read by `certificates`, somewhere else."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    async def check(self, kind: SecretType, sent: SentPayload, faults: Faults) -> Payload | None:
        """The payload; None when something was wrong, which is in `faults` then.

        Raises UnavailableError when certificates cannot be read at present.
        """
        if kind == "string":
            value = values.string_value(sent, faults)
            return Payload({"value": value})
        if not values.certificate_fields(sent, faults):
            return None
        material = await self._read(sent, faults)
        return None if material is None else _payload(material)

    async def _read(self, sent: SentPayload, faults: Faults) -> CertificateMaterial | None:
        try:
            return await self._certificates.read(
                sent.certificate_content or "",
                sent.private_key,
                sent.passphrase,
                sent.certificate_type or DEFAULT_CERTIFICATE_TYPE,
                datetime.now(UTC),
            )
        except CertificateRefused as refused:
            faults.add(refused.field, refused.message, reason=refused.reason)
            return None
        except CertificateReaderUnavailable:
            raise UnavailableError from None
        except CertificateReaderFailed as failed:
            raise InternalError from failed


def _payload(material: CertificateMaterial) -> Payload:
    fields: dict[FieldName, bytes] = {"content": material.content}
    if material.private_key is not None:
        fields["private_key"] = material.private_key
    if material.passphrase is not None:
        fields["passphrase"] = material.passphrase
    metadata = cast("Metadata", material.metadata.to_json())
    return Payload(fields, material.certificate_type, metadata)
