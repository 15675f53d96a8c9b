"""EC private keys as the library wants them: a curve with a name, a private number of full length."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ObjectIdentifier

from services.secrets.certificates.encodings import der
from services.secrets.certificates.keys.structure import (
    PARAMETERS,
    PlainKey,
    UnsupportedKey,
    encode,
    plain_key,
)

_CURVES: Final = tuple(
    (oid, ec.get_curve_for_oid(oid)())
    for oid in (
        ec.EllipticCurveOID.SECP192R1,
        ec.EllipticCurveOID.SECP224R1,
        ec.EllipticCurveOID.SECP256R1,
        ec.EllipticCurveOID.SECP384R1,
        ec.EllipticCurveOID.SECP521R1,
        ec.EllipticCurveOID.SECP256K1,
        ec.EllipticCurveOID.BRAINPOOLP256R1,
        ec.EllipticCurveOID.BRAINPOOLP384R1,
        ec.EllipticCurveOID.BRAINPOOLP512R1,
    )
)
_ORDER_AT: Final = (
    4  # of SpecifiedECDomain (SEC 1 appendix C.2): version, field, curve, base, order
)
_BASE_AT: Final = 3


def with_named_curve(key: PlainKey) -> PlainKey:
    """The same EC key. Raises UnsupportedKey for a curve that the library does not have, ValueError.

    RFC 5915 section 3: the private number has as many octets as the order of the curve. Java and old
    OpenSSL left zeros away, or had one too many.
    """
    parameters = key.parameters
    oid, curve = _curve(parameters)
    version, number, *rest = der.sequence(key.key)
    size = (curve.key_size + 7) // 8
    if oid == parameters.encoded and len(number.body) == size:
        return key
    # that the key repeats its parameters is no contradiction, even if they lose their long form here
    rest = [
        member for member in rest if (member.tag, member.body) != (PARAMETERS, parameters.encoded)
    ]
    scalar = number.octets().lstrip(b"\0").rjust(size, b"\0")
    members = (version.encoded, encode(der.OCTET_STRING, scalar), *(item.encoded for item in rest))
    algorithm = encode(der.SEQUENCE, key.algorithm.members()[0].encoded, oid)
    return plain_key(der.element(algorithm), encode(der.SEQUENCE, *members), key.public)


def _curve(parameters: der.Element) -> tuple[bytes, ec.EllipticCurve]:
    """ECParameters ::= CHOICE { namedCurve, implicitCurve NULL, specifiedCurve SEQUENCE }"""
    if parameters.tag == der.OBJECT_IDENTIFIER:
        name = parameters.oid()
        found = next((curve for oid, curve in _CURVES if oid.dotted_string == name), None)
        if found is None:
            raise UnsupportedKey(f"EC on the curve {name}")
        return parameters.encoded, found
    members = parameters.members()
    if len(members) <= _ORDER_AT:
        raise ValueError("parameters that are cut short")
    order, base = members[_ORDER_AT].integer(), members[_BASE_AT].octets()
    for oid, curve in _CURVES:
        if curve.group_order == order and _is_generator(base, curve):
            return _encoded(oid), curve
    raise UnsupportedKey("EC on a curve that is given by its parameters and has no name here")


def _is_generator(point: bytes, curve: ec.EllipticCurve) -> bool:
    try:
        found = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError:
        return False
    return found == ec.derive_private_key(1, curve).public_key()


def _encoded(oid: ObjectIdentifier) -> bytes:
    first, second, *arcs = (int(arc) for arc in oid.dotted_string.split("."))
    return encode(der.OBJECT_IDENTIFIER, *map(_base_128, (40 * first + second, *arcs)))


def _base_128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.insert(0, arc & 0x7F | 0x80)
    return bytes(octets)
