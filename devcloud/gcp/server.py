"""Three listeners that are Cloud KMS (gRPC, TLS), IAM (HTTPS) and a machine's metadata (HTTP)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcloud.control_door import PREFIX
from devcloud.faults import Faults
from devcloud.gcp.cloud import Cloud
from devcloud.gcp.control import GcpControl
from devcloud.gcp.control_api import control_door
from devcloud.gcp.errors import IAM_CREDENTIALS, KMS
from devcloud.gcp.iam import IamEndpoint
from devcloud.gcp.metadata import MetadataEndpoint
from devcloud.gcp.rpc import KmsEndpoint, KmsServer
from devcloud.gcp.seed import announcement, sow
from devcloud.gcp.tokens import Tokens
from devcloud.http import HttpServer
from devcloud.ledger import Ledger
from devcloud.snapshots import InMemory
from devcloud.stand_in import ANY_PORT, Address, StandIn
from devcloud.tls import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from devcloud.gcp.snapshot import World
    from devcloud.http import HttpAnswer, HttpRequest
    from devcloud.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the three listen; port 0 takes any free one."""

    kms: Address = ANY_PORT
    iam: Address = ANY_PORT
    metadata: Address = ANY_PORT


class GcpServer(StandIn):
    """The stand-in of Google Cloud; `with GcpServer.seeded() as gcp:` is what most tests want.

    Make it after any fork: grpc's threads do not survive one.

    `folder` keeps the certificate authority; None makes a private folder that `stop` removes.
    """

    def __init__(
        self, cloud: Cloud, *, listeners: Listeners | None = None, folder: Path | None = None
    ) -> None:
        super().__init__(Faults())
        listeners = listeners or Listeners()
        self._cloud = cloud
        self._listeners = listeners
        self._folder = folder
        parts = (cloud, Tokens(cloud), self._faults, Ledger())
        self._iam_endpoint = IamEndpoint(*parts)
        self._metadata_endpoint = MetadataEndpoint(*parts)
        self._door = control_door(*parts)
        self._kms = KmsServer(KmsEndpoint(*parts), host=listeners.kms[0], port=listeners.kms[1])
        self._metadata = HttpServer(
            self._plain,
            host=listeners.metadata[0],
            port=listeners.metadata[1],
            on_stop=self._faults.close,
        )
        self._iam: HttpServer | None = None
        self._authority: Authority | None = None

    @classmethod
    def seeded(
        cls,
        snapshots: Snapshots[World] | None = None,
        *,
        listeners: Listeners | None = None,
        folder: Path | None = None,
    ) -> GcpServer:
        """A server with an operator and a customer, in memory unless snapshots are given."""
        cloud = Cloud(snapshots or InMemory())
        sow(cloud)
        return cls(cloud, listeners=listeners, folder=folder)

    def _open(self) -> None:
        self._authority = Authority(self._folder_or_own(self._folder))
        self._authority.open()
        host, port = self._listeners.iam
        self._iam = HttpServer(
            self._iam_endpoint.answer,
            host=host,
            port=port,
            on_stop=self._faults.close,
            tls=self._authority.server_context((IAM_CREDENTIALS,)),
        )
        self._serve(self._iam)
        self._serve(self._metadata)
        self._kms.start(self._authority.issue((KMS,)))
        self._running.callback(self._kms.stop)

    @property
    def ca_file(self) -> Path:
        """What KMS and IAM are trusted by. Raises RuntimeError before `start`."""
        if self._authority is None:
            raise RuntimeError("the server is not running")
        return self._authority.ca_file

    def announcement(self) -> dict[str, str]:
        """What the ready file says, secrets included (see `python -m devcloud`)."""
        if self._iam is None:
            raise RuntimeError("the server is not running")
        return {
            "gcp_kms_endpoint": self._kms.listen,
            "gcp_iam_endpoint_url": f"https://{self._iam.listen}",
            "gcp_metadata_host": self._metadata.listen,
            "gcp_ca_file": str(self.ca_file.resolve()),
            "gcp_control_url": self._control_url,
            "gcp_control_token": self._cloud.control_token,
            **announcement(self._cloud),
        }

    def control(self) -> GcpControl:
        """A control client of this running server; the caller closes it."""
        return GcpControl(self._control_url, self._cloud.control_token)

    @property
    def _control_url(self) -> str:
        return f"http://{self._metadata.listen}"

    def _plain(self, request: HttpRequest) -> HttpAnswer:
        if request.target.startswith(PREFIX):
            return self._door.answer(request)
        return self._metadata_endpoint.answer(request)
