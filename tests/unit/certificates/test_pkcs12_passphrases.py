"""Which passphrase opens a PKCS#12, and which of four answers a person gets when none does."""

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from services.secrets.certificates import CertificateMaterial, CertificateRefused, read_certificate
from services.secrets.certificates.encodings.transfer import Opened
from services.secrets.certificates.formats.pkcs12.reader import read_pkcs12
from services.secrets.certificates.keys.encryption import Budget
from services.secrets.certificates.normal_form import read as read_normal_form
from tests.fakes import pkcs12
from tests.fakes.certificates import NOW, chain, issue
from tests.fakes.pkcs12 import (
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
    shrouded_bag,
    triple_des,
    usual,
    wide,
)

MADE = chain()
LEAF = MADE.leaf
NONE, EMPTY = b"", wide("")


def read(data: bytes, passphrase: str | None = None) -> CertificateMaterial:
    return read_certificate(sent(data), None, passphrase, "pfx", NOW)


def refused(data: bytes, passphrase: str | None = None) -> CertificateRefused:
    with pytest.raises(CertificateRefused) as caught:
        read(data, passphrase)
    return caught.value


def codes(material: CertificateMaterial) -> set[str]:
    return {warning.code for warning in material.metadata.warnings}


def test_an_old_file_opens_with_its_passphrase_and_its_encryption_is_named() -> None:
    material = read(usual(LEAF, "open sesame", [MADE.intermediate]), "open sesame")
    assert material.metadata.has_private_key
    assert material.metadata.has_passphrase
    assert material.metadata.chain_length == 2
    (warning,) = [w for w in material.metadata.warnings if w.code == "legacy_encryption"]
    assert "pbeWithSHA1And3-KeyTripleDES-CBC" in warning.message
    normal = read_normal_form(material.normal_form)
    assert normal.certificate == LEAF.pem
    assert normal.chain == MADE.intermediate.pem
    assert normal.private_key == LEAF.key_pem


@pytest.mark.parametrize("passphrase", ["open sesame", "", "Žluťoučký kůň", "пароль", "🔑🗝", "é"])
def test_a_file_of_the_library_opens(passphrase: str) -> None:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    data = serialize_key_and_certificates(
        b"a name", LEAF.key, LEAF.certificate, [MADE.intermediate.certificate], encryption
    )
    material = read(data, passphrase)
    assert material.metadata.has_private_key
    assert "legacy_encryption" not in codes(material)
    if passphrase:
        assert refused(data).reason == "passphrase_required"
        assert refused(data, passphrase + "x").reason == "wrong_passphrase"


def test_a_missing_and_a_wrong_passphrase_are_told_apart() -> None:
    data = usual(LEAF, "open sesame")
    for given, reason in ((None, "passphrase_required"), ("", "passphrase_required")):
        assert (refused(data, given).reason, refused(data, given).field) == (reason, "passphrase")
    refusal = refused(data, "sesame")
    assert (refusal.reason, refusal.field) == ("wrong_passphrase", "passphrase")
    assert "line break" in refused(data, "open sesame\n").message


def test_without_a_mac_decryption_tells_a_wrong_passphrase() -> None:
    for method in (triple_des(wide("x")), pbes2("x"), rc4(wide("x")), rc4(wide("x"), 5)):
        data = pfx(sealed(method, certificate_bag(LEAF)), plain(shrouded_bag(LEAF.key, method)))
        assert read(data, "x").metadata.has_private_key
        assert refused(data).reason == "passphrase_required"
        assert refused(data, "y").reason == "wrong_passphrase"


@pytest.mark.parametrize("form", [NONE, EMPTY], ids=["none", "empty"])
def test_no_passphrase_at_all_and_an_empty_one_are_both_tried(form: bytes) -> None:
    method = triple_des(form)
    parts = [sealed(method, certificate_bag(LEAF)), plain(shrouded_bag(LEAF.key, method))]
    for data in (pfx(*parts, mac=mac(form)), pfx(*parts)):
        for given in (None, ""):
            assert read(data, given).metadata.has_private_key
        assert refused(data, "x").reason == "wrong_passphrase"


def test_a_mac_with_none_over_what_is_encrypted_with_an_empty_passphrase() -> None:
    method = triple_des(EMPTY)
    data = pfx(sealed(method, certificate_bag(LEAF)), mac=mac(NONE))
    assert read(data).metadata.subject


