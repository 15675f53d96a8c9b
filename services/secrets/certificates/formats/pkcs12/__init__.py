"""certificate_type `pfx` and `p12`: PKCS#12 (RFC 7292, RFC 9579), as everybody writes it.

reader.py is the door. structure.py takes the file apart, integrity.py is its MAC, bags.py finds what is
inside, unlocking.py decrypts, unpacking.py does it all in order, and refusals.py has the words.
"""

from services.secrets.certificates.formats.pkcs12.reader import read_pkcs12

__all__ = ["read_pkcs12"]
