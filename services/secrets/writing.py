"""New values of secrets, each sealed under a data key of its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import UnavailableError, ValidationError, VersionMismatchError
from services.secrets import sealing, trying, values
from services.secrets.grouping import DATABASE_PLACES
from services.secrets.missing import no_secret, no_version, path_id
from services.secrets.model import NewValue, StaleKeyVersionError, StaleVersionError
from services.secrets.shares import Room, Shares
from services.secrets.turns import Turns
from services.secrets.values import Faults

if TYPE_CHECKING:
    from uuid import UUID

    from services.common.identity import Call
    from services.secrets.data_keys import DataKeyPool
    from services.secrets.model import Environment, Payload, PutRequest, Standing, StoredVersion
    from services.secrets.payloads import Payloads
    from services.secrets.ports import Values

_WRITES_EACH: Final = 1
"""Changes of one tenant in the database at a time: they are in a row at its audit head anyway, and who waits
for a lock there keeps a place from the others."""
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


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value is to be stored (None: in the base environment), and over which version if one is named.

    Version 0 says that there must be no value.
    """

    secret_id: UUID
    environment: str | None
    if_match: int | None

    def place(self, standing: Standing | None) -> Environment:
        """The environment, if all is as it must be. Raises not_found, validation_error, version_mismatch."""
        if standing is None:
            raise no_secret()
        if standing.environment is None:
            raise ValidationError.of("environment", values.NO_ENVIRONMENT)
        if self.if_match is not None and self.if_match != standing.current:
            now = f"version {standing.current}" if standing.current else "no value"
            raise VersionMismatchError(
                f"If-Match says {self.if_match}, but there is {now}. Look at it and try again."
            )
        return standing.environment


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
        target = Target(secret_id, request.environment, request.if_match)
        return await self.write(call, target, payload)

    async def write(
        self, call: Call, target: Target, payload: Payload, *, restores: int | None = None
    ) -> StoredVersion:
        """Store a checked payload, which is that of version `restores` if it is one of before.

        Raises as `put`, and not_found when what it restores was removed meanwhile.
        """
        async with self._writers.of((call.tenant, target.secret_id)):
            for attempt in range(trying.TRIES):
                await trying.pause(attempt)
                # Another writer may be faster, and a rotation: then it begins again.
                with contextlib.suppress(StaleVersionError, StaleKeyVersionError):
                    return await self._try(call, target, payload, restores)
        raise UnavailableError("Too many writers of this value, or rotations, at once.")

    async def _try(
        self, call: Call, target: Target, payload: Payload, restores: int | None
    ) -> StoredVersion:
        standing = await self._store.standing(call.tenant, target.secret_id, target.environment)
        environment = target.place(standing)
        assert standing is not None
        # Read again: it may have been removed since it was opened, even if there is a new value by now.
        if restores is not None and not await self._store.stored(
            call.tenant, target.secret_id, environment.id, restores
        ):
            raise no_version()
        version = standing.value_version + 1
        key = await self._pool.take(call.tenant)
        value = NewValue(
            call=call,
            secret_id=target.secret_id,
            environment=environment,
            replaces=standing.value_version,
            value=sealing.seal(
                key, call.tenant, target.secret_id, environment.id, version, payload
            ),
            certificate=payload.certificate,
            only_over_a_value=bool(target.if_match) or restores is not None,
            restores=restores,
        )
        return await self._store_it(call, value)

    async def _store_it(self, call: Call, value: NewValue) -> StoredVersion:
        try:
            async with self._places.of(call.tenant):
                stored = await self._store.put(call.tenant, value)
        except StaleKeyVersionError:
            self._pool.drop(call.tenant)
            raise
        if stored is None:
            raise no_secret()
        return stored
