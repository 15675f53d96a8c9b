"""Planted secrets must be nowhere: no log, no HTTP body, no column of the database in clear."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING

import pytest

from cli.local.services import GRPC_SERVICES
from services.common.errors import CofferError
from services.common.migrations.runner import LOGIN_ROLES
from tests.fakes.certificates import ec_key, issue, key_pem
from tests.fixtures.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser


class Canaries:
    """Secrets by what they are, and where any form of them is found."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def plant(self, what: str, secret: str) -> str:
        self.planted[what] = secret
        return secret

    def new(self, what: str) -> str:
        return self.plant(what, f"canary-{secrets.token_hex(12)}")

    def pem(self, what: str, text: str) -> str:
        """A PEM text; a line from its middle betrays it however line ends are written."""
        lines = text.strip().splitlines()
        self.plant(what, lines[len(lines) // 2])
        return text

    def found_in(self, text: str) -> list[str]:
        """Which of them are in a text: as they are, in hexadecimal or in base64."""
        return [
            what
            for what, secret in self.planted.items()
            if any(form in text for form in forms(secret.encode()))
        ]


def forms(secret: bytes) -> list[str]:
    # In base64 the first bytes' neighbours would matter: of three alignments, what does not depend.
    encoded = [
        base64.b64encode(b"\0" * shift + secret).decode()[4:-4].rstrip("=") for shift in range(3)
    ]
    return [secret.decode(), secret.hex(), secret.hex().upper(), *encoded]


@pytest.fixture
def seen(stack: RunningStack) -> Iterator[list[str]]:
    """Every HTTP answer that is given while the test runs: headers and body."""
    bodies: list[str] = []

    def keep(response: httpx.Response) -> None:
        bodies.append(f"{response.headers}\n{response.read().decode(errors='replace')}")

    hooks = stack.http.event_hooks
    stack.http.event_hooks = {"request": [], "response": [keep]}
    yield bodies
    stack.http.event_hooks = hooks


def plant_the_stacks_own(stack: RunningStack, user: TenantUser, canaries: Canaries) -> None:
    keys = stack.stack.keys
    master = keys.master_key_file.read_text()
    canaries.plant("master key", master)
    canaries.plant("AWS secret access key", stack.stack.devcloud.secret_access_key)
    canaries.plant("API key", user.api_key)
    canaries.plant("admin JWT", user.admin_jwt.rpartition(".")[2])
    for role in LOGIN_ROLES:
        canaries.plant(f"password of {role}", keys.password(role))


def store_certificate(user: TenantUser, canaries: Canaries) -> None:
    """With an encrypted key and its passphrase, by both ways of storing one."""
    passphrase = canaries.new("passphrase")
    leaf = issue(key=ec_key())
    private = canaries.pem("encrypted private key", key_pem(leaf.key, passphrase))
    body = {"certificate_content": leaf.pem, "private_key": private, "passphrase": passphrase}
    answer = user.call("POST", "/v1/secrets/certificate", json=body | {"name": "CERT"})
    assert answer.status_code == 201, answer.text
    plain = issue(key=ec_key())
    pem = canaries.pem("private key", plain.key_pem)
    path = f"/v1/secrets/{answer.json()['data']['id']}/value"
    renewal = {"certificate_content": plain.pem, "private_key": pem}
    assert user.call("PUT", path, json=renewal).status_code == 200


def send_what_is_refused(user: TenantUser, canaries: Canaries) -> None:
    """Secrets in requests that fail, where an error or a log line might repeat them."""
    value = canaries.new("value of a refused create")
    static = canaries.new("static credential")
    wrong = canaries.new("wrong passphrase")
    leaf = issue(key=ec_key())
    locked = key_pem(leaf.key, "right")
    foreign = canaries.pem("key of another certificate", issue(key=ec_key()).key_pem)
    bodies = [
        ("/v1/secrets", {"name": "a/b", "value": value}),
        ("/v1/secrets", {"name": "string", "value": value}),
        ("/v1/secrets", {"name": "new", "value": value, "environment": "nowhere"}),
        ("/v1/secrets", {"name": 1, "value": value}),
        ("/v1/secrets", {"name": "new", "value": [value]}),
        ("/v1/secrets/certificate", {"name": "new", "certificate_content": value}),
        (
            "/v1/secrets/certificate",
            {"name": "n", "certificate_content": leaf.pem, "private_key": foreign},
        ),
        (
            "/v1/secrets/certificate",
            {
                "name": "n",
                "certificate_content": leaf.pem,
                "private_key": locked,
                "passphrase": wrong,
            },
        ),
        ("/admin/tenant-kms", {"provider": "aws", "config": {"secret_access_key": static}}),
        ("/admin/tenant-kms", {"config": {"client_secret": {"deep": static}}}),
    ]
    for path, body in bodies:
        answer = user.call("POST", path, json=body)
        assert 400 <= answer.status_code < 500, answer.text
    cut = json.dumps({"name": "n", "value": value})[:-2].encode()
    answer = user.call("POST", "/v1/secrets", content=cut)
    assert answer.status_code in {400, 415}


def use_everything(stack: RunningStack, user: TenantUser, canaries: Canaries) -> None:
    made = user.create("string", canaries.new("string value"))
    user.put(made["id"], canaries.new("second value"))
    store_certificate(user, canaries)
    send_what_is_refused(user, canaries)
    customer = user.customer()
    user.onboard(customer)
    user.ended_lease()
    user.rotate()
    user.ended_lease()
    assert user.value("string") == canaries.planted["second value"]
    assert user.access(name="CERT").certificate.private_key
    for path in ("/v1/secrets", f"/v1/secrets/{made['id']}", "/admin/tenant-kms"):
        user.get(path)
    for name in ("string", "CERT"):
        with pytest.raises(CofferError):
            user.access("consumer/stranger", name=name)
    for path in ("/metrics", "/openapi.json", "/healthz", "/docs"):
        assert stack.http.get(path).status_code == 200, path
    for service in GRPC_SERVICES:
        url = f"http://{stack.stack.address(f'{service}-metrics')}/metrics"
        assert stack.http.get(url).status_code == 200
    # A failure inside: what a service says when the database goes away under it.
    killed = stack.stack.kill("postgres")
    late = canaries.new("value sent while the database was down")
    stack.http.post(
        "/v1/secrets",
        json={"name": "late", "value": late},
        headers={"authorization": f"Bearer {user.api_key}"},
    )
    stack.stack.wait_ready("postgres", other_than=killed)
    eventually(lambda: user.call("GET", "/v1/secrets").status_code == 200, "the database is back")


def test_planted_secrets_are_nowhere(
    stack: RunningStack, tenant: TenantUser, seen: list[str]
) -> None:
    canaries = Canaries()
    plant_the_stacks_own(stack, tenant, canaries)
    use_everything(stack, tenant, canaries)
    assert len(seen) > 20
    assert canaries.found_in("\n".join(seen)) == []
    logs = stack.logs()
    assert canaries.found_in(logs) == []
    for service in (*GRPC_SERVICES, "gateway", "postgres"):
        assert stack.stack.log_file(service).stat().st_size > 0, f"{service} logs nothing"
    tables = stack.dump()
    assert len(tables["secrets.value_version"]) >= 4
    for name, rows in tables.items():
        assert canaries.found_in("\n".join(rows)) == [], name


def test_the_search_would_find_them() -> None:
    canaries = Canaries()
    secret = canaries.new("x")
    for text in (
        f"a {secret} b",
        f'"\\\\x00{secret.encode().hex()}ff"',
        base64.b64encode(b"a" + secret.encode() + b"bc").decode(),
        base64.b64encode(b"ab" + secret.encode() + b"c").decode(),
        base64.b64encode(secret.encode()).decode(),
    ):
        assert canaries.found_in(text) == ["x"], text
    assert canaries.found_in("nothing here") == []
