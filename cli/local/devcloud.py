"""The AWS stand-in as a child of the stack, and what it tells when it is ready."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.local.children import ChildSpec, ReadyFile
from cli.local.credentials import DevcloudKey
from cli.local.directory import DataDirectory
from cli.local.errors import LocalError

NAME = "devcloud"
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True, slots=True)
class RunningDevcloud:
    """A cloud with one key and one role. The control token lets a test or the demo disable keys."""

    key: DevcloudKey
    region: str
    principal_arn: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    control_token: str = field(repr=False)

    def kms_environment(self) -> dict[str, str]:
        """The operator's ambient AWS identity and the endpoints, for the kms process only."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "COFFER_KMS_AWS_STS_ENDPOINT_URL": self.key.aws_endpoint_url,
            "COFFER_KMS_AWS_KMS_ENDPOINT_URL": self.key.aws_endpoint_url,
            "COFFER_KMS_AWS_PRINCIPAL_ARN": self.principal_arn,
        }


def ready_file(directory: DataDirectory) -> ReadyFile:
    """Where the stand-in says that it is ready, and with what."""
    return ReadyFile(directory.run / f"{NAME}.ready.json")


def devcloud_spec(
    program: tuple[str, ...],
    directory: DataDirectory,
    listen: str,
    external_id: str,
    operator: Mapping[str, str],
) -> ChildSpec:
    """The child; its state (keys, their states) lives in the data directory."""
    ready = ready_file(directory)
    arguments = {
        "--listen": listen,
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
    """What the ready stand-in told. Raises LocalError when a member is missing."""
    told = ready_file(directory).content() or {}
    try:
        return RunningDevcloud(
            key=DevcloudKey(
                aws_endpoint_url=str(told["aws_endpoint_url"]),
                aws_key_arn=str(told["aws_key_arn"]),
                aws_role_arn=str(told["aws_role_arn"]),
                aws_external_id=str(told["aws_external_id"]),
            ),
            region=str(told["aws_region"]),
            principal_arn=str(told["aws_principal_arn"]),
            access_key_id=str(told["aws_access_key_id"]),
            secret_access_key=str(told["aws_secret_access_key"]),
            control_token=str(told["control_token"]),
        )
    except KeyError as error:
        raise LocalError(f"devcloud is ready but did not say {error}") from None
