"""The store on PostgreSQL: constant, prepared statements through psycopg, array-shaped where hot."""

from services.secrets.store.accesses import PostgresAccesses
from services.secrets.store.account import PostgresAccounts
from services.secrets.store.api_keys import PostgresApiKeys
from services.secrets.store.audit_logs import PostgresAuditLogs
from services.secrets.store.changes import PostgresSecretChanges
from services.secrets.store.closed import PostgresClosedEnvironments
from services.secrets.store.collections import PostgresCollections
from services.secrets.store.data_keys import PostgresStaleKeys
from services.secrets.store.environments import PostgresEnvironments
from services.secrets.store.overdue import PostgresOverdue, PostgresPurges
from services.secrets.store.secrets import PostgresSecrets
from services.secrets.store.values import PostgresValues
from services.secrets.store.verifying import PostgresSamples

__all__ = [
    "PostgresAccesses",
    "PostgresAccounts",
    "PostgresApiKeys",
    "PostgresAuditLogs",
    "PostgresClosedEnvironments",
    "PostgresCollections",
    "PostgresEnvironments",
    "PostgresOverdue",
    "PostgresPurges",
    "PostgresSamples",
    "PostgresSecretChanges",
    "PostgresSecrets",
    "PostgresStaleKeys",
    "PostgresValues",
]
