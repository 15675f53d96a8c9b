"""`DIR/credentials.json`: what a script needs to use a running local stack.

The file exists only while every service is ready, so waiting for it is waiting for the stack.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cli.local.directory import DataDirectory
from cli.local.errors import LocalError
from cli.local.files import write_private


class NotRunningError(LocalError):
    """No stack is ready on the data directory."""


@dataclass(frozen=True, slots=True)
class GrpcTargets:
    """`host:port` of each service; certificates are valid for localhost and 127.0.0.1."""

    kms: str
    secrets: str
    rewrap: str


@dataclass(frozen=True, slots=True)
class DevcloudKey:
    """A key in each stand-in cloud, and what else its onboarding takes."""

    aws_endpoint_url: str
    aws_key_arn: str
    aws_role_arn: str
    aws_external_id: str
    gcp_key: str
    gcp_service_account: str
    azure_key: str
    azure_tenant_id: str
    azure_client_id: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """The content of the file, member for member."""

    base_url: str
    tenant_id: str
    tenant_slug: str
    api_key: str = field(repr=False)
    admin_jwt: str = field(repr=False)
    grpc: GrpcTargets
    ca_file: str
    client_cert_file: str
    client_key_file: str
    devcloud: DevcloudKey | None

    def write(self, directory: DataDirectory) -> None:
        """Make the file appear, mode 0600, by atomic rename."""
        write_private(directory.credentials_file, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, data_dir: Path) -> "Credentials":
        """Those of the stack running on `data_dir`.

        Raises NotRunningError when there is no file. A file alone does not promise that its stack
        still runs: a killed supervisor leaves it behind until the next start.
        """
        file = DataDirectory(data_dir).credentials_file
        try:
            content = json.loads(file.read_bytes())
        except FileNotFoundError:
            raise NotRunningError(
                f"no running stack in {data_dir} ({file} is missing); start one with `coffer up`"
            ) from None
        targets = GrpcTargets(**content.pop("grpc"))
        cloud = content.pop("devcloud")
        key = None if cloud is None else DevcloudKey(**cloud)
        return cls(**content, grpc=targets, devcloud=key)
