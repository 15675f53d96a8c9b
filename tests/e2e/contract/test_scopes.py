"""What breaks when a key may do more, or less, than its scopes say: every endpoint with every scope.

Both sides of the matrix are read from the code: the endpoints from the protos, the scopes from the service.
A new rpc or a new scope is in it by itself.
"""

from __future__ import annotations

import pytest

from cli import tenancy
from services.common import api_keys
from tests.e2e.contract import wire
from tests.e2e.contract.endpoints import CLOSED, Endpoint
from tests.fixtures.stack import RunningStack  # noqa: TC001 - fixtures are typed by it

BY_KEY = [endpoint for endpoint in CLOSED if not endpoint.admin]


@pytest.fixture(scope="module")
def keys(stack: RunningStack) -> dict[str, str]:
    """A key of one tenant for each scope, which has that scope and no other."""
    tenant = stack.tenant()
    dsn = stack.stack.admin_dsn
    return {
        scope: tenancy.create_api_key(dsn, tenant.id, scope, [scope]) for scope in api_keys.SCOPES
    }


def test_every_scope_that_an_endpoint_asks_for_is_one() -> None:
    asked = {endpoint.policy.api_key.scope for endpoint in BY_KEY}
    assert asked == {"", *api_keys.SCOPES}


@pytest.mark.parametrize("endpoint", BY_KEY, ids=str)
def test_a_key_reaches_what_its_scope_says_and_nothing_else(
    stack: RunningStack, keys: dict[str, str], endpoint: Endpoint
) -> None:
    asked = endpoint.policy.api_key.scope
    for scope, key in keys.items():
        headers = {"authorization": f"Bearer {key}"}
        answer = stack.http.request(
            endpoint.method,
            endpoint.path(),
            headers=headers,
            json={} if endpoint.has_body else None,
        )
        if asked in {"", scope}:
            assert answer.status_code in {200, 400, 404}, (scope, answer.text)
        else:
            wire.error_of(answer, 403, "insufficient_scope")
