"""`coffer kms rekey-platform`: what the platform's own key wraps, wrapped anew under the present one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, cast

import grpc
from coffer.kms.v1 import kms_pb2, kms_pb2_grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.api import UnreachableError
from cli.commands import AsJson, DataDir, exit_codes, fail, show_facts, show_json
from cli.connection import Stack
from cli.exits import Exit
from services.common.errors import CofferError
from services.common.rpc.channel import OPTIONS, credentials_of
from services.common.rpc.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.connection import OperatorAccess

PAGE: Final = 100
PAGE_SECONDS: Final = 120.0
_PATIENCE_SECONDS: Final = 60.0
"""How long a page is tried again while kms does not answer: a restart is no reason to leave."""
_PAUSE_SECONDS: Final = 0.5
_SILENT: Final = ("unavailable", "timeout")
_REFUSED: Final = ("forbidden", "unauthenticated", "validation_error")


def rekey_platform(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Wrap every master key that the platform's own key wraps anew, under the key that is configured now.

    For the operator. Tenants' own cloud keys, versions, data keys and stored values are not touched, requests
    go on being served, and it may be run twice.

    To turn COFFER_MASTER_KEY_B64: (1) with several kms processes, give the new key as
    COFFER_MASTER_KEY_PREVIOUS_B64 to all of them and restart them: it only opens. (2) Set
    COFFER_MASTER_KEY_B64 to the new key and COFFER_MASTER_KEY_PREVIOUS_B64 to the old one, and restart every
    kms process. (3) Run this until it reports 0 rewrapped and 0 failed. (4) Remove
    COFFER_MASTER_KEY_PREVIOUS_B64, and restart every kms process.

    To move into a cloud: set COFFER_KMS_OPERATOR_PROVIDER, _KEY_REF and _CONFIG, and keep
    COFFER_MASTER_KEY_B64. To move to another cloud key or back: name the old one as
    COFFER_KMS_OPERATOR_PREVIOUS_PROVIDER, _KEY_REF and _CONFIG. Then steps 2 to 4.

    kms is found by a data directory of `coffer up`, else by COFFER_KMS_TARGET (host:port) with
    COFFER_OPERATOR_TLS_CERT_FILE, _KEY_FILE and _CA_FILE (`coffer pki issue --name operator`).

    Example: coffer kms rekey-platform

    Exit status: 0 all are under the present key, 1 some could not be opened or the present key cannot be
    used, 3 no kms found or reachable, 4 refused.
    """
    with exit_codes():
        access = Stack.locate(data_dir).operator()
        with Pages(access) as pages, Bar(Console(stderr=as_json, highlight=False)) as bar:
            done = Rekey(pages.ask, time.monotonic, time.sleep).run(bar.show)
    if as_json:
        show_json(done.facts())
    else:
        show_facts((name.replace("_", " "), value) for name, value in done.counts())
    if done.failed:
        fail(_advice(done), Exit.FAILED)


@dataclass
class Done:
    """What all pages did together."""

    examined: int = 0
    rewrapped: int = 0
    current: int = 0
    failed: int = 0
    total: int = 0
    tenants: list[str] = field(default_factory=list)

    def add(self, page: kms_pb2.RekeyPlatformResponse) -> None:
        """One page more."""
        self.examined += page.examined
        self.rewrapped += page.rewrapped
        self.current += page.current
        self.failed += page.failed
        self.total = page.total
        self.tenants += [one for one in page.failed_tenant_ids if one not in self.tenants]

    def counts(self) -> list[tuple[str, object]]:
        """The numbers, by name."""
        return [(name, getattr(self, name)) for name in ("rewrapped", "current", "failed")]

    def facts(self) -> dict[str, object]:
        """Everything, for a script."""
        return {
            "examined": self.examined,
            **dict(self.counts()),
            "failed_tenant_ids": self.tenants,
        }


class Rekey:
    """Goes through the pages."""

    def __init__(
        self,
        ask: Callable[[str], kms_pb2.RekeyPlatformResponse],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._sleep = sleep

    def run(self, show: Callable[[Done], None]) -> Done:
        """All of them.

        Leaves with a sentence and an exit code where kms refuses; raises UnreachableError where nobody
        answers the first page, or a later one within _PATIENCE_SECONDS.
        """
        done, cursor = Done(), ""
        while True:
            page = self._patiently(cursor) if cursor else self._page(cursor)
            done.add(page)
            show(done)
            cursor = page.next_cursor
            if not cursor:
                return done

    def _patiently(self, cursor: str) -> kms_pb2.RekeyPlatformResponse:
        give_up = self._clock() + _PATIENCE_SECONDS
        while True:
            try:
                return self._page(cursor)
            except UnreachableError:
                if self._clock() >= give_up:
                    raise
            self._sleep(_PAUSE_SECONDS)

    def _page(self, cursor: str) -> kms_pb2.RekeyPlatformResponse:
        try:
            return self._ask(cursor)
        except CofferError as error:
            if error.code in _SILENT:
                raise UnreachableError(
                    "kms does not answer, or does not take the operator's certificate; what was wrapped anew"
                    " stays so, and running this again goes on"
                ) from None
            text = "\n".join(part for part in (error.message, error.hint) if part)
            fail(text, Exit.REFUSED if error.code in _REFUSED else Exit.FAILED)


class Pages:
    """RekeyPlatform under the operator's certificate."""

    def __init__(self, access: OperatorAccess) -> None:
        """Reads the certificate files; connects when first used. Raises OSError."""
        tls = credentials_of(access.tls)
        self._channel = grpc.secure_channel(access.target, tls, OPTIONS)
        self._kms: Any = kms_pb2_grpc.KmsServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def ask(self, cursor: str) -> kms_pb2.RekeyPlatformResponse:
        """The page at `cursor`. Raises CofferError."""
        request = kms_pb2.RekeyPlatformRequest(cursor=cursor, limit=PAGE)
        try:
            page: kms_pb2.RekeyPlatformResponse = self._kms.RekeyPlatform(
                request, timeout=PAGE_SECONDS
            )
        except grpc.RpcError as error:
            # A finished call of the synchronous client answers the same questions.
            raise from_rpc_error(cast("grpc.aio.AioRpcError", error)) from None
        return page


class Bar:
    """A progress bar on a terminal; elsewhere nothing."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("master keys", total=None, failed="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: Done) -> None:
        """Show how far it is."""
        self._progress.update(
            self._task,
            total=max(done.total, done.examined),
            completed=done.examined,
            failed=f"{done.failed} failed" if done.failed else "",
        )


def _advice(done: Done) -> str:
    return (
        f"{done.failed} of the platform's master keys could not be wrapped anew; they stay as they are.\n"
        f"Tenants: {', '.join(done.tenants)}\n"
        "The log of kms names the cause of each. If another key wrapped them, give it to every kms process as"
        " COFFER_MASTER_KEY_PREVIOUS_B64 (or COFFER_KMS_OPERATOR_PREVIOUS_...), and run this again."
        " Remove no key until this reports 0 failed."
    )
