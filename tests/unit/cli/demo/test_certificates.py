"""What breaks when the demo's certificate is not one that a server could use."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from cli.demo.certificates import make_server_certificate


def test_the_chain_the_key_and_the_facts_belong_together() -> None:
    made = make_server_certificate("www.example.org")
    leaf, ca = x509.load_pem_x509_certificates(made.chain.encode())
    leaf.verify_directly_issued_by(ca)
    key = serialization.load_pem_private_key(made.private_key.encode(), None)
    assert key.public_key() == leaf.public_key()
    assert made.fingerprint == leaf.fingerprint(hashes.SHA256()).hex()
    assert made.subject == "CN=www.example.org, O=Example Inc, C=US"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["www.example.org"]


def test_the_key_is_not_in_the_repr() -> None:
    made = make_server_certificate()
    assert made.private_key not in repr(made)
