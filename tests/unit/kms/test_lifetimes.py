"""How long a customer's key is used after the customer took any of its grants away."""

from __future__ import annotations

import uuid

import pytest

from services.kms.keys import hierarchy
from services.kms.keys.cache import REFRESH_AT
from services.kms.keys.master_keys import Lifetimes
from services.kms.model import WrapMethod

LIFETIMES = Lifetimes(customer=300.0, platform=3600.0)
KEY = hierarchy.OpenMasterKey(hierarchy.new_master_key(), uuid.uuid4(), 1)


def test_a_session_as_old_as_allowed_does_not_stretch_the_ttl() -> None:
    asked_at = 1000.0
    entry = LIFETIMES.cached(KEY, uuid.uuid4(), asked_at, WrapMethod.CUSTOMER_KMS)
    trusted_since = asked_at - LIFETIMES.grant_reuse
    assert entry.expires_at - trusted_since == pytest.approx(LIFETIMES.customer)


def test_the_bound_on_kms_calls_still_counts_from_the_whole_ttl() -> None:
    entry = LIFETIMES.cached(KEY, uuid.uuid4(), 0.0, WrapMethod.CUSTOMER_KMS)
    assert entry.due_at == pytest.approx(REFRESH_AT * 300.0)
    assert entry.due_at < entry.expires_at


def test_the_platforms_own_key_needs_nobodys_session() -> None:
    entry = LIFETIMES.cached(KEY, None, 0.0, WrapMethod.GLOBAL)
    assert entry.due_at == pytest.approx(2880.0)
    assert entry.expires_at == 3600.0
