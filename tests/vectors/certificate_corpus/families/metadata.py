"""Odd certificates: whatever can be read is shown, the rest is null with a warning that names it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives import hashes

from tests.vectors.certificate_corpus import asn1
from tests.vectors.certificate_corpus import authority as a
from tests.vectors.certificate_corpus.authority import Issued, issue
from tests.vectors.certificate_corpus.case import Case, Sent, accepted
from tests.vectors.certificate_corpus.families import odd_keys
from tests.vectors.certificate_corpus.people import ROOT
from tests.vectors.certificate_corpus.texts import pem

UNREADABLE: Final = "unreadable_field"
_Extended = tuple[str, tuple[bytes, ...], dict[str, Any], tuple[str, ...], tuple[str, ...]]
"""What it covers, the extensions, how the certificate differs, warnings, words in them."""


def shown(
    name: str,
    covers: str,
    leaf: Issued,
    *warnings: str,
    says: tuple[str, ...] = (),
    loads: bool = True,
) -> Case:
    """The certificate below the corpus's root."""
    return accepted(
        name,
        f"metadata {covers}",
        Sent("pem", pem(leaf, ROOT)),
        leaf,
        ROOT,
        warnings=warnings,
        says=says,
        loads=loads,
    )


def cases() -> list[Case]:
    """All of them."""
    return [
        *_names(),
        *_unreadable_names(),
        *_dates(),
        *_serials(),
        *_extensions(),
        *_alternative_names(),
        *_signatures(),
        *odd_keys.cases(shown),
    ]


def _named(name: str, covers: str, encoded: bytes, subject: str | None, *warnings: str) -> Case:
    says = ("subject",) if warnings else ()
    leaf = issue(name, by=ROOT, name=encoded, subject=subject)
    loads = name not in {"printable-with-at-sign", "odd-bmp"}
    return shown(f"name-{name}", covers, leaf, *warnings, says=says, loads=loads)


def _names() -> list[Case]:
    def common(value: str, tag: int) -> bytes:
        return a.distinguished_name(asn1.set_of(a.attribute("CN", value, tag)))

    both = asn1.set_of(a.attribute("CN", "a"), a.attribute("UID", "u"))
    three = asn1.set_of(a.attribute("C", "DE"), a.attribute("O", "x"), a.attribute("CN", "abc"))
    number = asn1.sequence(asn1.oid("2.5.4.3"), asn1.integer(5))
    latin = asn1.sequence(asn1.oid("2.5.4.3"), asn1.tlv(a.IA5, "Müller".encode("latin-1")))
    names = {
        "empty": ("no-subject", a.distinguished_name(), ""),
        "multi-valued": ("multi-valued-rdn", a.distinguished_name(both), "CN=a+UID=u"),
        "three-in-one": ("multi-valued-rdn", a.distinguished_name(three), "O=x+C=DE+CN=abc"),
        "empty-rdn": (
            "empty-rdn",
            a.distinguished_name(("C", "DE"), asn1.set_of(), ("CN", "x")),
            "CN=x, C=DE",
        ),
        "empty-value": ("empty-rdn", a.distinguished_name(("O", "x"), ("CN", "")), "CN=, O=x"),
        "bmp": ("bmp-string", common("Größe 漢字", a.BMP), "CN=Größe 漢字"),
        "teletex": ("teletex-string", common("Müller", a.TELETEX), "CN=Müller"),
        "universal": ("universal-string", common("Ωmega", a.UNIVERSAL), "CN=Ωmega"),
        "utf-8": ("utf-8-string", common("Zoë 😀 漢字", a.UTF8), "CN=Zoë 😀 漢字"),
        "printable": ("utf-8-string", common("Plain Name", a.PRINTABLE), "CN=Plain Name"),
        "printable-with-at-sign": ("utf-8-string", common("a@b_c*", a.PRINTABLE), "CN=a@b_c*"),
        "ia5-in-latin-1": ("teletex-string", a.distinguished_name(asn1.set_of(latin)), "CN=Müller"),
        "escaped": (
            "escaped-name",
            a.distinguished_name(("O", 'a,b+c"d\\e<f>g;h')),
            r'O=a\,b\+c\"d\\e\<f\>g\;h',
        ),
        "hash-and-blank-escaped": (
            "escaped-name",
            a.distinguished_name(("O", "#x"), ("CN", " y ")),
            r"CN=\ y\ , O=\#x",
        ),
        "nul-escaped": (
            "escaped-name",
            a.distinguished_name(("CN", "good.example\0.evil")),
            r"CN=good.example\00.evil",
        ),
        "other-order": ("escaped-name", a.distinguished_name(("CN", "x"), ("C", "DE")), "C=DE, CN=x"),
        "domain-components": (
            "escaped-name",
            a.distinguished_name(("DC", "com"), ("DC", "example"), ("CN", "x")),
            "CN=x, DC=example, DC=com",
        ),
        "email-and-serial": (
            "escaped-name",
            a.distinguished_name(("serialNumber", "HRB 1"), ("emailAddress", "a@b.example")),
            "emailAddress=a@b.example, serialNumber=HRB 1",
        ),
        "unknown-type": (
            "escaped-name",
            a.distinguished_name(("1.3.6.1.4.1.99999.1", "x"), ("CN", "y")),
            "CN=y, 1.3.6.1.4.1.99999.1=x",
        ),
        "two-common-names": (
            "escaped-name",
            a.distinguished_name(("CN", "first"), ("CN", "second")),
            "CN=second, CN=first",
        ),
        "number-for-a-name": (
            "escaped-name",
            a.distinguished_name(("O", "x"), asn1.set_of(number)),
            "CN=#020105, O=x",
        ),
        "country-of-three-letters": ("escaped-name", a.distinguished_name(("C", "USA")), "C=USA"),
        "80-characters": ("escaped-name", a.distinguished_name(("CN", "a" * 80)), f"CN={'a' * 80}"),
    }  # fmt: skip
    return [
        _named(name, covers, encoded, subject) for name, (covers, encoded, subject) in names.items()
    ]


