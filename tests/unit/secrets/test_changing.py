"""What a PATCH of a secret may say."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.secrets.changing import PATCHABLE, ChangeRequest, change
from services.secrets.values import Faults

ID = "5f4a3c1e-0000-4000-8000-000000000001"
COLLECTION = UUID("5f4a3c1e-0000-4000-8000-000000000002")
MOMENT = datetime(2026, 3, 15, tzinfo=UTC)


def faults_of(mask: tuple[str, ...], **members: object) -> set[str]:
    faults = Faults()
    change(ChangeRequest(ID, mask, **members), faults)  # type: ignore[arg-type]
    return {field for field in (*PATCHABLE, "body", "id", "value") if field in faults}


@pytest.mark.parametrize(
    ("member", "sent", "stored"),
    [
        ("name", " My  key ", "My_key"),
        ("description", "two\nlines", "two\nlines"),
        ("description", "", None),
        ("description", None, None),
        ("collection_id", str(COLLECTION), COLLECTION),
        ("collection_id", None, None),
        ("expires_at", MOMENT, MOMENT),
        ("expires_at", None, None),
        ("strict_expiry_enforcement", True, True),
        ("strict_expiry_enforcement", False, False),
    ],
)
def test_a_member_is_set_or_cleared(member: str, sent: object, stored: object) -> None:
    faults = Faults()
    found = change(ChangeRequest(ID, (member,), **{member: sent}), faults)  # type: ignore[arg-type]
    assert not faults
    assert found.members == {member: stored}


def test_what_the_mask_does_not_name_stays() -> None:
    found = change(ChangeRequest(ID, ("description",), name="OTHER"), Faults())
    assert found.members == {"description": None}


@pytest.mark.parametrize(
    ("mask", "members", "wrong"),
    [
        ((), {}, {"body"}),
        (("value",), {}, {"value"}),
        (("id",), {}, {"id"}),
        (("name",), {}, {"name"}),
        (("name",), {"name": ""}, {"name"}),
        (("name",), {"name": "a/b"}, {"name"}),
        (("name",), {"name": "a" * 129}, {"name"}),
        (("strict_expiry_enforcement",), {}, {"strict_expiry_enforcement"}),
        (("collection_id",), {"collection_id": "x"}, {"collection_id"}),
        (("collection_id",), {"collection_id": ""}, {"collection_id"}),
        (("description",), {"description": "a\x00"}, {"description"}),
        (("description",), {"description": "a" * 1025}, {"description"}),
        (("name", "collection_id"), {"collection_id": "x"}, {"name", "collection_id"}),
    ],
)
def test_every_fault_is_told_by_its_name(
    mask: tuple[str, ...], members: dict[str, object], wrong: set[str]
) -> None:
    assert faults_of(mask, **members) == wrong
