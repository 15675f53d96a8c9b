"""Planted secrets are found in no log, no answer and no column, after all that can go right and wrong."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.e2e.secrecy.canaries import answers_recorded
from tests.e2e.secrecy.scene import PATH, Scene
from tests.fakes import certificates
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

CERTIFICATE_PATH = "/v1/secrets/certificate"


@pytest.fixture
def scene(stack: RunningStack, tenant: TenantUser) -> Iterator[Scene]:
    with answers_recorded(stack) as answers:
        yield Scene(tenant, answers)


def pfx(issued: certificates.Issued, passphrase: str | None = None) -> str:
    """In base64; without a passphrase the key is in clear in it."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    made = pkcs12.serialize_key_and_certificates(
        None, issued.key, issued.certificate, None, encryption
    )
    return base64.b64encode(made).decode()


def certificate(issued: certificates.Issued, **fields: Any) -> dict[str, Any]:
    return {"certificate_content": issued.pem, **fields}


def test_nothing_that_works_shows_a_secret(scene: Scene) -> None:
    tenant = scene.tenant
    made = tenant.create("STRING", scene.value("string"))
    tenant.put(made["id"], scene.value("second string"))
    plain, sealed = certificates.issue(), certificates.issue()
    passphrase = scene.value("passphrase")
    encrypted = certificates.key_pem(sealed.key, passphrase)
    scene.canaries.plant_key("private key", plain.key_pem)
    # Both forms of it: as it was sent, and as TLS takes it.
    scene.canaries.plant_key("encrypted private key", encrypted, passphrase)
    scene.canaries.plant_key("the same key in its normal form", sealed.key_pem)
    scene.send(201, CERTIFICATE_PATH, json=certificate(plain, name="P", private_key=plain.key_pem))
    scene.send(
        201,
        CERTIFICATE_PATH,
        json=certificate(sealed, name="E", private_key=encrypted, passphrase=passphrase),
    )
    inside = certificates.issue()
    scene.canaries.plant_key("private key in a PFX", inside.key_pem)
    scene.send(
        201,
        CERTIFICATE_PATH,
        json={"name": "X", "certificate_type": "pfx", "certificate_content": pfx(inside)},
    )
    tenant.onboard(tenant.customer())
    scene.send(200, "/admin/tenant-kms/rotate", headers=scene.step_up())
    assert tenant.ended_lease()["state"] == "completed"
    given_out = tenant.access(name="E").certificate
    assert given_out.passphrase == passphrase
    assert given_out.normal_form.private_key == sealed.key_pem
    assert tenant.access(name="X").certificate.normal_form.private_key == inside.key_pem
    assert tenant.access(name="STRING").value.startswith("canary-second")
    assert set(tenant.rows()) == {"STRING", "P", "E", "X"}
    for path in ("/admin/tenant-kms", "/admin/tenant-kms/rewraps", f"{PATH}/{made['id']}"):
        tenant.get(path)
    scene.answers.append(scene.stack.http.get("/metrics").text)
    scene.hold()


def test_no_refusal_repeats_a_secret_it_was_sent(scene: Scene) -> None:
    tenant, value = scene.tenant, scene.value
    for name in ("ONE", "TWO", "THREE"):
        tenant.create(name, value("string"))
    scene.send(409, PATH, json={"name": "ONE", "value": value("same name")})
    refuse = partial(scene.send, 400)
    for body in broken_bodies(scene):
        refuse(PATH, content=body, headers={"content-type": "application/json"})
    refuse(PATH, json={"name": "bad name!", "value": value("with a bad name")})
    refuse(PATH, json={"name": "X", "value": value("huge") * 2000})
    scene.send(413, PATH, content=value("two MiB").encode() * 40_000)
    refuse_certificates(scene)
    refuse_credentials(scene)
    refuse_onboardings(scene)
    scene.refused_access("not_found", name="NONE")
    scene.refused_access("forbidden", who="consumer/stranger", name="ONE")
    scene.hold()


def broken_bodies(scene: Scene) -> list[bytes]:
    value = scene.value
    members = f'"name": "X", "value": "{value("broken")}"'
    return [
        f"{{{members}".encode(),
        f"{{{members}, {members}}}".encode(),
        f"[{{{members}}}]".encode(),
        f'{{{members}, "passphrse": "{value("mistyped")}"}}'.encode(),
        b'{"name": "X", "value": "' + value("bad UTF-8").encode() + b'\xff"}',
        json.dumps({"name": "X", "value": {"a": value("wrong type")}}).encode(),
        json.dumps({"name": "X", "value": "v", "expires_at": value("no time")}).encode(),
        json.dumps(
            {"name": "X", "value": "v", "strict_expiry_enforcement": value("flag")}
        ).encode(),
    ]


