"""What to do about each fault, for the tenant's administrator. Pure; sentences of ours only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.kms.model import Reason

if TYPE_CHECKING:
    from services.kms.providers.gcp.errors import Action, Parties

_RETRY: Final = "Nothing was changed; a retry is safe."
_PROJECT: Final = (
    "Google does not let the project {project} use Cloud KMS: its Cloud KMS API (cloudkms.googleapis.com)"
    " must be enabled and its billing account in order."
)

_SPECIAL: Final = {
    "own": "Google does not accept the platform's own identity at present; its operator has to look."
    " Nothing was changed, and a retry is safe.",
    "login": "Grant roles/iam.serviceAccountTokenCreator (it gives {action}) on the service account {caller}"
    " to the principal {principal}. The service account must exist and be enabled; a new grant takes some"
    " minutes.",
    "login_request": "Google refused the request {action}. Check config.impersonate_service_account.",
    "KEY_DISABLED": "{version} is disabled. Enable it{or_primary}.",
    "KEY_DESTROY_SCHEDULED": "{version} is scheduled for destruction. Restore it and enable it.",
    "KEY_DESTROYED": "{version} is destroyed. What only it can open is lost{or_primary}.",
    "KEY_PENDING_GENERATION": "{version} is not generated yet. Try again in a minute.",
    "KEY_PENDING_IMPORT": "{version} is not imported yet. Finish the import.",
    "EXTERNAL_PERMISSION_DENIED": "The external key manager of {key} refused Google. Allow Google's service"
    " agent to use the key there; Google may have disabled the version, which then must be enabled.",
    "EXTERNAL_NOT_FOUND": "The external key manager of {key} does not know the key. Check its URI or path.",
    "ACCOUNT_STATE_INVALID": "The service account {caller} is disabled or deleted. Enable it.",
    "USER_PROJECT_DENIED": "Grant roles/serviceusage.serviceUsageConsumer (it gives"
    " serviceusage.services.use) on the project {project} to {caller}, or leave config.project_id out.",
    "SERVICE_DISABLED": _PROJECT,
    "BILLING_DISABLED": _PROJECT,
    "CONSUMER_INVALID": _PROJECT,
    "CONSUMER_SUSPENDED": _PROJECT,
    "GCP_SUSPENDED": _PROJECT,
    "RESOURCE_PROJECT_INVALID": _PROJECT,
}
"""By `errors._about`."""

_BY_REASON: Final = {
    Reason.ACCESS_DENIED: "Grant roles/cloudkms.cryptoKeyEncrypterDecrypter (it gives {action}) on {key} to"
    " {caller}. Google answers the same where there is no such key, and where a deny policy or a VPC service"
    " perimeter forbids it; a new grant takes some minutes.",
    Reason.KEY_NOT_FOUND: "There is no key {key}, or none of its versions is left. Looked for with {action}"
    " as {caller}.",
    Reason.KEY_DISABLED: "{version} is in a state in which it cannot be used: disabled, destroyed, scheduled"
    " for destruction, or there is no primary version. Restore and enable it{or_primary}.",
    Reason.KEY_UNSUITABLE: "The key {key} cannot do this. Needed: purpose ENCRYPT_DECRYPT (symmetric"
    " encryption).",
    Reason.INVALID_REQUEST: "Google refused the request {action}. Check kms_key_ref: {key}.",
    Reason.THROTTLED: "Google limits the rate of {action}. " + _RETRY,
    Reason.UNREACHABLE: "Google did not answer {action}. " + _RETRY,
    Reason.ROUNDTRIP_MISMATCH: "The key {key} did not give back what was wrapped by it: it must not be used.",
}


def hint(about: str, reason: Reason, action: Action, parties: Parties) -> str:
    """The sentence for `about`, or if there is none for the reason."""
    caller = parties.account or parties.principal or "the identity that kms runs as"
    text = _SPECIAL.get(about) or _BY_REASON[reason]
    primary = parties.version is None
    return text.format(
        action=action.value,
        key=parties.key,
        version=f"The primary version of {parties.key}"
        if primary
        else f"The version {parties.version}",
        or_primary=", or make another version the primary one" if primary else "",
        caller=caller,
        principal=parties.principal or "that the platform shows (GET /admin/tenant-kms/setup)",
        project=parties.quota_project or f"of {caller} or of the key",
    )
