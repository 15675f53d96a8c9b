"""Leases and lanes in PostgreSQL. Every method is one transaction, held to one tenant.

Who may do what to a lease is decided by its row: a lane's `fence` says who holds it, the lease's `state`
whether it runs. A statement that finds neither as expected changes nothing, and says so.
"""

from services.rewrap.store.engine import PostgresLeaseStore
from services.rewrap.store.reader import PostgresLeaseReader
from services.rewrap.store.rows import CHANNEL
from services.rewrap.store.steering import PostgresSteering
from services.rewrap.store.watch import PostgresLeaseWatch

__all__ = [
    "CHANNEL",
    "PostgresLeaseReader",
    "PostgresLeaseStore",
    "PostgresLeaseWatch",
    "PostgresSteering",
]
