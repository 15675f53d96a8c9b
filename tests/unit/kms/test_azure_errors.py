"""What Azure's codes mean: which of them may seal a tenant, and what they tell its administrator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.kms.model import Reason
from services.kms.providers.azure import errors
from services.kms.providers.azure.clouds import VaultKey
from services.kms.providers.azure.errors import (
    Action,
    AzureFault,
    IdentityKind,
    Parties,
    reason_of,
)
from services.kms.providers.azure.hints import wrap_error

KEY = VaultKey("acme.vault.azure.net", "coffer")
CUSTOMERS = Parties(
    KEY, IdentityKind.CLIENT_SECRET, "acme-tenant", "the-app", False, "THE_VARIABLE"
)
OURS = Parties(KEY, IdentityKind.FEDERATED, "acme-tenant", "our-app", True)
BOTH = (CUSTOMERS, OURS)
CRYPT = (Action.WRAP, Action.UNWRAP)


def login(code: str, detail: str = "", status: int = 400) -> AzureFault:
    return AzureFault(Action.LOGIN, status, code, detail)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0, ""),
        (200, ""),
        (307, ""),
        (400, ""),
        (401, ""),
        (403, ""),
        (404, ""),
        (408, "RequestTimeout"),
        (429, ""),
        (429, "Throttled"),
        (500, "InternalError"),
        (502, ""),
        (503, "ServiceUnavailable"),
        (0, errors.NO_SECRET),
        (0, errors.NO_IDENTITY),
        (0, errors.FOREIGN_CHALLENGE),
    ],
)
def test_what_is_no_answer_about_the_key_does_not_count_as_one(
    action: Action, status: int, code: str
) -> None:
    for parties in BOTH:
        assert not reason_of(AzureFault(action, status, code), parties).definite


@pytest.mark.parametrize(
    ("status", "code", "detail", "reason"),
    [
        (401, "Unauthorized", "", Reason.ACCESS_DENIED),
        (403, "Forbidden", "ForbiddenByRbac", Reason.ACCESS_DENIED),
        (403, "Forbidden", "AccessDenied", Reason.ACCESS_DENIED),
        (403, "Forbidden", "ForbiddenByFirewall", Reason.ACCESS_DENIED),
        (403, "Forbidden", "ForbiddenByConnection", Reason.ACCESS_DENIED),
        (403, "Forbidden", "SomethingNew", Reason.ACCESS_DENIED),
        (403, "Forbidden", "KeyDisabled", Reason.KEY_DISABLED),
        (403, "Forbidden", "KeyExpired", Reason.KEY_DISABLED),
        (403, "Forbidden", "KeyNotYetValid", Reason.KEY_DISABLED),
        (409, "Conflict", "ObjectIsDeletedButRecoverable", Reason.KEY_DISABLED),
        (409, "Conflict", "ObjectIsBeingDeleted", Reason.KEY_DISABLED),
        (409, "Conflict", "", Reason.UNREACHABLE),
        (403, "Forbidden", "KeyOperationForbidden", Reason.KEY_UNSUITABLE),
        (404, "KeyNotFound", "", Reason.KEY_NOT_FOUND),
        (404, "VaultNotFound", "", Reason.KEY_NOT_FOUND),
        (400, "SomethingNew", "", Reason.INVALID_REQUEST),
        (429, "Throttled", "VaultRequestTypeLimitReached", Reason.THROTTLED),
    ],
)
def test_what_a_vault_says_counts(status: int, code: str, detail: str, reason: Reason) -> None:
    for action in CRYPT:
        for parties in BOTH:
            assert reason_of(AzureFault(action, status, code, detail), parties) is reason


def test_a_bad_parameter_is_the_key_when_wrapping_and_the_bytes_when_unwrapping() -> None:
    wrapping, unwrapping = (AzureFault(one, 400, "BadParameter") for one in CRYPT)
    assert reason_of(wrapping, OURS) is Reason.KEY_UNSUITABLE
    assert reason_of(unwrapping, OURS) is Reason.ROUNDTRIP_MISMATCH


def test_a_name_that_does_not_resolve_throws_no_open_key_away() -> None:
    wrapping, unwrapping = (AzureFault(one, 0, errors.NO_SUCH_HOST) for one in CRYPT)
    assert reason_of(wrapping, OURS) is Reason.KEY_NOT_FOUND
    assert reason_of(unwrapping, OURS) is Reason.UNREACHABLE
    assert "there is no vault acme" in wrap_error(wrapping, OURS).hint


@pytest.mark.parametrize(
    ("fault", "theirs", "ours"),
    [
        (login("unauthorized_client", "AADSTS700016"), "access_denied", "access_denied"),
        (login("unauthorized_client", "AADSTS7000112"), "access_denied", "access_denied"),
        (login("invalid_client", "AADSTS7000229", 401), "access_denied", "access_denied"),
        (login("invalid_client", "AADSTS7000215", 401), "access_denied", "unreachable"),
        (login("invalid_client", "AADSTS7000222", 401), "access_denied", "unreachable"),
        (login("invalid_client", "AADSTS700213"), "access_denied", "unreachable"),
        (login("invalid_request", "AADSTS70021"), "access_denied", "unreachable"),
        (login("invalid_client", "AADSTS700024", 401), "unreachable", "unreachable"),
        (login("invalid_client", "AADSTS700027", 401), "unreachable", "unreachable"),
        (login("invalid_client", "AADSTS1"), "access_denied", "unreachable"),
        (login("invalid_grant", "AADSTS53003"), "access_denied", "access_denied"),
        (login("invalid_request", "AADSTS90002"), "invalid_request", "invalid_request"),
        (login("invalid_resource", "AADSTS500011"), "invalid_request", "invalid_request"),
        (login("access_denied", "AADSTS53003"), "access_denied", "access_denied"),
        (login("consent_required", ""), "access_denied", "access_denied"),
        (login("invalid_request", "AADSTS90014"), "unreachable", "unreachable"),
        (login("invalid_request", "AADSTS900144"), "unreachable", "unreachable"),
        (login("invalid_request", "AADSTS1"), "invalid_request", "unreachable"),
        (login("invalid_scope", "AADSTS1"), "invalid_request", "unreachable"),
        (login("unauthorized_client", "AADSTS1"), "access_denied", "unreachable"),
        (login("invalid_grant", "AADSTS1"), "access_denied", "unreachable"),
        (login("temporarily_unavailable", "AADSTS90033"), "unreachable", "unreachable"),
        (login("invalid_request", "AADSTS90055"), "throttled", "throttled"),
        (login("something_new", "AADSTS1"), "unreachable", "unreachable"),
        (login("server_error", "", 500), "unreachable", "unreachable"),
    ],
)
def test_whose_application_it_is_decides_what_a_refused_login_means(
    fault: AzureFault, theirs: str, ours: str
) -> None:
    assert reason_of(fault, CUSTOMERS) == theirs
    assert reason_of(fault, OURS) == ours


@pytest.mark.parametrize(
    "fault",
    [
        *(
            AzureFault(action, 0, code)
            for action in Action
            for code in errors.NOT_AGAIN | {errors.NO_IDENTITY}
        ),
        *(AzureFault(action, 0, errors.NO_SUCH_HOST) for action in CRYPT),
        *(
            AzureFault(action, status, "Forbidden" if status else "", detail)
            for action in CRYPT
            for status in (0, 400, 401, 403, 404, 429, 500)
            for detail in ("", "KeyDisabled", "KeyExpired", "ForbiddenByFirewall", "{key}")
        ),
        *(
            login(code, detail)
            for code in ("invalid_client", "invalid_request", "")
            for detail in ("AADSTS700016", "AADSTS7000112", "AADSTS90002", "AADSTS7000215", "")
        ),
    ],
)
def test_every_hint_names_permission_principal_and_key_and_no_code(fault: AzureFault) -> None:
    for parties in (*BOTH, replace(OURS, client_id=None, kind=IdentityKind.MANAGED)):
        hint = wrap_error(fault, parties).hint
        assert KEY.url in hint
        assert (parties.client_id or "of the platform") in hint
        asked = "a token for" if fault.action is Action.LOGIN else "/keys/"
        assert asked in hint
        for foreign in ("AADSTS", "coffer:", "{", "Forbidden", "invalid_"):
            assert foreign not in hint


def test_a_role_is_named_that_the_vault_knows() -> None:
    denied = AzureFault(Action.UNWRAP, 403, "Forbidden", "ForbiddenByRbac")
    hint = wrap_error(denied, OURS).hint
    assert "role Key Vault Crypto Service Encryption User to the application our-app" in hint
    assert "Microsoft.KeyVault/vaults/keys/unwrap/action" in hint
    hsm = replace(OURS, key=VaultKey("acme.managedhsm.azure.net", "coffer"))
    assert "Managed HSM Crypto Service Encryption User" in wrap_error(denied, hsm).hint
