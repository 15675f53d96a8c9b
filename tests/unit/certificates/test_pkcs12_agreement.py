"""The library and we read the same out of the files that the fake builder makes, and refuse the same.

It opens them as well; what it does not do is tell a person why it did not.
"""

import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from services.secrets.certificates import CertificateRefused, read_certificate
from tests.fakes.certificates import NOW, chain
from tests.fakes.pkcs12 import (
    DIGESTS,
    as_ber,
    bag,
    certificate_bag,
    key_bag,
    mac,
    pbes2,
    pbmac1,
    pfx,
    plain,
    rc4,
    sealed,
    sent,
    seq,
    shrouded_bag,
    triple_des,
    usual,
    wide,
)

MADE = chain()
LEAF = MADE.leaf
PARTS = [sealed(pbes2("x"), certificate_bag(LEAF)), plain(shrouded_bag(LEAF.key, pbes2("x")))]
FORM = wide("x")
falls_back = pytest.mark.filterwarnings("ignore:PKCS#12 bundle could not be parsed as DER")
"""From its own parser, which knows neither PBMAC1 nor BER, to that of OpenSSL (50.0)."""

FILES = {
    **{f"MAC with {name}": pfx(*PARTS, mac=mac(FORM, name)) for name in DIGESTS},
    **{f"PBMAC1, {size} octets": pfx(*PARTS, mac=pbmac1("x", size=size)) for size in (20, 32, 64)},
    "one round": pfx(*PARTS, mac=mac(FORM, rounds=None)),
    "3DES": usual(LEAF, "x", [MADE.intermediate]),
    "3DES in BER": usual(LEAF, "x", [MADE.intermediate], layer=as_ber),
    "RC4-128": pfx(sealed(rc4(FORM), certificate_bag(LEAF), key_bag(LEAF.key)), mac=mac(FORM)),
    "RC4-40": pfx(sealed(rc4(FORM, 5), certificate_bag(LEAF), key_bag(LEAF.key)), mac=mac(FORM)),
    "no MAC": pfx(*PARTS),
    "nested": pfx(
        plain(bag(6, seq(certificate_bag(LEAF), shrouded_bag(LEAF.key, triple_des(FORM)))))
    ),
    "padded": usual(LEAF, "x") + b"\0\0",
}


@falls_back
@pytest.mark.parametrize("name", FILES)
def test_the_same_certificate_and_key(name: str) -> None:
    theirs = load_pkcs12(FILES[name], b"x")
    assert theirs.cert is not None
    assert theirs.cert.certificate == LEAF.certificate
    assert theirs.key is not None
    assert theirs.key.public_key() == LEAF.key.public_key()
    ours = read_certificate(sent(FILES[name]), None, "x", "pfx", NOW)
    assert ours.metadata.sha256_fingerprint is not None
    assert ours.metadata.has_private_key
    assert ours.metadata.chain_length == 1 + len(theirs.additional_certs)


@falls_back
@pytest.mark.parametrize("name", FILES)
def test_both_refuse_a_wrong_passphrase(name: str) -> None:
    with pytest.raises(ValueError, match="Invalid password"):
        load_pkcs12(FILES[name], b"y")
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(sent(FILES[name]), None, "y", "pfx", NOW)
    assert caught.value.reason == "wrong_passphrase"
