"""Ways in which key bytes get out by accident."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle

import pytest
import structlog

from services.common.defects import describe
from services.common.sensitive import REDACTED, SecretBytes
from services.common.telemetry import configure_logging, redact

CANARY = b"canary-canary-canary-canary-3232"


def test_no_repr_no_str_and_no_format_shows_the_bytes() -> None:
    secret = SecretBytes(CANARY)
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]}"):
        assert "canary" not in text
        assert REDACTED in text


def test_secret_bytes_are_neither_pickled_nor_copied() -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(SecretBytes(CANARY))


def test_wiped_bytes_are_gone_and_stay_gone() -> None:
    secret = SecretBytes(CANARY)
    secret.wipe()
    secret.wipe()
    with pytest.raises(ValueError, match="wiped"):
        secret.reveal()


def test_equality_compares_bytes_and_nothing_else() -> None:
    assert SecretBytes(CANARY) == SecretBytes(CANARY)
    assert SecretBytes(CANARY) != SecretBytes(CANARY[::-1])
    assert SecretBytes(CANARY) != CANARY


@pytest.mark.parametrize(
    "event",
    [
        {"authorization": "Bearer x-canary"},
        {"api_key": "canary"},
        {"note": "key tk_live_canary0123456789 used"},
        {"note": "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----"},
        {"note": "-----BEGIN PRIVATE KEY-----\ncanary without an end"},
        {"value": b"canary"},
        {"nested": {"passphrase": "canary", "list": [{"client_secret": "canary"}]}},
        {"url": "postgresql://coffer:canary@db/coffer"},
        {"jwt": "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.canary"},
        {"sent": "Bearer ya29.c.b0-canary_1.canary"},
    ],
)
def test_what_looks_like_a_credential_is_not_logged(event: dict[str, object]) -> None:
    assert "canary" not in json.dumps(redact(None, "info", dict(event)), default=str)


def test_an_exceptions_text_is_not_described() -> None:
    try:
        try:
            raise ValueError("canary")
        except ValueError as error:
            raise RuntimeError("canary") from error
    except RuntimeError as error:
        told = describe(error)
    assert told["error"] == ["builtins.RuntimeError", "builtins.ValueError"]
    assert "canary" not in str(told).replace(__file__, "")


def test_a_librarys_log_line_with_an_exception_is_json_without_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        configure_logging("kms")
        try:
            raise ValueError("canary")
        except ValueError:
            logging.getLogger("library").exception("it failed")
        structlog.get_logger("ours").info("call", token="canary", code="ok")
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert "canary" not in stream.getvalue()
    assert [line["event"] for line in lines] == ["it failed", "call"]
    assert {line["service"] for line in lines} == {"kms"}
    assert lines[0]["error"] == ["builtins.ValueError"]
