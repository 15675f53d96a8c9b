"""Key rings in PostgreSQL, through psycopg: the only part of kms that knows SQL.

Every transaction is held to its tenant. Lock order: key ring, ring row, bindings and keys, lease, audit head.
A change takes the ring in a statement of its own, so that the next one sees what its last holder committed.
"""

from services.kms.store.audit_heads import AuditHeadStore
from services.kms.store.counting import Counting
from services.kms.store.platform_keys import PlatformStore
from services.kms.store.revocations import Revocations
from services.kms.store.rewrap_reports import StoredReports
from services.kms.store.store import Store

__all__ = ["AuditHeadStore", "Counting", "PlatformStore", "Revocations", "Store", "StoredReports"]
