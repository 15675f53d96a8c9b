"""Questions for lists: what is refused, and what a cursor is good for."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import ValidationError
from services.secrets.cursors import NEVER, Place
from services.secrets.listing import ListRequest, Piece, listing
from services.secrets.model import SecretRow

MOMENT = datetime(2026, 3, 15, 12, 0, 0, 123456, tzinfo=UTC)
ROW = SecretRow(
    id=uuid4(),
    name="n" * 128,
    description=None,
    base_environment="production",
    environment_count=1,
    secret_type="string",
    collection_id=None,
    expires_at=None,
    strict_expiry_enforcement=False,
    value_version=1,
    created_at=MOMENT,
    updated_at=MOMENT,
    certificate_type=None,
    metadata=None,
)


def refused(asked: ListRequest) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        listing(asked)
    return set(caught.value.fields)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (ListRequest(page=0), "page"),
        (ListRequest(page=2**62), "page"),
        (ListRequest(per_page=101), "per_page"),
        (ListRequest(per_page=0), "per_page"),
        (ListRequest(sort="updated_at"), "sort"),
        (ListRequest(order="ASC"), "order"),
        (ListRequest(secret_type="oauth2"), "secret_type"),
        (ListRequest(collection_id="x"), "collection_id"),
        (ListRequest(search="a\x00"), "search"),
        (ListRequest(search="a" * 129), "search"),
        (ListRequest(environment="a\x00"), "environment"),
        (ListRequest(limit=10), "limit"),
        (ListRequest(cursor="", limit=0), "limit"),
        (ListRequest(cursor="", limit=101), "limit"),
        (ListRequest(cursor="", page=1), "page"),
        (ListRequest(cursor="", per_page=20), "per_page"),
        (ListRequest(cursor="x"), "cursor"),
        (ListRequest(cursor="é" * 40), "cursor"),
        (ListRequest(cursor="A" * 4096), "cursor"),
    ],
)
def test_a_list_that_cannot_be_is_refused(asked: ListRequest, field: str) -> None:
    assert refused(asked) == {field}


@pytest.mark.parametrize(
    ("sort", "row", "key"),
    [
        ("name", ROW, "n" * 128),
        ("base_environment", ROW, "production"),
        ("created_at", ROW, "2026-03-15T12:00:00.123456+00:00"),
        ("expires_at", replace(ROW, expires_at=MOMENT), "2026-03-15T12:00:00.123456+00:00"),
        ("expires_at", ROW, NEVER),
    ],
)
def test_a_cursor_goes_on_after_its_row(sort: str, row: SecretRow, key: str) -> None:
    asked = ListRequest(sort=sort, cursor="", search="S", collection_id=str(uuid4()))
    mark = bytes(range(8)) if sort == "base_environment" else b""
    cursor = listing(asked).next_cursor(row, mark)
    goes_on = listing(replace(asked, cursor=cursor, limit=7)).part
    assert goes_on == Piece(7, Place(key, row.id, mark))


@pytest.mark.parametrize(
    "other",
    [
        ListRequest(sort="created_at"),
        ListRequest(order="desc"),
        ListRequest(search="S"),
        ListRequest(environment="production"),
        ListRequest(collection_id=str(uuid4())),
        ListRequest(secret_type="string"),
        ListRequest(expires_before=MOMENT),
        ListRequest(deleted=True),
    ],
)
def test_a_cursor_of_another_list_is_refused(other: ListRequest) -> None:
    cursor = listing(ListRequest(cursor="")).next_cursor(ROW)
    assert refused(replace(other, cursor=cursor)) == {"cursor"}


@given(junk=st.binary(max_size=80), sort=st.sampled_from(["name", "created_at", "expires_at"]))
def test_whatever_is_made_up_after_a_cursors_head_is_a_place_or_refused(
    junk: bytes, sort: str
) -> None:
    """A key that our own database could not read must not get there."""
    asked = ListRequest(sort=sort, cursor="")
    real = listing(asked).next_cursor(replace(ROW, name="x", expires_at=MOMENT))
    head = base64.urlsafe_b64decode(real + "=" * (-len(real) % 4))[:25]
    forged = base64.urlsafe_b64encode(head + junk).rstrip(b"=").decode()
    try:
        part = listing(replace(asked, cursor=forged)).part
    except ValidationError:
        return
    assert isinstance(part, Piece)
    assert part.after is not None
    assert part.after.key.isascii()
    assert part.after.key.isprintable()
