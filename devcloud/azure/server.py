"""One HTTPS port that is every vault and the login, one HTTP port for managed identity and control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devcloud.azure.cloud import Cloud
from devcloud.azure.control import AzureControl
from devcloud.azure.control_api import ControlApi
from devcloud.azure.login import LoginEndpoint
from devcloud.azure.managed_identity import PATH, ManagedIdentityEndpoint
from devcloud.azure.model import SUFFIXES
from devcloud.azure.seed import ASSERTION_SECONDS, FEDERATION, announcement, sow
from devcloud.azure.tokens import Tokens
from devcloud.azure.vault import VaultEndpoint
from devcloud.control_door import PREFIX
from devcloud.faults import Faults
from devcloud.http import HttpAnswer, HttpServer
from devcloud.ledger import Ledger
from devcloud.snapshots import InMemory
from devcloud.stand_in import ANY_PORT, Address, StandIn
from devcloud.tls import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from devcloud.azure.snapshot import World
    from devcloud.http import HttpRequest
    from devcloud.snapshots import Snapshots

_TOKEN_FILE = "federated-token"  # noqa: S105 - a file's name


class AzureServer(StandIn):
    """The stand-in of Azure; `with AzureServer.seeded() as azure:` is what most tests want.

    `folder` holds the CA and the federated token and outlives the server where it is given; without
    one they lie in a temporary folder that `stop` removes.
    """

    def __init__(
        self,
        cloud: Cloud,
        *,
        listen: Address = ANY_PORT,
        plain_listen: Address = ANY_PORT,
        folder: Path | None = None,
    ) -> None:
        super().__init__(Faults())
        self._cloud = cloud
        self._listen = listen
        self._folder = folder
        self._tokens = Tokens(cloud)
        parts = (cloud, self._tokens, self._faults, Ledger())
        self._login = LoginEndpoint(*parts)
        self._vaults = VaultEndpoint(*parts, authority=lambda: self.url)
        self._identity = ManagedIdentityEndpoint(*parts)
        self._control = ControlApi(*parts)
        self._https: HttpServer | None = None
        self._http = HttpServer(
            self._route_plain,
            host=plain_listen[0],
            port=plain_listen[1],
            on_stop=self._faults.close,
        )

    @classmethod
    def seeded(
        cls,
        snapshots: Snapshots[World] | None = None,
        *,
        listen: Address = ANY_PORT,
        plain_listen: Address = ANY_PORT,
        folder: Path | None = None,
    ) -> AzureServer:
        """A server with an operator and a customer, in memory unless snapshots are given."""
        cloud = Cloud(snapshots or InMemory())
        sow(cloud)
        return cls(cloud, listen=listen, plain_listen=plain_listen, folder=folder)

    def _open(self) -> None:
        self._folder = self._folder_or_own(self._folder)
        authority = Authority(self._folder)
        authority.open()
        self._write_federated_token()
        self._https = HttpServer(
            self._route,
            host=self._listen[0],
            port=self._listen[1],
            on_stop=self._faults.close,
            tls=authority.server_context(f"*.{suffix}" for suffix in SUFFIXES),
        )
        self._serve(self._https)
        self._serve(self._http)

    @property
    def url(self) -> str:
        """The HTTPS address of the vaults and the login. Raises RuntimeError before `start`."""
        if self._https is None:
            raise RuntimeError("the server is not running")
        return f"https://{self._https.listen}"

    @property
    def plain_url(self) -> str:
        """The HTTP address of managed identity and control. Raises RuntimeError before `start`."""
        return f"http://{self._http.listen}"

    @property
    def ca_file(self) -> Path:
        """What clients have to trust, PEM. Raises RuntimeError before `start`."""
        return Authority(self._place).ca_file

    def announcement(self) -> dict[str, str]:
        """What the ready file says, secrets included (see `python -m devcloud`)."""
        return {
            "azure_vault_endpoint_url": self.url,
            "azure_authority_url": self.url,
            "azure_ca_file": str(self.ca_file),
            "azure_identity_endpoint": f"{self.plain_url}{PATH}",
            "azure_identity_header": self._cloud.identity_header,
            "azure_federated_token_file": str(self._place / _TOKEN_FILE),
            "azure_control_url": self.plain_url,
            "azure_control_token": self._cloud.control_token,
            **announcement(self._cloud),
        }

    def control(self) -> AzureControl:
        """A control client of this running server; the caller closes it."""
        return AzureControl(self.plain_url, self._cloud.control_token)

    @property
    def _place(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the server is not running")
        return self._folder

    def _write_federated_token(self) -> None:
        path = self._place / _TOKEN_FILE
        path.touch(mode=0o600)
        path.write_text(self._tokens.assertion(FEDERATION, seconds=ASSERTION_SECONDS))

    def _route(self, request: HttpRequest) -> HttpAnswer:
        if self._login.serves(request):
            return self._login.answer(request)
        return self._vaults.answer(request)

    def _route_plain(self, request: HttpRequest) -> HttpAnswer:
        if request.target.startswith(PREFIX):
            return self._control.answer(request)
        if request.method == "GET" and request.target.partition("?")[0] == PATH:
            return self._identity.answer(request)
        return HttpAnswer(404, b"devcloud serves managed identity here\n")
