"""Paths that would lead to the wrong place."""

from __future__ import annotations

from unittest import mock

import pytest

from gateway.router import Router

ROUTER = Router(
    [
        ("GET", ("v1", "secrets"), "list"),
        ("POST", ("v1", "secrets"), "create"),
        ("POST", ("v1", "secrets", "certificate"), "certificate"),
        ("GET", ("v1", "secrets", None), "get"),
        ("DELETE", ("v1", "secrets", None), "delete"),
        ("PUT", ("v1", "secrets", None, "value"), "put"),
        ("GET", ("v1", "secrets", None, "versions"), "versions"),
        ("POST", ("v1", "secrets", None, "versions", None, "restore"), "restore"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "target", "fields"),
    [
        ("GET", b"/v1/secrets", "list", []),
        ("POST", b"/v1/secrets", "create", []),
        ("POST", b"/v1/secrets/certificate", "certificate", []),
        ("POST", b"/v1/secrets/%63ertificate", "certificate", []),
        ("GET", b"/v1/secrets/certificate", "get", ["certificate"]),
        ("GET", b"/v1/secrets/a%2Fb", "get", ["a/b"]),
        ("GET", b"/v1/secrets/%2e%2e", "get", [".."]),
        ("GET", b"/v1/secrets/a+b", "get", ["a+b"]),
        ("GET", b"/v1/secrets/%", "get", ["%"]),
        ("GET", b"/v1/secrets/%ff", "get", [None]),
        ("GET", b"/v1/secrets/%00", "get", ["\x00"]),
        ("PUT", b"/v1/secrets/x/value", "put", ["x"]),
        ("POST", b"/v1/secrets/x/versions/3/restore", "restore", ["x", "3"]),
    ],
)
def test_a_path_leads_to_its_target(
    method: str, path: bytes, target: str, fields: list[str | None]
) -> None:
    assert ROUTER.find(method, path) == (target, fields)


@pytest.mark.parametrize(
    "path",
    [b"", b"*", b"/", b"v1/secrets", b"/v1/secrets/", b"/v1//", b"/v1/secrets//value", b"/v1%2Fsecrets",
     b"/v1/secrets/x/value/", b"//v1/secrets", b"/v1/secrets/x/other", b"/v1/secrets?x"],
)  # fmt: skip
def test_other_paths_lead_nowhere(path: bytes) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert ROUTER.find(method, path) is None
    assert ROUTER.allowed(path) == []


def test_the_allowed_methods_are_those_of_every_template_that_fits() -> None:
    assert ROUTER.find("PUT", b"/v1/secrets/certificate") is None
    assert ROUTER.allowed(b"/v1/secrets/certificate") == ["DELETE", "GET", "POST"]
    assert ROUTER.allowed(b"/v1/secrets") == ["GET", "POST"]
    assert ROUTER.allowed(b"/v1/secrets/x/value") == ["PUT"]


def test_two_targets_for_one_method_and_path_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two targets"):
        Router([("GET", ("a", None), 1), ("GET", ("a", None), 2)])


def test_a_path_of_thousands_of_segments_is_not_looked_into() -> None:
    for path in (b"/%41" * 16_000, b"/" * 60_000 + b"%41", b"/v1/secrets/x/versions/3/restore/%41"):
        with mock.patch("gateway.router.unquote_to_bytes", side_effect=AssertionError):
            assert ROUTER.find("GET", path) is None
            assert ROUTER.allowed(path) == []
