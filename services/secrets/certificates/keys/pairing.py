"""That a private key names its algorithm as its certificate does.

OpenSSL and Java compare the names before the numbers: of an RSA key for PKCS#1 beside a certificate for
RSASSA-PSS, or the other way round, both say that they do not belong together.
"""

from services.secrets.certificates.encodings import der
from services.secrets.certificates.keys.pbes2 import algorithm_of
from services.secrets.certificates.keys.structure import RSA, RSASSA_PSS, encode


class BoundToPss(Exception):  # noqa: N818 - a refusal
    """The key may sign with RSASSA-PSS only, and the certificate is for any use of RSA."""


def paired(pkcs8: bytes, public_key_info: bytes) -> bytes:
    """The plain PKCS#8 as it fits the SubjectPublicKeyInfo of its certificate, both in DER.

    For a certificate for RSASSA-PSS a key without that restriction gets the certificate's
    AlgorithmIdentifier (RFC 4055 sections 1.2 and 3.1): much software writes every RSA key without it, and
    what the certificate forbids stays forbidden. Every other key is returned as it came; parameters that
    differ are left as they are, as OpenSSL takes such pairs. That the numbers belong together is not checked.

    Raises BoundToPss the other way round: to lift a restriction is for the key's owner.
    """
    version, algorithm, *rest = der.sequence(pkcs8)
    own, certified = algorithm_of(algorithm)[0], der.sequence(public_key_info)[0]
    both = (own, algorithm_of(certified)[0])
    if both == (RSASSA_PSS, RSA):
        raise BoundToPss
    if both != (RSA, RSASSA_PSS):
        return pkcs8
    members = (version.encoded, certified.encoded, *(member.encoded for member in rest))
    return encode(der.SEQUENCE, *members)
