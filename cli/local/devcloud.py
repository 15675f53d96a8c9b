"""The stand-in clouds as a child of the stack, and what they tell when they are ready."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from cli.local.children import ChildSpec, ReadyFile
from cli.local.credentials import DevcloudKey
from cli.local.directory import DataDirectory
from cli.local.errors import LocalError

NAME = "devcloud"
PORTS = {
    NAME: "--listen",
    f"{NAME}-gcp-kms": "--gcp-kms-listen",
    f"{NAME}-gcp-iam": "--gcp-iam-listen",
    f"{NAME}-gcp-metadata": "--gcp-metadata-listen",
    f"{NAME}-azure": "--azure-listen",
    f"{NAME}-azure-plain": "--azure-plain-listen",
}
"""The option for each port: a stand-in that is started again is where it was."""
_AWS_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_REGION": "aws_region",
    "AWS_DEFAULT_REGION": "aws_region",
    "COFFER_KMS_AWS_STS_ENDPOINT_URL": "aws_endpoint_url",
    "COFFER_KMS_AWS_KMS_ENDPOINT_URL": "aws_endpoint_url",
    "COFFER_KMS_AWS_PRINCIPAL_ARN": "aws_principal_arn",
}
_GCP_SETTINGS = {
    "GCE_METADATA_HOST": "gcp_metadata_host",
    "GCE_METADATA_IP": "gcp_metadata_host",
    "COFFER_KMS_GCP_KMS_ENDPOINT": "gcp_kms_endpoint",
    "COFFER_KMS_GCP_IAM_ENDPOINT_URL": "gcp_iam_endpoint_url",
    "COFFER_KMS_GCP_CA_FILE": "gcp_ca_file",
    "COFFER_KMS_GCP_PRINCIPAL": "gcp_principal",
}
_AZURE_SETTINGS = {
    "AZURE_FEDERATED_TOKEN_FILE": "azure_federated_token_file",
    "IDENTITY_ENDPOINT": "azure_identity_endpoint",
    "IDENTITY_HEADER": "azure_identity_header",
    "COFFER_KMS_AZURE_VAULT_ENDPOINT_URL": "azure_vault_endpoint_url",
    "COFFER_KMS_AZURE_AUTHORITY_URL": "azure_authority_url",
    "COFFER_KMS_AZURE_CA_FILE": "azure_ca_file",
    "COFFER_KMS_AZURE_APPLICATION_ID": "azure_application_id",
}
_KEY = {field.name for field in fields(DevcloudKey)}
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True, slots=True)
class RunningDevcloud:
    """Three clouds with a key in each. The control tokens let a test or the demo disable keys."""

    key: DevcloudKey
    told: Mapping[str, str] = field(repr=False)
    """What the ready file says, secrets included."""

    @property
    def control_token(self) -> str:
        """Of the AWS stand-in's control door."""
        return self.told["control_token"]

    def kms_environment(self) -> dict[str, str]:
        """The operator's ambient identities and the endpoints, for the kms process only."""
        settings = _AWS_SETTINGS | _GCP_SETTINGS | _AZURE_SETTINGS
        # Nothing of this machine's own clouds: no metadata service, no configuration of a person.
        nothing = {"AWS_EC2_METADATA_DISABLED": "true", "CLOUDSDK_CONFIG": "/nonexistent"}
        return nothing | {name: self.told[member] for name, member in settings.items()}


def ready_file(directory: DataDirectory) -> ReadyFile:
    """Where the stand-in says that it is ready, and with what."""
    return ReadyFile(directory.run / f"{NAME}.ready.json")


def devcloud_spec(
    program: tuple[str, ...],
    directory: DataDirectory,
    addresses: Mapping[str, str],
    external_id: str,
    operator: Mapping[str, str],
) -> ChildSpec:
    """The child; its state (keys, their states) lives in the data directory."""
    ready = ready_file(directory)
    arguments = {
        **{option: addresses[name] for name, option in PORTS.items()},
        "--state-dir": str(directory.devcloud),
        "--ready-file": str(ready.path),
        "--external-id": external_id,
    }
    inherited = {k: operator[k] for k in INHERITED if k in operator}
    return ChildSpec(
        name=NAME,
        argv=(*program, *(word for pair in arguments.items() for word in pair)),
        env=inherited | {"PYTHONUNBUFFERED": "1"},
        log_file=directory.logs / f"{NAME}.log",
        readiness=ready,
    )


def running_devcloud(directory: DataDirectory) -> RunningDevcloud:
    """What the ready stand-ins told. Raises LocalError when a member is missing."""
    told = {name: str(value) for name, value in (ready_file(directory).content() or {}).items()}
    needed = {*_AWS_SETTINGS.values(), *_GCP_SETTINGS.values(), *_AZURE_SETTINGS.values()}
    missing = sorted({*needed, *_KEY, "control_token"} - set(told))
    if missing:
        raise LocalError(f"devcloud is ready but did not say {missing[0]}")
    return RunningDevcloud(DevcloudKey(**{name: told[name] for name in _KEY}), told)