@pytest.mark.parametrize("passphrase", ["Žluťoučký kůň", "grüße", "пароль", "密码", "🔑🗝"])
def test_a_passphrase_beyond_ascii_in_utf16_and_as_old_openssl_widened_it(passphrase: str) -> None:
    widened = b"".join(bytes([0, octet]) for octet in passphrase.encode()) + b"\0\0"
    for form in (wide(passphrase), widened):
        method = triple_des(form)
        parts = [sealed(method, certificate_bag(LEAF)), plain(shrouded_bag(LEAF.key, method))]
        for data in (pfx(*parts, mac=mac(form)), pfx(*parts)):
            assert read(data, passphrase).metadata.has_private_key
            assert refused(data, passphrase[:-1]).reason == "wrong_passphrase"


TRIAL = 250 * pkcs12.FEW
"""Nanoseconds that a trial of the MAC counts for; one of Triple DES counts for three of them."""


def read_for(nanoseconds: int, data: bytes, passphrase: str | None) -> str | None:
    """The reason why not, when it may cost that much."""
    given = passphrase.encode() if passphrase else None
    try:
        read_pkcs12(Opened(data=data), given, Budget(nanoseconds))
    except CertificateRefused as refusal:
        return refusal.reason
    return None


def test_the_encoding_that_made_the_mac_is_tried_first_inside() -> None:
    """What is inside costs one trial each, and the MAC three."""
    form = wide("pässwörd€".encode("cp1252").decode("latin-1"))
    method = triple_des(form)
    parts = [sealed(method, certificate_bag(LEAF)), plain(shrouded_bag(LEAF.key, method))]
    data = pfx(*parts, mac=mac(form))
    least = (3 + 2 * 3) * TRIAL
    assert read_for(least, data, "pässwörd€") is None
    assert read_for(least, data, "pässword€") == "wrong_passphrase"
    for nanoseconds in (least - 1, least - 2 * TRIAL):
        assert read_for(nanoseconds, data, "pässwörd€") == "unsupported_algorithm"
        assert read_for(nanoseconds, data, "password") == "wrong_passphrase"
        assert read_for(nanoseconds, data, None) == "passphrase_required"


def test_without_a_mac_a_budget_that_ends_early_is_no_wrong_passphrase() -> None:
    method = triple_des(wide("pässwörd€".encode("cp1252").decode("latin-1")))
    data = pfx(sealed(method, certificate_bag(LEAF)))
    for trials, reason in ((1, "unsupported_algorithm"), (2, "unsupported_algorithm"), (3, None)):
        assert read_for(trials * 3 * TRIAL, data, "pässwörd€") == reason
        assert read_for(trials * 3 * TRIAL, data, "password") == "wrong_passphrase"
        assert read_for(trials * 3 * TRIAL, data, None) == "passphrase_required"


def test_pbes2_under_the_form_of_the_passphrase_that_old_firefox_took() -> None:
    """NSS before 3.31."""
    form = wide("x")
    method = pbes2(form.decode())
    parts = [sealed(method, certificate_bag(LEAF)), plain(shrouded_bag(LEAF.key, method))]
    data = pfx(*parts, mac=mac(form))
    assert read(data, "x").metadata.has_private_key
    assert refused(data, "y").reason == "wrong_passphrase"


def test_everything_in_the_clear_under_a_mac_still_needs_the_passphrase() -> None:
    data = pfx(plain(certificate_bag(LEAF), key_bag(LEAF.key)), mac=mac(wide("x")))
    assert read(data, "x").metadata.has_private_key
    assert refused(data).reason == "passphrase_required"
    assert refused(data, "y").reason == "wrong_passphrase"


def test_a_passphrase_for_a_file_without_any_protection_is_no_error() -> None:
    data = pfx(plain(certificate_bag(LEAF), key_bag(LEAF.key)))
    for given in (None, "for the consumer"):
        material = read(data, given)
        assert material.metadata.has_private_key
        assert material.metadata.has_passphrase is (given is not None)


def test_only_the_key_encrypted() -> None:
    method = pbes2("x")
    data = pfx(plain(certificate_bag(LEAF), shrouded_bag(LEAF.key, method)), mac=mac(wide("x")))
    assert codes(read(data, "x")).isdisjoint({"legacy_encryption"})
    data = pfx(plain(certificate_bag(LEAF), shrouded_bag(LEAF.key, triple_des(wide("x")))))
    assert "legacy_encryption" in codes(read(data, "x"))
    assert refused(data).reason == "passphrase_required"


def test_a_legacy_key_under_a_modern_container_and_the_other_way_round() -> None:
    form = wide("x")
    for outer, inner in ((pbes2("x"), triple_des(form)), (triple_des(form), pbes2("x"))):
        data = pfx(sealed(outer, certificate_bag(LEAF), shrouded_bag(LEAF.key, inner)))
        assert "legacy_encryption" in codes(read(data, "x"))


