"""New values of secrets, each sealed under a data key of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.common.errors import UnavailableError, ValidationError, VersionMismatchError
from services.secrets import sealing, values
from services.secrets.grouping import DATABASE_PLACES
from services.secrets.missing import no_secret, path_id
from services.secrets.model import NewValue, StaleKeyVersionError, StaleVersionError
from services.secrets.shares import Room, Shares
from services.secrets.turns import Turns
from services.secrets.values import Faults

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.identity import Call
    from services.secrets.data_keys import DataKeyPool
    from services.secrets.model import Payload, PutRequest, Standing, StoredVersion
    from services.secrets.payloads import Payloads
    from services.secrets.ports import Values

_PUT_TRIES: Final = 8
"""How often another writer or a rotation may come first before we give up."""
_WRITES_EACH: Final = 2
"""Changes of one tenant's secrets in the database at a time; an audit chain is written in a row."""
_WRITES_WAITING: Final = Room(calls=512)
_ALL_WRITES_WAITING: Final = Room(calls=4096)


def write_places() -> Shares:
    """Places in the database for changes of what is stored already: new values, deletions..."""
    return Shares(
        DATABASE_PLACES,
        each=_WRITES_EACH,
        waiting=_WRITES_WAITING,
        all_waiting=_ALL_WRITES_WAITING,
    )


class Writer:
    """Stores new values. Every method acts for the call's tenant."""

    def __init__(
        self, store: Values, pool: DataKeyPool, payloads: Payloads, places: Shares
    ) -> None:
        self._store = store
        self._pool = pool
        self._payloads = payloads
        self._places = places
        self._writers: Turns[tuple[UUID, UUID]] = Turns()

    async def put(self, call: Call, request: PutRequest) -> StoredVersion:
        """Store a new value of a secret in one environment.

        Raises not_found, validation_error, version_mismatch, tenant_sealed, unavailable.
        """
        secret_id = path_id(request.id)
        standing = await self._store.standing(call.tenant, secret_id, None)
        if standing is None:
            raise no_secret()
        faults = Faults()
        environment = values.environment(request.environment, faults)
        payload = await self._payloads.check(
            call.tenant, standing.secret_type, request.payload, faults
        )
        if environment is not None and "environment" not in faults:
            standing = await self._store.standing(call.tenant, secret_id, environment)
            if standing is None:
                raise no_secret()
            if standing.environment is None:
                faults.add("environment", values.NO_ENVIRONMENT)
        faults.raise_any()
        assert payload is not None
        async with self._writers.of((call.tenant, secret_id)):
            return await self._put(call, secret_id, request, payload)

    async def _put(
        self, call: Call, secret_id: UUID, request: PutRequest, payload: Payload
    ) -> StoredVersion:
        """Seal for the version after the current one; begin again when another writer was faster."""
        for _ in range(_PUT_TRIES):
            standing = await self._store.standing(call.tenant, secret_id, request.environment)
            if standing is None:
                raise no_secret()
            if request.if_match is not None and request.if_match != standing.value_version:
                raise VersionMismatchError(
                    f"The current version is {standing.value_version}, not {request.if_match}."
                )
            try:
                stored = await self._write(call, secret_id, standing, payload)
            except (StaleVersionError, StaleKeyVersionError):
                continue
            if stored is None:
                raise no_secret()
            return stored
        raise UnavailableError("Too many writers of this value, or rotations, at once.")

    async def _write(
        self, call: Call, secret_id: UUID, standing: Standing, payload: Payload
    ) -> StoredVersion | None:
        if standing.environment is None:
            raise ValidationError.of("environment", values.NO_ENVIRONMENT)
        key = await self._pool.take(call.tenant)
        version = standing.value_version + 1
        environment = standing.environment
        value = NewValue(
            call=call,
            secret_id=secret_id,
            environment=environment,
            replaces=standing.value_version,
            value=sealing.seal(key, call.tenant, secret_id, environment.id, version, payload),
            certificate=payload.certificate,
        )
        try:
            async with self._places.of(call.tenant):
                return await self._store.put(call.tenant, value)
        except StaleKeyVersionError:
            self._pool.drop(call.tenant)
            raise
