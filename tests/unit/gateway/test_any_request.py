"""Whatever a client sends, binding it yields a message or an error of the contract, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.binding import RequestBinder, header_name
from gateway.faults import Faults, refusal
from gateway.http import Request
from gateway.wiring import all_routes
from services.common.errors import NotFoundError, ValidationError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from gateway.routes import Route

ROUTES = all_routes()
NAMES = sorted({field.name for route in ROUTES for field in route.rpc.input_type.fields})
TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES) | TEXT, VALUES, max_size=6).map(
    lambda members: json.dumps(members).encode()
)
PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES).map(str.encode) | st.binary(max_size=6), st.binary(max_size=9)
    ),
    max_size=4,
).map(lambda pairs: b"&".join(name + b"=" + value for name, value in pairs))


def bound(route: Route, query: bytes, body: bytes, ids: list[str | None], etag: bytes) -> Message:
    # Anywhere else the header alone would be refused.
    conditional = any(header_name(field) for field in route.rpc.input_type.fields)
    headers = [(b"if-match", etag)] if conditional else []
    request = Request("id", route.method, b"/", query, headers, "127.0.0.1")
    return RequestBinder(route).bind(request, ids[: len(route.path_fields)], body, Faults())


@pytest.mark.parametrize("route", ROUTES, ids=[route.rpc.name for route in ROUTES])
@given(
    query=PARAMETERS,
    body=OBJECTS | st.binary(max_size=30) | st.just(b""),
    ids=st.lists(st.none() | TEXT.filter(str.isascii), min_size=2, max_size=2),
    etag=st.binary(max_size=6) | st.integers().map(lambda n: str(n).encode()),
)
def test_any_request_is_a_message_or_an_error_that_can_travel(
    route: Route, query: bytes, body: bytes, ids: list[str | None], etag: bytes
) -> None:
    try:
        message = bound(route, query, body, ids, etag)
    except (ValidationError, NotFoundError) as error:
        size = len(refusal(error)[1])
    else:
        assert type(message).FromString(message.SerializeToString()) == message
        size = 0
    assert size < 6_000
