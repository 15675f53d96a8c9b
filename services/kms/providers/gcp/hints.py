"""What to do about each fault, for the tenant's administrator. Pure; sentences of ours only.

Each ends with what was asked for, of which key, by whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.kms.model import Reason

if TYPE_CHECKING:
    from services.kms.providers.gcp.errors import Parties

_RETRY: Final = "Nothing was changed; a retry is safe."
_PROJECT: Final = (
    "Google does not let the project {project} use Cloud KMS: its Cloud KMS API (cloudkms.googleapis.com)"
    " must be enabled and its billing account in order."
)

_SPECIAL: Final = {
    "own": "Google does not accept the platform's own identity at present; its operator has to look. "
    + _RETRY,
    "login": "Grant roles/iam.serviceAccountTokenCreator on the service account {account} to the platform's"
    " principal {principal}. The service account must exist and be enabled; a new grant takes some minutes.",
    "login_request": "Google refused the request. Check config.impersonate_service_account: {account}.",
    "KEY_DISABLED": "{version} is disabled. Enable it{or_primary}.",
    "KEY_DESTROY_SCHEDULED": "{version} is scheduled for destruction. Restore it and enable it{or_primary}.",
    "KEY_DESTROYED": "{version} is destroyed; what it alone can open is lost. Use an enabled version or key.",
    "KEY_PENDING_GENERATION": "{version} is not generated yet. Try again in a minute.",
    "KEY_PENDING_IMPORT": "{version} is not imported yet. Finish the import.",
    "EXTERNAL_PERMISSION_DENIED": "The key's external key manager refused Google. Allow Google's service"
    " agent to use the key there; Google may have disabled the version, which then must be enabled.",
    "EXTERNAL_NOT_FOUND": "The key's external key manager does not know the key. Check its URI or path.",
    "ACCOUNT_STATE_INVALID": "The service account {account} is disabled or deleted. Enable it.",
    "USER_PROJECT_DENIED": "Grant roles/serviceusage.serviceUsageConsumer (serviceusage.services.use) on the"
    " project {project} to {caller}, or leave config.project_id out.",
    "SERVICE_DISABLED": _PROJECT,
    "BILLING_DISABLED": _PROJECT,
    "CONSUMER_INVALID": _PROJECT,
    "CONSUMER_SUSPENDED": _PROJECT,
    "GCP_SUSPENDED": _PROJECT,
    "RESOURCE_PROJECT_INVALID": _PROJECT,
}
"""By `errors._about`."""

_BY_REASON: Final = {
    Reason.ACCESS_DENIED: "Grant roles/cloudkms.cryptoKeyEncrypterDecrypter on the key to {caller}. Google"
    " answers the same where there is no such key, and where a deny policy or a VPC service perimeter forbids"
    " it; a new grant takes some minutes.",
    Reason.KEY_NOT_FOUND: "There is no such key, or none of its versions is left.",
    Reason.KEY_DISABLED: "{version} cannot be used in its state: disabled, destroyed, scheduled for"
    " destruction, or there is no primary version. Restore and enable it{or_primary}.",
    Reason.KEY_UNSUITABLE: "The key cannot do this. Needed: purpose ENCRYPT_DECRYPT (symmetric encryption).",
    Reason.INVALID_REQUEST: "Google refused the request. Check kms_key_ref.",
    Reason.THROTTLED: "Google limits the rate of these calls. " + _RETRY,
    Reason.UNREACHABLE: "Google, or an external key manager behind it, did not answer. " + _RETRY,
    Reason.ROUNDTRIP_MISMATCH: "The key did not give back what was wrapped by it: it must not be used.",
}


def hint(about: str, reason: Reason, permission: str, parties: Parties, *, login: bool) -> str:
    """The sentences for `about`, or if there are none for the reason."""
    principal = parties.principal or "(GET /admin/tenant-kms/setup)"
    caller = parties.account or parties.principal or "the identity that kms runs as"
    text = _SPECIAL.get(about) or _BY_REASON[reason]
    primary = parties.version is None
    said = text.format(
        account=parties.account,
        caller=caller,
        principal=principal,
        project=parties.quota_project or f"of {caller} or of the key",
        version="The key's primary version" if primary else f"The version {parties.version}",
        or_primary=", or make an enabled version the primary one" if primary else "",
    )
    if login:
        by = parties.principal or "the platform's principal"
        asked = f"{permission} on {parties.account} as {by}, to use the key {parties.key}"
    else:
        asked = f"{permission} on {parties.key} as {caller}"
    return f"{said} (Asked for: {asked}.)"
