"""Papers that kms signs for people outside: who reads them needs the platform's public keys alone."""

from services.kms.papers.receipts import RECEIPT_TYPE, receipt_statement
from services.kms.papers.signing import Papers, PublicKey, payload_of

__all__ = ["RECEIPT_TYPE", "Papers", "PublicKey", "payload_of", "receipt_statement"]
