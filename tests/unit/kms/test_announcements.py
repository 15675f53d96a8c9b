"""What is heard from other processes, and from nobody we know."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kms.keys.announcements import Announcement, Kind


@given(
    st.sampled_from(Kind),
    st.uuids(),
    st.none() | st.uuids(),
    st.none() | st.integers(1, 2**32 - 1),
)
def test_what_is_said_is_what_is_heard(
    kind: Kind, tenant: uuid.UUID, binding: uuid.UUID | None, version: int | None
) -> None:
    said = Announcement(kind, tenant, binding, "process-1", version)
    assert Announcement.parse(said.encode()) == said


TENANT = uuid.UUID(int=1)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "x",
        "rotated:x:-:-:s",
        f"exploded:{TENANT}:-:-:s",
        f"rotated:{TENANT}:-:s",
        f"revoked:{TENANT}:-:one:s",
    ],
)
def test_what_is_not_ours_is_nothing(payload: str) -> None:
    assert Announcement.parse(payload) is None