def test_a_java_keystore_whose_key_has_another_passphrase_says_so() -> None:
    other = shrouded_bag(LEAF.key, triple_des(wide("other")))
    data = pfx(
        plain(other), sealed(triple_des(wide("x")), certificate_bag(LEAF)), mac=mac(wide("x"))
    )
    refusal = refused(data, "x")
    assert (refusal.reason, refusal.field) == ("wrong_passphrase", "passphrase")
    assert "the private key in it has another passphrase" in refusal.message
    data = pfx(plain(other, certificate_bag(LEAF)), mac=mac(EMPTY))
    refusal = refused(data)
    assert refusal.reason == "passphrase_required"
    assert "another passphrase" in refusal.message


def test_certificates_with_another_passphrase_than_the_mac() -> None:
    data = pfx(sealed(pbes2("other"), certificate_bag(LEAF)), mac=mac(wide("x")))
    refusal = refused(data, "x")
    assert refusal.reason == "wrong_passphrase"
    assert "the part with the certificates in it has another passphrase" in refusal.message


def test_a_right_passphrase_over_a_changed_file_is_damage_and_no_wrong_passphrase() -> None:
    form = wide("open sesame")
    parts = [
        plain(shrouded_bag(LEAF.key, triple_des(form))),
        sealed(triple_des(form), certificate_bag(LEAF)),
    ]
    data = pfx(*parts, mac=lambda authenticated: mac(form)(authenticated + b"x"))
    refusal = refused(data, "open sesame")
    assert (refusal.reason, refusal.field) == ("malformed", "certificate_content")
    assert "MAC" in refusal.message
    assert refused(data, "sesame").reason == "wrong_passphrase"
    assert refused(data).reason == "passphrase_required"


def test_what_decrypts_to_a_broken_structure_under_a_sound_mac_is_damage() -> None:
    form, broken = wide("x"), pkcs12.seq(pkcs12.octets(b"no bag"))
    method = triple_des(form)
    safe = pkcs12.sealed_octets(method.algorithm, method.encrypt(broken))
    assert refused(pfx(safe, mac=mac(form)), "x").reason == "malformed"
    for bag in (shrouded_bag(broken, method), shrouded_bag(b"\x30\0", method)):
        data = pfx(plain(bag, certificate_bag(LEAF)), mac=mac(form))
        refusal = refused(data, "x")
        assert (refusal.reason, refusal.field) == ("invalid_private_key", "certificate_content")


def test_ciphertext_that_no_passphrase_can_decrypt_is_damage() -> None:
    method = triple_des(wide("x"))
    for data in (b"", b"seven b"):
        safe = pkcs12.sealed_octets(method.algorithm, data)
        for file in (pfx(safe, mac=mac(wide("x"))), pfx(safe)):
            assert refused(file, "x").reason == "malformed"


def test_a_file_for_windows_accounts_says_how_to_export_it() -> None:
    secret = pkcs12.bag(
        5,
        pkcs12.seq(pkcs12.oid("1.3.6.1.4.1.311.17.4"), pkcs12.explicit(pkcs12.octets(b"envelope"))),
    )
    method = pbes2("random")
    data = pfx(
        plain(secret), sealed(method, certificate_bag(LEAF)), mac=mac(wide("random"), "sha256")
    )
    refusal = refused(data)
    assert refusal.reason == "passphrase_required"
    assert "Windows accounts" in refusal.message
    assert refused(data, "x").reason == "wrong_passphrase"


def test_pbmac1_takes_the_passphrase_in_utf8() -> None:
    for passphrase in ("open sesame", "grüße"):
        method = pbes2(passphrase)
        data = pfx(sealed(method, certificate_bag(LEAF)), mac=pbmac1(passphrase))
        assert read(data, passphrase).metadata.subject
        assert refused(data, "x").reason == "wrong_passphrase"
        assert refused(data).reason == "passphrase_required"


def test_a_separate_private_key_is_held_against_the_files_own() -> None:
    data = sent(usual(LEAF, "x"))
    read_certificate(data, LEAF.key_pem, "x", "p12", NOW)
    with pytest.raises(CertificateRefused) as caught:
        read_certificate(data, issue().key_pem, "x", "p12", NOW)
    assert caught.value.reason == "key_mismatch"
    alone = sent(pfx(plain(certificate_bag(LEAF))))
    assert read_certificate(alone, LEAF.key_pem, None, "p12", NOW).metadata.has_private_key


def test_no_refusal_and_no_representation_shows_the_passphrase() -> None:
    data = usual(LEAF, "open sesame")
    for given in ("sesame-wrong", "open sesame"):
        try:
            shown = repr(read(data, given))
        except CertificateRefused as refusal:
            shown = f"{refusal!r} {refusal}"
        assert given not in shown
