"""certificate_type `pfx` and `p12`: PKCS#12 (RFC 7292, RFC 9579), as everybody writes it.

structure.py takes the file apart, integrity.py checks its MAC, bags.py finds what is in it, unlocking.py
decrypts, and reader.py says what came out, or why nothing did.
"""

from services.secrets.certificates.formats.pkcs12.reader import read_pkcs12

__all__ = ["read_pkcs12"]
