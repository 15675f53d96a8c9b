"""What a tenant's client API does, as a small model in memory: the same answers, without a database.

Written from the wire contract and from nothing else. An expected answer is a status and, for a refusal, its
code; what a success shows is compared by the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Answer = tuple[int, str | None]

OK: Answer = (200, None)
CREATED: Answer = (201, None)
NOT_FOUND: Answer = (404, "not_found")
CONFLICT: Answer = (409, "conflict")
INVALID: Answer = (400, "validation_error")
NOT_DELETED: Answer = (409, "invalid_state")
MISMATCH: Answer = (412, "version_mismatch")

DEFAULT = "production"


@dataclass
class Secret:
    """One secret: its values by environment and version, and the counters that outlive them."""

    name: str
    base: str
    lost_base: bool = False
    description: str | None = None
    collection: str | None = None
    deleted: bool = False
    values: dict[str, dict[int, str]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def store(self, environment: str, value: str) -> int:
        """The version that the value gets."""
        version = self.counters.get(environment, 0) + 1
        self.counters[environment] = version
        self.values.setdefault(environment, {})[version] = value
        return version

    def current(self, environment: str) -> int:
        """0 where there is no value."""
        return max(self.values.get(environment, {}), default=0)


@dataclass
class Tenant:
    """Everything of one tenant, by the ids that the service gave."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    environments: dict[str, str] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Ids of what there was."""

    # Looking

    def live(self) -> dict[str, Secret]:
        return {key: secret for key, secret in self.secrets.items() if not secret.deleted}

    def named(self, name: str) -> Secret | None:
        return next((secret for secret in self.live().values() if secret.name == name), None)

    def find(self, secret_id: str) -> Secret | None:
        """A live one."""
        return self.live().get(secret_id)

    # Secrets

    def create(self, name: str, environment: str | None, collection: str | None) -> Answer:
        if environment not in {None, *self.environments.values()}:
            return INVALID
        if collection is not None and collection not in self.collections:
            return INVALID
        return CONFLICT if self.named(name) else CREATED

    def created(
        self, key: str, name: str, value: str, environment: str | None, collection: str | None
    ) -> None:
        secret = Secret(name, environment or DEFAULT, collection=collection)
        secret.store(secret.base, value)
        self.secrets[key] = secret

    def rename(self, secret_id: str, name: str) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        holder = self.named(name)
        if holder is not None and holder is not secret:
            return CONFLICT
        secret.name = name
        return OK

    def describe(self, secret_id: str, text: str | None) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        secret.description = text
        return OK

    def collect(self, secret_id: str, collection: str | None) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if collection is not None and collection not in self.collections:
            return INVALID
        secret.collection = collection
        return OK

    def put(self, secret_id: str, value: str, environment: str | None, match: int | None) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if environment not in {None, *self.environments.values()}:
            return INVALID
        if match is not None and match != secret.counters.get(environment or secret.base, 0):
            return MISMATCH
        secret.store(environment or secret.base, value)
        return OK

    def restore_version(self, secret_id: str, environment: str, version: int) -> Answer:
        secret = self.find(secret_id)
        if secret is None or version not in secret.values.get(environment, {}):
            return NOT_FOUND
        secret.store(environment, secret.values[environment][version])
        return OK

    def remove(self, secret_id: str, environment: str) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        if environment == secret.base:
            return CONFLICT
        if not secret.values.get(environment):
            return NOT_FOUND
        del secret.values[environment]
        return OK

    def delete(self, secret_id: str) -> Answer:
        secret = self.find(secret_id)
        if secret is None:
            return NOT_FOUND
        secret.deleted = True
        return OK

    def undelete(self, secret_id: str, base: str | None = None) -> Answer:
        secret = self.secrets.get(secret_id)
        if secret is None:
            return NOT_FOUND
        if not secret.deleted:
            return NOT_DELETED
        if self.named(secret.name) or (base is None and secret.lost_base):
            return CONFLICT
        if base is not None:
            if not secret.values.get(base) or not (secret.lost_base or base == secret.base):
                return INVALID
            secret.base = base
        secret.deleted = secret.lost_base = False
        return OK

    # Groups

    def make_environment(self, name: str) -> Answer:
        return CONFLICT if name in self.environments.values() else CREATED

    def drop_environment(self, environment_id: str) -> Answer:
        name = self.environments.get(environment_id)
        if name is None:
            return NOT_FOUND
        if name == DEFAULT or any(secret.values.get(name) for secret in self.live().values()):
            return CONFLICT
        del self.environments[environment_id]
        self.gone.add(environment_id)
        for key, secret in list(self.secrets.items()):
            self._without(key, secret, name)
        return OK

    def _without(self, key: str, secret: Secret, environment: str) -> None:
        """Values of deleted secrets go with an environment; one without any value is gone."""
        secret.values.pop(environment, None)
        secret.counters.pop(environment, None)
        if secret.base != environment:
            return
        left = sorted((name != DEFAULT, name) for name, kept in secret.values.items() if kept)
        if left:
            secret.base, secret.lost_base = left[0][1], True
        else:
            del self.secrets[key]
            self.gone.add(key)

    def make_collection(self, name: str) -> Answer:
        return CONFLICT if name in self.collections.values() else CREATED

    def drop_collection(self, collection_id: str) -> Answer:
        if self.collections.pop(collection_id, None) is None:
            return NOT_FOUND
        self.gone.add(collection_id)
        for secret in self.secrets.values():
            if secret.collection == collection_id:
                secret.collection = None
        return OK
