"""The store on PostgreSQL: constant, prepared statements through psycopg, array-shaped where hot."""

from services.secrets.store.accesses import PostgresAccesses
from services.secrets.store.collections import PostgresCollections
from services.secrets.store.data_keys import PostgresStaleKeys
from services.secrets.store.environments import PostgresEnvironments
from services.secrets.store.secrets import PostgresSecrets
from services.secrets.store.values import PostgresValues

__all__ = [
    "PostgresAccesses",
    "PostgresCollections",
    "PostgresEnvironments",
    "PostgresSecrets",
    "PostgresStaleKeys",
    "PostgresValues",
]
