"""What breaks for those who believe openapi.json: every operation, asked as it says and as it forbids.

No answer is a 5xx, none has a status, a header or a member that is not documented, and what the document
forbids is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.contract.endpoints import ENDPOINTS, Endpoint
from tests.e2e.contract.generated import INVALID, VALID, Generated, operations, run_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from schemathesis import GenerationMode

    from tests.fixtures.stack import RunningStack
    from tests.fixtures.tenant_user import TenantUser

FEW, MANY = 3, 60
OPERATIONS = operations()
EVERY = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
MODES = pytest.mark.parametrize("mode", [VALID, INVALID], ids=["as it says", "as it forbids"])


@pytest.fixture(scope="module")
def user(stack: RunningStack) -> TenantUser:
    """A tenant with a key of its own in a cloud, and one of everything."""
    made = stack.tenant()
    made.onboard(made.customer())
    return made


@pytest.fixture
def known(user: TenantUser, endpoint: Endpoint) -> dict[str, str]:
    """Something that is there in each place of the path."""
    return _made_for(user, endpoint) if endpoint.places else {}


def _made_for(user: TenantUser, endpoint: Endpoint) -> dict[str, str]:
    name = f"for-{endpoint}".lower()
    kind = endpoint.template.split("/")[2]
    if kind == "tenant-kms":
        return {"version": "1", "id": str(user.latest_lease()["id"])}
    body = {"value": "x"} if kind == "secrets" else {}
    answer = user.call("POST", f"/v1/{kind}", json={"name": name, **body})
    assert answer.status_code in {201, 409}, answer.text
    if answer.status_code == 409:
        return {}
    row = answer.json()["data"]
    if str(endpoint) == "RestoreSecret":
        user.call("DELETE", f"/v1/secrets/{row['id']}")
    return {
        "id": row["id"],
        "key_id": row.get("key_id", ""),
        "value_version": "1",
        "environment_name": "production",
    }


def _credentials(user: TenantUser, endpoint: Endpoint) -> Callable[[], dict[str, str]]:
    bearer = {"authorization": f"Bearer {user.credential(endpoint.template)}"}

    def made() -> dict[str, str]:
        # A step-up token works once.
        return bearer | (user.step_up() if endpoint.admin else {})

    return made


@EVERY
def test_every_answer_is_documented(
    user: TenantUser, endpoint: Endpoint, known: dict[str, str]
) -> None:
    generated = Generated(OPERATIONS[str(endpoint)], user.stack.http)
    credentials = [_credentials(user, endpoint)]
    generated.send(VALID, examples=FEW, credentials=credentials, known=known)


@pytest.mark.slow
@EVERY
@MODES
def test_every_answer_is_documented_however_often_one_asks(
    user: TenantUser, endpoint: Endpoint, mode: GenerationMode, known: dict[str, str]
) -> None:
    generated = Generated(OPERATIONS[str(endpoint)], user.stack.http)
    credentials = [_credentials(user, endpoint)]
    generated.send(mode, examples=MANY, credentials=credentials, known=known)


@pytest.mark.slow
@pytest.mark.parametrize("below", ["/v1/", "/admin/", "/.well-known/"])
def test_no_bound_of_any_member_and_no_chain_of_calls_breaks_the_document(
    user: TenantUser, below: str, tmp_path: Path
) -> None:
    headers = {"authorization": f"Bearer {user.credential(below)}"}
    said = run_all(tmp_path, below, str(user.stack.http.base_url), headers)
    assert " passed" in said


@pytest.mark.slow
@EVERY
def test_who_is_not_known_learns_only_that(user: TenantUser, endpoint: Endpoint) -> None:
    if endpoint.open:
        return
    wrong_kind = user.api_key if endpoint.admin else user.admin_jwt
    generated = Generated(OPERATIONS[str(endpoint)], user.stack.http)

    def refused(answer: httpx.Response) -> None:
        assert answer.status_code == 401, answer.text

    strangers: tuple[dict[str, str], ...] = (
        {},
        {"authorization": f"Bearer {wrong_kind}"},
        {"authorization": "Bearer tk_live_" + "a" * 46},
        {"x-api-key": wrong_kind},
    )
    makers = [headers.copy for headers in strangers]
    generated.send(VALID, examples=1, credentials=makers, known={}, judge=refused)
