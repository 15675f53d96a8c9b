"""Keys of an issuer: from a URL, turned while tokens are in use, and when the issuer is away."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from cli.local.issuer import AUDIENCE, ISSUER
from services.common import tokens
from services.common.errors import StepUpRequiredError
from services.common.tokens import TokenSettings, TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.fixtures.pki import TestPki


class Issuer:
    """Serves whatever `document` is, and counts."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.asked = 0
        self.hold = threading.Event()
        self.hold.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.hold.wait(10)
                self.send_response(200)
                self.send_header("Content-Length", str(len(issuer.document)))
                self.end_headers()
                self.wfile.write(issuer.document)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/jwks"


@pytest.fixture
def issuer(pki: TestPki) -> Iterator[Issuer]:
    assert pki.issuer.settings.jwks_file is not None
    made = Issuer(pki.issuer.settings.jwks_file.read_bytes())
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.hold.set()
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(TokenSettings(ISSUER, AUDIENCE, None, issuer.url))


async def test_keys_are_fetched_once_for_many_tokens(issuer: Issuer, pki: TestPki) -> None:
    checked = verifier(issuer)
    for _ in range(5):
        assert await checked.admin(pki.issuer.admin_token(uuid4()))
    assert issuer.asked == 1


async def test_tokens_of_unknown_keys_do_not_make_us_hammer_the_issuer(
    issuer: Issuer, pki: TestPki
) -> None:
    issuer.document = b'{"keys": []}'
    checked = verifier(issuer)
    for _ in range(20):
        assert await checked.admin(pki.issuer.admin_token(uuid4())) is None
    assert issuer.asked == 1


async def test_a_new_key_of_the_issuer_is_found_without_a_restart(
    issuer: Issuer, pki: TestPki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_RETRY_SECONDS", 0.0)
    good, issuer.document = issuer.document, b'{"keys": []}'
    checked = verifier(issuer)
    token = pki.issuer.admin_token(uuid4())
    assert await checked.admin(token) is None
    issuer.document = good
    assert await checked.admin(token)


@pytest.mark.parametrize("document", [b"", b"[]", b"not json", b'{"keys": 3}', b'{"keys": [{}]}'])
async def test_a_broken_key_document_refuses_tokens_and_breaks_nothing(
    issuer: Issuer, pki: TestPki, document: bytes
) -> None:
    issuer.document = document
    assert await verifier(issuer).admin(pki.issuer.admin_token(uuid4())) is None


async def test_an_issuer_that_is_away_neither_takes_its_known_keys_along_nor_slows_anybody(
    issuer: Issuer, pki: TestPki, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = verifier(issuer)
    assert await checked.admin(pki.issuer.admin_token(uuid4()))
    monkeypatch.setattr(tokens, "_RELOAD_SECONDS", 0.0)
    monkeypatch.setattr(tokens, "_RETRY_SECONDS", 0.0)
    issuer.hold.clear()  # it does not answer
    for _ in range(3):
        assert await checked.admin(pki.issuer.admin_token(uuid4()))
    issuer.document = b"gone"
    issuer.hold.set()
    assert await checked.admin(pki.issuer.admin_token(uuid4()))


async def test_keys_of_an_issuer_that_has_long_been_away_are_not_trusted_any_more(
    issuer: Issuer, pki: TestPki, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = verifier(issuer)
    assert await checked.admin(pki.issuer.admin_token(uuid4()))
    monkeypatch.setattr(tokens, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(tokens, "_TRUSTED_SECONDS", 0.0)
    issuer.document = b"gone"
    assert await checked.admin(pki.issuer.admin_token(uuid4())) is None


BAD_TEXTS = ("a\x00b", "a\ud800b", "a\nb", "\x85", "", "x" * 201, 7, None)
BAD_MOMENTS = (10**400, -(10**400), float("inf"), float("nan"), True, "1", None)


async def test_a_signed_token_whose_texts_nobody_can_store_or_show_is_refused(
    pki: TestPki,
) -> None:
    checked, tenant = TokenVerifier(pki.issuer.settings), uuid4()
    who = {"sub": "alice", "tenant_id": str(tenant), "role": "owner"}
    admin = await checked.admin(pki.issuer.sign(who))
    assert admin is not None
    assert await checked.admin(pki.issuer.sign(who | {"sub": "Zoë, 管理者"})) is not None
    for text in BAD_TEXTS:
        assert await checked.admin(pki.issuer.sign(who | {"sub": text})) is None, text
    for moment in BAD_MOMENTS:
        assert await checked.admin(pki.issuer.sign(who | {"exp": moment})) is None, moment
    fresh = who | {"purpose": "step_up", "auth_time": time.time(), "jti": "once"}
    assert (await checked.step_up(pki.issuer.sign(fresh), admin, 300)).jti == "once"
    wrong: list[dict[str, Any]] = [{"jti": text} for text in BAD_TEXTS]
    wrong += [{name: moment} for moment in BAD_MOMENTS for name in ("auth_time", "exp")]
    for claims in wrong:
        with pytest.raises(StepUpRequiredError) as refusal:
            await checked.step_up(pki.issuer.sign(fresh | claims), admin, 300)
        assert refusal.value.reason == "invalid", claims


@pytest.mark.parametrize("header", [b"[" * 20_000, b'{"a": ' * 20_000, b'{"alg": 1e999}', b"\xff"])
async def test_a_token_that_cannot_be_read_is_refused_before_its_signature(
    pki: TestPki, header: bytes
) -> None:
    token = b".".join([base64.urlsafe_b64encode(header).rstrip(b"="), b"e30", b"AAAA"]).decode()
    assert await TokenVerifier(pki.issuer.settings).admin(token) is None


def _pem(key: Any) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA", "PS256", "RS512"])
async def test_only_the_three_documented_algorithms_are_taken(
    issuer: Issuer, algorithm: str
) -> None:
    import jwt

    if algorithm == "EdDSA":
        key: Any = ed25519.Ed25519PrivateKey.generate()
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        key = rsa.generate_private_key(65537, 2048)
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    issuer.document = json.dumps({"keys": [{**jwk, "kid": "k"}]}).encode()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": time.time() + 60,
        "tenant_id": str(uuid4()),
        "role": "owner",
    }
    token = jwt.encode(claims, _pem(key), algorithm=algorithm, headers={"kid": "k"})
    taken = await verifier(issuer).admin(token)
    assert (taken is not None) == (algorithm in {"RS256", "EdDSA"})
