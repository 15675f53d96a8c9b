"""One HTTP port that is STS, KMS and the control API of the stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devcloud.aws.cloud import Cloud
from devcloud.aws.control_api import ControlApi
from devcloud.aws.kms import TARGET_PREFIX, KmsEndpoint
from devcloud.aws.seed import DEFAULT_EXTERNAL_ID, DEFAULT_REGION, announcement, sow
from devcloud.aws.sessions import Sessions
from devcloud.aws.sts import StsEndpoint
from devcloud.control import Control
from devcloud.control_door import PREFIX
from devcloud.faults import Faults
from devcloud.http import HttpAnswer, HttpServer
from devcloud.ledger import Ledger
from devcloud.snapshots import InMemory
from devcloud.stand_in import StandIn

if TYPE_CHECKING:
    from devcloud.aws.snapshot import World
    from devcloud.http import HttpRequest
    from devcloud.snapshots import Snapshots

_FORM = "application/x-www-form-urlencoded"


class AwsServer(StandIn):
    """The stand-in of AWS; `with AwsServer.seeded() as aws:` is what most tests want."""

    def __init__(self, cloud: Cloud, *, host: str = "127.0.0.1", port: int = 0) -> None:
        faults, ledger, sessions = Faults(), Ledger(), Sessions(cloud)
        super().__init__(faults)
        self._cloud = cloud
        self._kms = KmsEndpoint(cloud, sessions, faults, ledger)
        self._sts = StsEndpoint(cloud, sessions, faults, ledger)
        self._control = ControlApi(cloud, sessions, faults, ledger)
        self._http = HttpServer(self._route, host=host, port=port, on_stop=faults.close)

    @classmethod
    def seeded(
        cls,
        snapshots: Snapshots[World] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        region: str = DEFAULT_REGION,
        external_id: str = DEFAULT_EXTERNAL_ID,
    ) -> AwsServer:
        """A server with an operator and a customer, in memory unless snapshots are given.

        `region` and `external_id` matter on the first start only; later ones keep what is stored.
        """
        cloud = Cloud(snapshots or InMemory())
        sow(cloud, region=region, external_id=external_id)
        return cls(cloud, host=host, port=port)

    def _open(self) -> None:
        self._serve(self._http)

    @property
    def listen(self) -> str:
        """`host:port` as bound."""
        return self._http.listen

    @property
    def url(self) -> str:
        """The endpoint URL for STS and KMS alike."""
        return f"http://{self.listen}"

    def announcement(self) -> dict[str, Any]:
        """What the ready file says, secrets included (see `python -m devcloud`)."""
        return {
            "listen": self.listen,
            "aws_endpoint_url": self.url,
            "control_url": self.url,
            "control_token": self._cloud.control_token,
            **announcement(self._cloud),
        }

    def control(self) -> Control:
        """A control client of this running server; the caller closes it."""
        return Control(self.url, self._cloud.control_token)

    def _route(self, request: HttpRequest) -> HttpAnswer:
        if request.target.startswith(PREFIX):
            return self._control.answer(request)
        if request.method == "POST" and request.target == "/":
            if request.headers.get("x-amz-target", "").startswith(TARGET_PREFIX):
                return self._kms.answer(request)
            if request.headers.get("content-type", "").startswith(_FORM):
                return self._sts.answer(request)
        return HttpAnswer(404, b"devcloud serves AWS STS and KMS here\n")
