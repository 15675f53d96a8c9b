"""Keys, passphrases and containers of every certificate type are found nowhere, stored or refused."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs7, pkcs12

from tests.e2e.secrecy.canaries import answers_recorded
from tests.e2e.secrecy.scene import Scene
from tests.fakes import certificates
from tests.fuzz import mutation
from tests.fuzz.case import TYPES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

PATH: Final = "/v1/secrets/certificate"
CHANGED: Final = 4
"""Inputs of each type that something was changed in."""


@pytest.fixture
def scene(stack: RunningStack, tenant: TenantUser) -> Iterator[Scene]:
    with answers_recorded(stack) as answers:
        yield Scene(tenant, answers)


def planted(scene: Scene, kind: str) -> Case:
    """Sound material of that type, everything in it a canary."""
    issued, other = certificates.issue(), certificates.issue()
    passphrase = scene.value(f"{kind} passphrase")
    plain, locked = issued.key_pem, certificates.key_pem(issued.key, passphrase)
    scene.canaries.plant_key(f"{kind} private key", plain)
    scene.canaries.plant_key(f"{kind} encrypted private key", locked, passphrase)
    case = {
        "pem": lambda: Case(kind, issued.pem + locked, None, passphrase),
        "crt": lambda: Case(kind, base64.b64encode(issued.der).decode(), plain),
        "cer": lambda: Case(kind, issued.pem, locked, passphrase),
        "key": lambda: Case(kind, locked, None, passphrase),
    }.get(kind, lambda: container(kind, issued, other, passphrase))()
    scene.canaries.plant_text(f"{kind} content", case.content)
    return case


def container(
    kind: str, issued: certificates.Issued, other: certificates.Issued, passphrase: str
) -> Case:
    if kind in {"pfx", "p12"}:
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(100)
        if kind == "p12":
            builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        data = pkcs12.serialize_key_and_certificates(
            b"friendly",
            issued.key,
            issued.certificate,
            [other.certificate],
            builder.hmac_hash(hashes.SHA256()).build(passphrase.encode()),
        )
        return Case(kind, base64.encodebytes(data).decode(), None, passphrase)
    both = [issued.certificate, other.certificate]
    locked = certificates.key_pem(issued.key, passphrase)
    if kind == "p7b":
        return Case(
            kind, pkcs7.serialize_certificates(both, Encoding.PEM).decode(), locked, passphrase
        )
    data = pkcs7.serialize_certificates(both, Encoding.DER)
    return Case(kind, base64.encodebytes(data).decode(), locked, passphrase)


def body(case: Case, **changed: Any) -> dict[str, Any]:
    """The fields of a request."""
    fields = {
        "certificate_type": case.certificate_type,
        "certificate_content": case.content,
        "private_key": case.private_key,
        "passphrase": case.passphrase,
    }
    return {name: value for name, value in (fields | changed).items() if value is not None}


@pytest.mark.slow
def test_what_is_stored_is_found_nowhere(scene: Scene) -> None:
    tenant = scene.tenant
    for kind in TYPES:
        case, again = planted(scene, kind), planted(scene, kind)
        scene.send(201, PATH, json=body(case, name=kind))
        secret = tenant.rows()[kind]["id"]
        scene.send(200, f"/v1/secrets/{secret}/value", method="PUT", json=body(again))
        stored = tenant.access(name=kind).certificate
        assert stored.content == again.content
        assert (stored.private_key, stored.passphrase) == (
            again.private_key or "",
            again.passphrase or "",
        )
    scene.hold()


@pytest.mark.slow
def test_what_is_refused_is_found_nowhere(scene: Scene) -> None:
    wrong = scene.value("wrong passphrase")
    stranger = certificates.issue().key_pem
    scene.canaries.plant_key("stranger's private key", stranger)
    chance = Random(1)
    for kind in TYPES:
        case = planted(scene, kind)
        refused = [
            body(case, private_key=stranger),
            body(case, certificate_content=case.content[: len(case.content) // 2]),
            body(case, certificate_content=case.content[:-9] + "!" + case.content[-8:]),
            body(case, private_key=scene.value(f"{kind} no key")),
            body(case, certificate_content=scene.value(f"{kind} no content")),
            body(case, certificate_type="pfx" if kind in {"key", "pem"} else "key"),
        ]
        if case.passphrase is not None:
            refused += [body(case, passphrase=wrong), body(case, passphrase=None)]
        for fields in refused:
            scene.send(400, PATH, json=fields | {"name": "REFUSED"})
        for number in range(CHANGED):
            changed = mutation.change(case, planted(scene, kind), chance)
            fields = body(changed, name=f"{kind}_{number}")
            answer = scene.tenant.call(
                "POST",
                PATH,
                content=json.dumps(fields),
                headers={"content-type": "application/json"},
            )
            assert answer.status_code in {201, 400}, answer.text
    scene.hold()
