"""A receipt that is not genuine, in each way that somebody could try, must not pass for one."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from cli.kms.receipts import CannotCheckError, NotGenuineError, check_receipt, verify
from services.common.sensitive import SecretBytes
from services.kms.lifecycle.receipts import RECEIPT_TYPE
from services.kms.papers import Papers

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "receipt-1.json"
VECTOR: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))[0]
JWS, STATEMENT, JWKS = VECTOR["jws"], VECTOR["statement"], VECTOR["jwks"]
RECEIPT = {"statement": STATEMENT, "jws": JWS}


def papers(seed: str = VECTOR["signing_key"]) -> Papers:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Papers(SecretBytes(pem))


def segment(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECEIPT),
        json.dumps({"revoked": True, "version": 7, "receipt": RECEIPT}),
        JWS,
        f"\n{JWS}\n",
    ],
    ids=["receipt", "answer", "jws", "jws-with-newlines"],
)
def test_a_genuine_receipt_holds_in_each_form_it_is_given_in(text: str) -> None:
    found = verify(text, JWKS)
    assert found.statement == STATEMENT
    assert found.kid == JWKS["keys"][0]["kid"]


@pytest.mark.parametrize("member", sorted(STATEMENT))
def test_a_statement_that_says_anything_else_than_what_was_signed_is_not_genuine(
    member: str,
) -> None:
    forged = copy.deepcopy(RECEIPT)
    forged["statement"][member] = [] if isinstance(STATEMENT[member], list) else "else"
    with pytest.raises(NotGenuineError, match="readable statement"):
        verify(json.dumps(forged), JWKS)
    del forged["statement"][member]
    with pytest.raises(NotGenuineError, match="readable statement"):
        verify(json.dumps(forged), JWKS)


@pytest.mark.parametrize("value", [True, 7.0])
def test_a_number_of_another_type_is_another_statement(value: object) -> None:
    forged = copy.deepcopy(RECEIPT)
    forged["statement"]["version"] = value
    with pytest.raises(NotGenuineError, match="readable statement"):
        verify(json.dumps(forged), JWKS)


def test_a_changed_payload_is_not_genuine() -> None:
    header, _, signature = JWS.split(".")
    forged = f"{header}.{segment({**STATEMENT, 'version': 8})}.{signature}"
    with pytest.raises(NotGenuineError, match="signature"):
        verify(forged, JWKS)


def test_a_stranger_s_signature_is_not_genuine() -> None:
    stranger = papers("11" * 32).sign(RECEIPT_TYPE, STATEMENT)
    with pytest.raises(NotGenuineError, match="none of the given keys"):
        verify(stranger, JWKS)


def test_a_stranger_s_key_cannot_go_by_the_platform_s_name() -> None:
    (public,) = papers("11" * 32).public_keys
    _, payload, _ = papers("11" * 32).sign(RECEIPT_TYPE, STATEMENT).split(".")
    forged = {"keys": [{**JWKS["keys"][0], "x": public.x}]}
    with pytest.raises(NotGenuineError, match="is another one"):
        verify(f"{JWS.split('.')[0]}.{payload}.{JWS.split('.')[2]}", forged)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "Ed25519"},
        {"jwk": JWKS["keys"][0]},
    ],
    ids=lambda header: "-".join(header) + str(header.get("alg", "")),
)
def test_another_way_of_signing_is_not_genuine(header: dict[str, Any]) -> None:
    meant = {"alg": "EdDSA", "kid": JWKS["keys"][0]["kid"], "typ": RECEIPT_TYPE, **header}
    _, payload, signature = JWS.split(".")
    with pytest.raises(NotGenuineError, match="signature"):
        verify(f"{segment(meant)}.{payload}.{signature}", JWKS)


@pytest.mark.parametrize("kind", ["coffer-rewrap-report", "JWT", RECEIPT_TYPE.upper()])
def test_what_the_platform_signed_as_something_else_is_no_receipt(kind: str) -> None:
    with pytest.raises(NotGenuineError, match="not a receipt of erasure"):
        verify(papers().sign(kind, STATEMENT), JWKS)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", JWKS),
        ("hello", JWKS),
        ("{}", JWKS),
        ("{", JWKS),
        ('{"jws": 7, "statement": {}}', JWKS),
        (json.dumps({"jws": JWS}), JWKS),
        (json.dumps({"receipt": None}), JWKS),
        (json.dumps(RECEIPT)[:-1] + f', "jws": "{JWS}"}}', JWKS),
        (segment({"alg": "EdDSA", "crit": ["x"], "x": 1}) + JWS[JWS.index(".") :], JWKS),
        (JWS, {}),
        (JWS, {"keys": [{**JWKS["keys"][0], "crv": "Ed448"}]}),
        (papers().sign(RECEIPT_TYPE, {**STATEMENT, "format": "coffer/x/2"}), JWKS),
    ],
)
def test_what_cannot_be_read_is_neither_genuine_nor_not(text: str, keys: dict[str, Any]) -> None:
    with pytest.raises(CannotCheckError):
        verify(text, keys)


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(check_receipt)
    return app


@pytest.mark.parametrize(
    ("receipt", "keys", "status", "told"),
    [
        (json.dumps(RECEIPT), json.dumps(JWKS), 0, "genuine: signed with the key"),
        (JWS[:-8] + "AAAAAAAA", json.dumps(JWKS), 1, "NOT genuine"),
        (JWS, "nonsense", 2, "could not be checked"),
        (None, json.dumps(JWKS), 2, "cannot be read"),
    ],
    ids=["genuine", "forged", "no-keys", "no-file"],
)
def test_the_exit_status_tells_genuine_from_not_and_from_unknown(
    command: typer.Typer,
    tmp_path: Path,
    *,
    receipt: str | None,
    keys: str,
    status: int,
    told: str,
) -> None:
    file, keys_file = tmp_path / "receipt.json", tmp_path / "keys.json"
    if receipt is not None:
        file.write_text(receipt, encoding="utf-8")
    keys_file.write_text(keys, encoding="utf-8")
    done = CliRunner().invoke(command, [str(file), "--keys", str(keys_file)])
    assert done.exit_code == status
    assert told in done.output
    assert (STATEMENT["covers"][0] in done.output) is (status == 0)
    assert (STATEMENT["does_not_cover"][0] in done.output) is (status == 0)


@pytest.mark.parametrize("url", ["http://keys.example/jwks", "http://127.0.0.1.example/jwks"])
def test_keys_are_not_taken_from_where_anybody_could_have_changed_them(
    command: typer.Typer, tmp_path: Path, url: str
) -> None:
    file = tmp_path / "receipt.jws"
    file.write_text(JWS, encoding="utf-8")
    done = CliRunner().invoke(command, [str(file), "--keys", url])
    assert done.exit_code == 2
    assert "could be anybody's" in done.output


def test_the_help_says_what_is_not_proven(command: typer.Typer) -> None:
    text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "NOT proven" in text
    assert "Exit status: 0 genuine" in text
