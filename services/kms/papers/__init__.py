"""Papers that kms signs for people outside: who reads them needs the platform's public keys alone."""

from services.kms.papers.signing import Papers, PublicKey, payload_of

__all__ = ["Papers", "PublicKey", "payload_of"]