def _unreadable_names() -> list[Case]:
    def attribute(body: bytes, tag: int) -> bytes:
        value = asn1.sequence(asn1.oid("2.5.4.3"), asn1.tlv(tag, body))
        return a.distinguished_name(("O", "x"), asn1.set_of(value))

    names = {
        "bad-utf-8": attribute(b"\xff\xfe\xfd", a.UTF8),
        "odd-bmp": attribute(b"\0a\0", a.BMP),
        "line-feed": attribute(b"a\nb", a.UTF8),
    }
    found = [
        _named(name, "unreadable-name", encoded, None, UNREADABLE)
        for name, encoded in names.items()
    ]
    odd_ca = issue("odd-ca", ca=True, name=names["bad-utf-8"], subject=None)
    below = issue("below-odd.example", by=odd_ca)
    found.append(
        accepted(
            "issuer-unreadable",
            "metadata unreadable-name",
            Sent("pem", pem(below, odd_ca)),
            below,
            odd_ca,
            warnings=[UNREADABLE],
            says=["issuer"],
            issuer=None,
        )
    )
    return found


def _dates() -> list[Case]:
    first = datetime(2050, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

    def generalized(text: str) -> bytes:
        return asn1.tlv(0x18, text.encode())

    def utc(text: str) -> bytes:
        return asn1.tlv(0x17, text.encode())

    begins, ends = utc("260101000000Z"), utc("460101000000Z")
    shown_end, shown_begin = "2046-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"
    written: dict[str, tuple[bytes, bytes, str | None, str | None, tuple[str, ...]]] = {
        "generalized-before-2050": (
            generalized("20260101000000Z"), generalized("20460101000000Z"),
            shown_begin, shown_end, (),
        ),
        "utc-1950": (utc("500101000000Z"), ends, "1950-01-01T00:00:00.000Z", shown_end, ()),
        "utc-49": (begins, utc("491231235959Z"), shown_begin, "2049-12-31T23:59:59.000Z", ()),
        "utc-50-is-1950": (
            utc("500101000000Z"), utc("501231235959Z"),
            "1950-01-01T00:00:00.000Z", "1950-12-31T23:59:59.000Z", ("expired",),
        ),
        "without-seconds": (utc("2601010000Z"), ends, shown_begin, shown_end, ()),
        "with-offset": (utc("260101010000+0100"), ends, shown_begin, shown_end, ()),
        "no-such-day": (
            begins, utc("460230000000Z"), shown_begin, None, (UNREADABLE,),
        ),
        "no-time-at-all": (begins, utc("soon"), shown_begin, None, (UNREADABLE,)),
    }  # fmt: skip
    found = [
        shown("date-2050", "year-2050", issue("y2050.example", by=ROOT, not_after=first)),
        shown("date-9999", "year-2050", issue("y9999.example", by=ROOT, not_after=last)),
    ]
    for name, (begin, end, not_before, expires_at, warnings) in written.items():
        leaf = issue(
            f"{name}.example",
            by=ROOT,
            dates=asn1.sequence(begin, end),
            not_before=datetime(2026, 1, 1, tzinfo=UTC),
            not_before_shown=None,
        )
        del leaf.facts["not_before_shown"]
        leaf.facts.update({"not_before": not_before, "expires_at": expires_at})
        says = ("expires_at",) if expires_at is None else ()
        loads = name in {"generalized-before-2050", "utc-1950", "utc-49", "utc-50-is-1950"}
        found.append(shown(f"date-{name}", "odd-dates", leaf, *warnings, says=says, loads=loads))
    return found


def _serials() -> list[Case]:
    serials: dict[str, tuple[bytes, str | None]] = {
        "negative": (asn1.tlv(2, b"\xfe\x11\x22"), None),
        "minus-one": (asn1.tlv(2, b"\xff"), None),
        "zero": (asn1.tlv(2, b"\0"), "00"),
        "one": (asn1.tlv(2, b"\1"), "01"),
        "high-bit": (asn1.tlv(2, b"\0\x80"), "80"),
        "half-octet": (asn1.tlv(2, b"\x0f\xff"), "0fff"),
        "20-octets": (asn1.tlv(2, b"\x7f" + bytes(18) + b"\1"), "7f" + "00" * 18 + "01"),
        "21-octets": (asn1.tlv(2, b"\0\x9f" + bytes(19)), "9f" + "00" * 19),
        "padded": (asn1.tlv(2, b"\0\0\x05"), "05"),
        "100-octets": (asn1.tlv(2, b"\x11" * 100), None),
    }
    return [
        shown(
            f"serial-{name}",
            "negative-serial" if name in {"negative", "minus-one"} else "odd-serial",
            issue(f"serial-{name}.example", by=ROOT, serial_der=encoded, serial_number=value),
            *([UNREADABLE] if value is None else []),
            says=("serial_number",) if value is None else (),
            loads=name != "padded",
        )
        for name, (encoded, value) in serials.items()
    ]


def _extensions() -> list[Case]:
    names = a.alternative_names(a.dns("first.example"))
    more = a.alternative_names(a.dns("second.example"))
    ca, none = a.basic_constraints(ca=True), a.basic_constraints(ca=False)
    usage = a.extension("2.5.29.15", asn1.tlv(3, b"\x05\xa0"), critical=True)
    odd = a.extension("1.3.6.1.4.1.99999.7", b"\x05\x00", critical=True)
    first = ("first.example",)
    built: dict[str, _Extended] = {
        "none": ("missing-extensions", (), {}, (), ()),
        "version-1": ("missing-extensions", (), {"version": 0}, (), ()),
        "no-basic-constraints": ("missing-extensions", (names,), {"dns": first}, (), ()),
        "no-alternative-names": ("missing-extensions", (none, usage), {}, (), ()),
        "unknown-critical": ("odd-extensions", (none, names, odd), {"dns": first}, (), ()),
        "twice-usage": (
            "duplicate-extensions", (none, names, usage, usage), {"dns": first}, (UNREADABLE,),
            ("2.5.29.15",),
        ),
        "twice-alternative-names": (
            "duplicate-extensions", (none, names, more), {"dns": ...}, (UNREADABLE,), ("2.5.29.17",),
        ),
        "twice-basic-constraints-agree": (
            "duplicate-extensions", (none, none, names), {"dns": first}, (UNREADABLE,),
            ("2.5.29.19",),
        ),
        "twice-basic-constraints-disagree": (
            "duplicate-extensions", (none, ca, names), {"dns": first, "is_ca": None}, (UNREADABLE,),
            ("is_ca",),
        ),
        "broken-alternative-names": (
            "odd-extensions", (none, a.extension("2.5.29.17", b"junk")), {}, (UNREADABLE,),
            ("dns_names",),
        ),
        "broken-basic-constraints": (
            "odd-extensions", (a.extension("2.5.29.19", b"\x30\x03\x01\x01"), names),
            {"dns": first, "is_ca": None}, (UNREADABLE,), ("is_ca",),
        ),
        "broken-other": (
            "odd-extensions", (none, names, a.extension("2.5.29.31", b"junk")), {"dns": first}, (), (),
        ),
        "ca-with-path-length": (
            "odd-extensions",
            (a.extension("2.5.29.19", asn1.sequence(asn1.tlv(1, b"\xff"), asn1.integer(3))),),
            {"is_ca": True}, (), (),
        ),
    }  # fmt: skip
    found = []
    for name, (covers, extensions, facts, warnings, says) in built.items():
        listed = facts.get("dns", ())
        leaf = issue(
            f"ext-{name}.example",
            by=ROOT,
            extensions=extensions,
            version=facts.get("version", 2),
            is_ca=facts.get("is_ca", False),
            dns_names=(),
        )
        if listed is ...:
            del leaf.facts["dns_names"]
        else:
            leaf.facts["dns_names"] = list(listed)
        found.append(shown(f"extensions-{name}", covers, leaf, *warnings, says=says))
    return found


def _alternative_names() -> list[Case]:
    def leaf(name: str, *names: bytes, dns: list[str], ip: list[str]) -> Issued:
        extensions = (a.basic_constraints(ca=False), a.alternative_names(*names))
        made = issue(f"san-{name}.example", by=ROOT, extensions=extensions)
        made.facts.update({"dns_names": dns, "ip_addresses": ip})
        return made

    good = a.dns("good.example")
    others = (
        asn1.tlv(0x81, b"me@good.example"),
        asn1.tlv(0x86, b"spiffe://good.example/x"),
        asn1.tlv(0x88, b"\x2a\x03"),
        asn1.tlv(0xA4, a.common("directory")),
        asn1.tlv(
            0xA0, asn1.oid("1.3.6.1.4.1.311.20.2.3") + asn1.explicit(0, asn1.tlv(12, b"me@x"))
        ),
    )
    many = [f"n{number}" for number in range(120)]
    crowd = [f"n{number}" for number in range(600)]
    listed = {
        "ipv6": ("ipv6", (a.ip("2001:db8::1"), a.ip("192.0.2.7")), [], ["2001:db8::1", "192.0.2.7"], ""),
        "ipv4-mapped": ("ipv6", (a.ip("::ffff:192.0.2.1"),), [], ["::ffff:192.0.2.1"], ""),
        "all-zero": ("ipv6", (a.ip("::"), a.ip("0.0.0.0")), [], ["::", "0.0.0.0"], ""),
        "idn": ("idn", (a.dns("xn--mller-kva.example"),), ["xn--mller-kva.example"], [], ""),
        "idn-in-utf-8": ("idn", (a.dns("müller.example"), good), ["müller.example", "good.example"], [], ""),
        "wildcard": ("idn", (a.dns("*.good.example"), good), ["*.good.example", "good.example"], [], ""),
        "other-kinds": ("odd-san", (*others, good), ["good.example"], [], ""),
        "empty": ("odd-san", (), [], [], ""),
        "empty-name": ("odd-san", (a.dns(""), good), ["", "good.example"], [], ""),
        "five-octet-address": ("odd-san", (a.ip(b"\1\2\3\4\5"), good), ["good.example"], [], UNREADABLE),
        "nul-in-a-name": ("odd-san", (a.dns(b"good.example\0.evil"), good), ["good.example"], [], UNREADABLE),
        "120-names": ("odd-san", tuple(map(a.dns, many)), many, [], ""),
        "600-names": ("odd-san", tuple(map(a.dns, crowd)), crowd[:500], [], UNREADABLE),
    }  # fmt: skip
    found = []
    for name, (covers, names, dns, addresses, warning) in listed.items():
        made = leaf(name, *names, dns=dns, ip=addresses)
        says = ("dns_names",) if warning else ()
        found.append(shown(f"san-{name}", covers, made, *([warning] if warning else []), says=says))
    return found


def _signatures() -> list[Case]:
    rsa_root = issue("RSA Root", ca=True, pair=a.rsa_pair())
    digests: dict[str, tuple[Issued, hashes.HashAlgorithm]] = {
        "rsa-sha224": (rsa_root, hashes.SHA224()),
        "rsa-sha384": (rsa_root, hashes.SHA384()),
        "rsa-sha512": (rsa_root, hashes.SHA512()),
        "ecdsa-sha384": (ROOT, hashes.SHA384()),
        "ecdsa-sha512": (ROOT, hashes.SHA512()),
    }
    found = []
    for name, (by, digest) in digests.items():
        leaf = issue(f"{name}.example", by=by, signature=a.signature_by(by.pair, digest))
        found.append(_signed(name, "signatures", leaf, by))
    for name, pair in {
        "rsa-pss": a.rsa_pair(is_pss=True),
        "ed25519": a.ed25519_pair("signing root"),
        "ed448": a.ed448_pair("signing root"),
        "ml-dsa-65": a.ml_dsa_pair(65),
        "dsa": a.dsa_pair(),
    }.items():
        by = issue(f"{name} Root", ca=True, pair=pair)
        covers = "post-quantum" if name.startswith("ml") else "signatures"
        found.append(_signed(name, covers, issue(f"by-{name}.example", by=by), by))
    for name, oid, said in (
        ("unknown", "1.2.3.4", "1.2.3.4"),
        ("slh-dsa", "2.16.840.1.101.3.4.3.20", "SLH-DSA-SHA2-128s"),
    ):
        made_up = a.Signature(asn1.algorithm(oid), said, lambda _: bytes(64))
        by = issue(f"{name} signature root", ca=True)
        leaf = issue(f"{name}-signature.example", by=by, signature=made_up)
        sent = Sent("pem", pem(leaf, by))
        covers = "metadata unknown-algorithms"
        found.append(
            accepted(
                f"signature-{name}",
                covers,
                sent,
                leaf,
                by,
                warnings=[UNREADABLE],
                says=["signature"],
            )
        )
    return found


def _signed(name: str, covers: str, leaf: Issued, by: Issued) -> Case:
    return accepted(f"signature-{name}", f"metadata {covers}", Sent("pem", pem(leaf, by)), leaf, by)
