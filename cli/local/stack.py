"""A whole Coffer on one machine: PostgreSQL, the cloud stand-in if wanted, the four services.

What is promised: everything persistent is below one data directory; whatever is killed at whatever
moment, the next start goes on with nothing acknowledged lost; `stop` leaves no process behind, and
`start` ends what a killed predecessor left.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from cli.local.credentials import Credentials, GrpcTargets
from cli.local.database_urls import role_url
from cli.local.demo_tenant import CONSUMER_SPIFFE_PATH, SLUG, DemoTenant, ensure_demo_tenant
from cli.local.devcloud import NAME as DEVCLOUD
from cli.local.devcloud import PORTS as DEVCLOUD_PORTS
from cli.local.devcloud import RunningDevcloud, devcloud_spec, running_devcloud
from cli.local.directory import DataDirectory
from cli.local.errors import LocalError, StartCancelledError
from cli.local.issuer import DevelopmentIssuer
from cli.local.journal import Journal
from cli.local.keys import LocalKeys
from cli.local.pki import OPERATOR, DevelopmentPki
from cli.local.ports import PortReservations
from cli.local.postgres import Postgres
from cli.local.programs import Parts, database_faults, product_parts
from cli.local.records import ProcessRecords
from cli.local.services import (
    GATEWAY,
    GRPC_SERVICES,
    PORT_NAMES,
    SERVICES,
    StackFacts,
    service_specs,
)
from cli.local.supervisor import Event, Supervisor

ORPHAN_SECONDS = 10.0
ADMIN = "admin"
DATABASE_URL = "COFFER_DATABASE_URL"


class Stack:
    """Starts, watches and stops the stack of one data directory. Also drives it for tests."""

    def __init__(
        self,
        data_dir: Path,
        *,
        http_port: int = 0,
        devcloud: bool = False,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        parts: Parts | None = None,
        operator: Mapping[str, str] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        """Does no I/O.

        `settings` override environment variables: one of a service (COFFER_KMS_...) reaches that
        service, any other all of them. `durable=False` is for tests (fsync off; a crash of the
        machine may lose data, a killed process not). `operator` is the environment of the person
        who starts it, default ours; with COFFER_DATABASE_URL in it no PostgreSQL is started.
        """
        self.directory = DataDirectory(data_dir.expanduser().resolve())
        self.keys = LocalKeys(self.directory.secrets)
        self._http_port = http_port
        self._with_devcloud = devcloud
        self._settings = dict(settings or {})
        self._operator = dict(os.environ if operator is None else operator)
        self._durable = durable
        self._parts = parts
        self._on_event = on_event
        self._ports = PortReservations()
        self._supervisor: Supervisor | None = None
        self._cloud: RunningDevcloud | None = None
        self._credentials: Credentials | None = None
        self._admin_dsn: str | None = None
        self._undo = contextlib.ExitStack()

    def start(self, cancelled: threading.Event | None = None) -> Credentials:
        """Start everything; return when every service is ready and the credentials are written.

        Raises LocalError (AlreadyRunningError, PortTakenError, NotPassableError, ChildFailedError,
        StartCancelledError when `cancelled` was set meanwhile...) and then leaves nothing running.
        """
        if self._supervisor is not None:
            raise LocalError("this stack has been started already")
        try:
            return self._start(cancelled or threading.Event())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in reverse order and give the directory back. May be called twice."""
        self._undo.close()
        self._supervisor = self._credentials = self._cloud = self._admin_dsn = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def credentials(self) -> Credentials:
        """What `credentials.json` holds. Raises LocalError while not started."""
        return _started(self._credentials)

    @property
    def devcloud(self) -> RunningDevcloud:
        """The cloud stand-in with its control token. Raises LocalError when there is none."""
        return _started(self._cloud)

    @property
    def admin_dsn(self) -> str:
        """The administrator's database URL. Raises LocalError while not started."""
        return _started(self._admin_dsn)

    def role_dsn(self, role: str) -> str:
        """The database URL of a login role, e.g. `coffer_secrets`."""
        return role_url(self.admin_dsn, role, self.keys.password(role))

    def log_file(self, name: str) -> Path:
        """The log of a child, or of the `supervisor`."""
        return self.directory.logs / f"{name}.log"

    def address(self, name: str) -> str:
        """`host:port` of a service, of `devcloud`, or of e.g. `kms-metrics`."""
        return self._ports[name].address

    def pid(self, name: str) -> int:
        """The present process id of a child. Raises LocalError while it is down."""
        return _started(self._supervisor).pid(name)

    def kill(self, name: str) -> int:
        """SIGKILL a child, as a crash would; it is restarted. Returns the pid that was killed."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_ready(self, name: str, *, other_than: int | None = None, seconds: float = 60) -> int:
        """Wait until a child is ready (again, under another pid than that); return its pid."""
        return _started(self._supervisor).wait_ready(name, seconds, other_than=other_than)

    def _start(self, cancelled: threading.Event) -> Credentials:
        self._undo.enter_context(self.directory.held())
        parts = self._parts or product_parts()
        self._withdraw_credentials()
        records = ProcessRecords(self.directory.run)
        journal = Journal(self.log_file("supervisor"), self._on_event)
        for pid in records.end_orphans(ORPHAN_SECONDS):
            journal(Event("orphan", "ended", pid, "left by an earlier supervisor"))
        self._reserve_ports()
        postgres = self._postgres(parts)
        supervisor = self._supervisor = Supervisor(records, journal)
        self._undo.callback(supervisor.stop)
        if postgres is not None:
            supervisor.start([postgres.spec(self.log_file("postgres"))], cancelled)
        self._admin_dsn = self._operator[DATABASE_URL] if postgres is None else postgres.dsn()
        passwords = {role: self.keys.password(role) for role in parts.roles}
        with database_faults():
            parts.migrate(self._admin_dsn, passwords)
            demo = ensure_demo_tenant(parts.tenancy, self._admin_dsn, self.keys.demo_tenant_file)
        if cancelled.is_set():
            raise StartCancelledError
        self._write_database_urls(self._admin_dsn, parts)
        if self._with_devcloud:
            self._cloud = self._start_devcloud(supervisor, parts, demo, cancelled)
        supervisor.start(service_specs(self._facts(), parts.argv), cancelled)
        self._undo.callback(self._withdraw_credentials)  # the first thing to go at the stop
        self._credentials = self._make_credentials(demo)
        self._credentials.write(self.directory)
        return self._credentials

    def _withdraw_credentials(self) -> None:
        self.directory.credentials_file.unlink(missing_ok=True)

    def _reserve_ports(self) -> None:
        self._undo.callback(self._ports.close)
        names = (*PORT_NAMES, *DEVCLOUD_PORTS) if self._with_devcloud else PORT_NAMES
        self._ports.reserve(names, wanted={GATEWAY: self._http_port})

    def _postgres(self, parts: Parts) -> Postgres | None:
        # Keys first: a cluster must never exist without the password and master key it needs.
        if self._operator.get(DATABASE_URL):
            self.keys.ensure(parts.roles, database_exists=False)
            return None
        folder = self.directory.postgres
        self.keys.ensure(parts.roles, database_exists=Postgres.exists_in(folder))
        postgres = Postgres(folder, self.keys.superuser_password(), durable=self._durable)
        postgres.prepare()
        self._undo.callback(postgres.forget_socket)
        return postgres

    def _write_database_urls(self, admin_dsn: str, parts: Parts) -> None:
        self.keys.write_dsn(ADMIN, admin_dsn)
        for role in parts.roles:
            self.keys.write_dsn(role, self.role_dsn(role))

    def _start_devcloud(
        self, supervisor: Supervisor, parts: Parts, demo: DemoTenant, cancelled: threading.Event
    ) -> RunningDevcloud:
        external_id = f"coffer-{demo.tenant_id}"
        spec = devcloud_spec(
            parts.argv[DEVCLOUD],
            self.directory,
            self._ports.addresses(),
            external_id,
            self._operator,
        )
        supervisor.start([spec], cancelled)
        return running_devcloud(self.directory)

    def _facts(self) -> StackFacts:
        DevelopmentIssuer(self.keys.issuer_key_file).write_jwks(self.keys.jwks_file)
        return StackFacts(
            directory=self.directory,
            keys=self.keys,
            addresses=self._ports.addresses(),
            identities=DevelopmentPki(self.directory.pki).identities(SERVICES),
            cloud=None if self._cloud is None else self._cloud.kms_environment(),
            overrides=self._settings,
            operator=self._operator,
        )

    def _make_credentials(self, demo: DemoTenant) -> Credentials:
        pki = DevelopmentPki(self.directory.pki)
        pki.identity(OPERATOR, OPERATOR)
        client = pki.identity("consumer-dev", CONSUMER_SPIFFE_PATH)
        return Credentials(
            base_url=f"http://{self.address(GATEWAY)}",
            tenant_id=demo.tenant_id,
            tenant_slug=SLUG,
            api_key=demo.api_key,
            admin_jwt=DevelopmentIssuer(self.keys.issuer_key_file).admin(demo.tenant_id),
            grpc=GrpcTargets(**{name: self.address(name) for name in GRPC_SERVICES}),
            ca_file=str(client.ca_file),
            client_cert_file=str(client.cert_file),
            client_key_file=str(client.key_file),
            devcloud=None if self._cloud is None else self._cloud.key,
        )


T = TypeVar("T")


def _started(value: T | None) -> T:
    if value is None:
        raise LocalError("this is not running")
    return value
