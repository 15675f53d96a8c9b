"""Opening a stored value with the data key that kms gave, or did not give. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common.envelope import CannotOpenError
from services.common.errors import CofferError, InternalError, KeyRevokedError, TenantSealedError
from services.secrets import sealing
from services.secrets.model import KeyFault, KeySealed

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.identity import Call
    from services.common.sensitive import SecretBytes
    from services.secrets.model import FieldName, SealedAnswer
    from services.secrets.ports import Observer
    from services.secrets.versions import StoredValue


def open_value(
    tenant_id: UUID,
    stored: SealedAnswer | StoredValue,
    key: SecretBytes | KeyFault | KeySealed,
    observer: Observer,
    call: Call,
) -> dict[FieldName, bytes]:
    """Every field in clear; `key` is wiped. What is damaged is told to `observer`, as asked for by `call`.

    Raises KeyRevokedError, TenantSealedError, and InternalError for what is damaged.
    """
    where = "data key"
    if isinstance(key, KeySealed):
        raise TenantSealedError(reason=key.reason)
    if not isinstance(key, KeyFault):
        try:
            return sealing.open_(tenant_id, stored, key)
        except CannotOpenError:
            key, where = KeyFault.DAMAGED, "value"
    if key is KeyFault.DAMAGED:
        observer.cannot_open(tenant_id, stored.value.key.id, where, call=call)
    raise _fault(key) from None


def _fault(fault: KeyFault) -> CofferError:
    if fault is KeyFault.REVOKED:
        return KeyRevokedError("The key version that protected this value was revoked.")
    return TenantSealedError() if fault is KeyFault.SEALED else InternalError()
