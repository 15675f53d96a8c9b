"""What breaks when a person stores the certificate files that somebody sent."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from cli.exits import Exit
from tests.fakes.cli_gateway import refusal
from tests.integration.cli.certificates import COLLECTION, PASSPHRASE, POST, ROW, body_of, key_der

if TYPE_CHECKING:
    from tests.fakes.certificates import Chain
    from tests.fakes.cli_gateway import Gateway
    from tests.fixtures.command_line import Coffer


def test_a_file_is_sent_as_it_is_under_the_type_that_its_content_has(
    storing: Coffer, gateway: Gateway, made: Chain
) -> None:
    storing.json("secrets", "import-certificate", "TLS", "leaf.pem", "--key", "locked.pem",
                 "--passphrase-file", "pass")  # fmt: skip
    assert body_of(gateway) == {
        "name": "TLS",
        "certificate_type": "pem",
        "certificate_content": made.leaf.pem,
        "private_key": Path("locked.pem").read_text(),
        "passphrase": PASSPHRASE,
    }


def test_binary_files_are_sent_as_base64(storing: Coffer, gateway: Gateway, made: Chain) -> None:
    storing.json("secrets", "import-certificate", "TLS", "leaf.der", "--key", "key.der")
    body = body_of(gateway)
    assert body["certificate_type"] == "crt"
    assert base64.b64decode(body["certificate_content"]) == made.leaf.der
    assert base64.b64decode(body["private_key"]) == key_der(made.leaf)


def test_several_files_become_one_chain_in_the_given_order(
    storing: Coffer, gateway: Gateway, made: Chain
) -> None:
    Path("leaf.pem").write_text(made.leaf.pem.rstrip())  # no line end at the end
    storing.json("secrets", "import-certificate", "TLS", "leaf.pem", "ca.der", "root.pem")
    body = body_of(gateway)
    assert body["certificate_type"] == "pem"
    sent = x509.load_pem_x509_certificates(body["certificate_content"].encode())
    assert sent == [one.certificate for one in (made.leaf, made.intermediate, made.root)]


def test_what_is_said_about_the_secret_is_sent_too(storing: Coffer, gateway: Gateway) -> None:
    storing.json(
        "secrets", "import-certificate", "TLS", "leaf.pem", "--type", "pem",
        "--description", "d", "--environment", "e", "--collection", COLLECTION,
        "--expires-at", "2030-01-01T00:00:00Z", "--strict-expiry",
    )  # fmt: skip
    body = body_of(gateway)
    del body["certificate_content"]
    assert body == {
        "name": "TLS",
        "certificate_type": "pem",
        "description": "d",
        "environment": "e",
        "collection_id": COLLECTION,
        "expires_at": "2030-01-01T00:00:00Z",
        "strict_expiry_enforcement": True,
    }


def test_a_declared_type_overrides_what_the_file_looks_like(
    storing: Coffer, gateway: Gateway
) -> None:
    Path("odd").write_text("nothing anybody knows")
    assert storing("secrets", "import-certificate", "TLS", "odd").exit_code == Exit.FAILED
    assert gateway.requests == []
    storing.json("secrets", "import-certificate", "TLS", "odd", "--type", "pem")
    assert body_of(gateway)["certificate_content"] == "nothing anybody knows"


def test_what_was_stored_is_shown_with_its_chain_and_its_warnings(storing: Coffer) -> None:
    shown = storing("secrets", "import-certificate", "TLS", "leaf.pem", "ca.pem").stdout
    for text in (
        "TLS stored in production", ROW["id"], "CN=example.com", "2030-01-01", "incomplete_chain",
        "An issuer is missing.", "intermediate", "CN=Test Intermediate, O=Example Inc, C=US",
    ):  # fmt: skip
        assert text in shown


def test_scripts_get_the_answer_of_the_api_and_nothing_else(storing: Coffer) -> None:
    assert storing.json("secrets", "import-certificate", "TLS", "leaf.pem") == ROW


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("private_key", "private_key comes from key.pem"),
        ("passphrase", "passphrase was not given: use --passphrase-file or --passphrase-prompt"),
        ("certificate_type", "certificate_type was guessed: pem"),
    ],
)
def test_a_refusal_tells_the_reason_and_the_file(
    storing: Coffer, gateway: Gateway, field: str, says: str
) -> None:
    told = refusal("validation_error", "m", fields={field: ["Wrong."]}, reason="key_mismatch")
    gateway.answers[POST] = (400, told)
    result = storing("secrets", "import-certificate", "TLS", "leaf.pem", "--key", "key.pem")
    assert result.exit_code == Exit.REFUSED
    for text in (f"{field}: Wrong.", says, "reason: key_mismatch", "request_id: r-1"):
        assert text in result.stderr


def test_a_refusal_of_joined_files_tells_where_each_begins(
    storing: Coffer, gateway: Gateway, made: Chain
) -> None:
    told = refusal("validation_error", "m", fields={"certificate_content": ["Line 20 is bad."]})
    gateway.answers[POST] = (400, told)
    result = storing("secrets", "import-certificate", "TLS", "leaf.pem", "ca.pem")
    second = made.leaf.pem.count("\n") + 1
    assert f"comes from leaf.pem (from line 1), ca.pem (from line {second})" in result.stderr


def test_a_refusal_that_is_not_about_a_file_is_told_as_ever(
    storing: Coffer, gateway: Gateway
) -> None:
    gateway.answers[POST] = (409, refusal("conflict", "There is a secret of that name."))
    result = storing("secrets", "import-certificate", "TLS", "leaf.pem")
    assert result.exit_code == Exit.REFUSED
    assert "There is a secret of that name. (conflict)" in result.stderr