def refuse_certificates(scene: Scene) -> None:
    issued, other = certificates.issue(), certificates.issue()
    wrong, right = scene.value("wrong passphrase"), scene.value("right passphrase")
    encrypted = certificates.key_pem(issued.key, right)
    scene.canaries.plant_key("encrypted private key", encrypted, right)
    scene.canaries.plant_key("private key of another", other.key_pem)
    torn = other.key_pem[:150] + "\n-----END PRIVATE KEY-----\n"
    refuse = partial(scene.send, 400, CERTIFICATE_PATH)
    refuse(json=certificate(issued, name="X", private_key=encrypted, passphrase=wrong))
    refuse(json=certificate(issued, name="X", private_key=encrypted))
    refuse(json=certificate(issued, name="X", private_key=other.key_pem))
    refuse(json=certificate(issued, name="X", private_key=torn))
    refuse(json=certificate(issued, name="X", private_key=scene.value("no key at all")))
    refuse(json={"name": "X", "certificate_content": other.key_pem})
    refuse(json={"name": "X", "certificate_content": scene.value("no certificate")})
    clear, closed = pfx(other), pfx(issued, right)
    for content, kind, passphrase in (
        (scene.value("no PFX"), "pfx", right),
        (clear, "pem", None),
        (clear[: len(clear) // 8 * 4], "pfx", None),
        (closed, "pfx", wrong),
        (closed, "p12", None),
    ):
        body = {"certificate_content": content, "certificate_type": kind, "passphrase": passphrase}
        refuse(json={"name": "X", **body})


def refuse_credentials(scene: Scene) -> None:
    tenant = scene.tenant
    mistyped = tenant.api_key[:-1] + ("0" if tenant.api_key[-1] != "0" else "1")
    scene.canaries.plant("mistyped API key", mistyped)
    for path, token in (
        (PATH, mistyped),
        (PATH, tenant.admin_jwt),
        (PATH, scene.value("no token at all")),
        ("/admin/tenant-kms", tenant.api_key),
        ("/admin/tenant-kms", tenant.admin_jwt[:-4] + "AAAA"),
    ):
        scene.canaries.plant("refused token", token)
        scene.send(401, path, method="GET", headers={"authorization": f"Bearer {token}"})
    spent = scene.step_up()
    scene.send(404, "/admin/tenant-kms/rotate", headers=spent)
    scene.send(403, "/admin/tenant-kms/rotate", headers=spent)
    broken = {"x-knoxcall-stepup": spent["x-knoxcall-stepup"] + "x"}
    scene.send(403, "/admin/tenant-kms/rotate", headers=broken)


def refuse_onboardings(scene: Scene) -> None:
    tenant = scene.tenant
    customer = tenant.customer()
    body = tenant.onboarding(customer)
    credential = scene.value("secret access key")
    key = certificates.issue().key_pem
    scene.canaries.plant_key("private key of a service account", key)
    for more in (
        {"secret_access_key": credential},
        {"note": key},
        {"nested": {"password": credential}},
    ):
        config = {**body["config"], **more}
        scene.send(400, "/admin/tenant-kms", json={**body, "config": config})
    scene.stack.cloud.disable(customer.key_arn)
    scene.send(400, "/admin/tenant-kms", json=body)


def test_no_failure_inside_shows_a_secret(scene: Scene) -> None:
    tenant, stack = scene.tenant, scene.stack
    customer = tenant.customer()
    tenant.onboard(customer)
    tenant.create("DAMAGED", scene.value("damaged"))
    made = tenant.create("ONE", scene.value("string"))
    stack.execute(
        "update secrets.value_version v set value = overlay(value placing '\\x00'::bytea from 30)"
        " from secrets.secret s where s.id = v.secret_id and s.name = 'DAMAGED'"
        " and v.tenant_id = %(tenant)s",
        tenant=tenant.id,
    )
    scene.refused_access("internal_error", name="DAMAGED")
    for service in ("kms", "postgres"):
        killed = stack.stack.kill(service)
        written_again(scene, made["id"], service)
        stack.stack.wait_ready(service, other_than=killed)
        written_again(scene, made["id"], service)
    stack.cloud.disable(customer.key_arn)

    def sealed() -> bool:
        body = {"value": scene.value("while sealed")}
        path = f"{PATH}/{made['id']}/value"
        return tenant.call("PUT", path, json=body).status_code == 503

    eventually(sealed, "the tenant is sealed", every=0.2)
    scene.refused_access("tenant_sealed", name="ONE")
    scene.hold()


def written_again(scene: Scene, secret_id: str, killed: str) -> None:
    """Write until everything works again; how that was refused meanwhile is scanned at the end."""

    def works(method: str, path: str, **arguments: Any) -> bool:
        answer = scene.tenant.call(method, path, **arguments)
        assert answer.status_code in {200, 503, 504}, answer.text
        return answer.status_code == 200

    def all_work() -> bool:
        body = {"value": scene.value(f"while {killed} was down")}
        return (
            works("PUT", f"{PATH}/{secret_id}/value", json=body)
            and works("GET", "/admin/tenant-kms")
            and works("GET", "/admin/tenant-kms/rewraps")
        )

    eventually(all_work, f"everything works after {killed} was killed", seconds=60)
