"""Structured logs with redaction, and metrics.

Logs are JSON lines on standard error. Redaction is the last line of defence and not the first: code
never logs a message, a body or an exception's text that may hold a secret.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.common.defects import describe
from services.common.sensitive import REDACTED

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SENSITIVE_NAMES: Final = re.compile(
    r"(?i)(authorization|api_?key$|token|passphrase|password|private_?key|plaintext|secret_?value"
    r"|client_secret|certificate_content|database_url|dsn)"
)
_SENSITIVE_TEXT: Final = re.compile(
    r"tk_(?:live|test)_[0-9A-Za-z]+"
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|ya29\.[\w.-]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    re.DOTALL,
)
_QUIET: Final = (
    "boto3",
    "botocore",
    "urllib3",
    "s3transfer",
    "httpx",
    "httpcore",
    "azure",
    "msal",
    "aiohttp",
    "google",
    "requests",
)

FLUSH_SECONDS: Final = 0.2
FLUSH_BYTES: Final = 64 * 1024

LATENCY_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: hides members by name and anything that looks like a credential."""
    for name, value in event.items():
        event[name] = REDACTED if _SENSITIVE_NAMES.search(name) else _clean(value)
    return event


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _SENSITIVE_TEXT.sub(REDACTED, value)
    if isinstance(value, bytes | bytearray | memoryview):
        return REDACTED
    if isinstance(value, dict):
        return {
            str(name): REDACTED if _SENSITIVE_NAMES.search(str(name)) else _clean(member)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(member) for member in value]
    if isinstance(value, int | float | bool) or value is None:
        return value
    return _SENSITIVE_TEXT.sub(REDACTED, str(value))


class BufferedHandler(logging.StreamHandler[Any]):
    """Writes many lines at once: each write costs a busy process more than making its line does.

    A line waits at most FLUSH_SECONDS of a running event loop, or until FLUSH_BYTES wait; a warning, and
    what is logged where no event loop runs, is written at once. Not promised: that lines which wait survive
    SIGKILL. They are told and not audited; audit events are in the database before an answer is sent.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as the library does it: logging never stops the work
            self.handleError(record)
            return
        self._waiting.append(line + self.terminator)
        self._bytes += len(line)
        if record.levelno >= logging.WARNING or self._bytes >= FLUSH_BYTES or not self._later():
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self.lock:  # type: ignore[union-attr]
            text, self._waiting, self._bytes = "".join(self._waiting), [], 0
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if text:
                self.stream.write(text)
        super().flush()

    def _later(self) -> bool:
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return False
            self._timer = loop.call_later(FLUSH_SECONDS, self.flush)
        return True


def configure_logging(service: str, level: str = "info") -> None:
    """Send every log line of this process, the libraries' too, as redacted JSON to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_service(service),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = BufferedHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _drop_exception],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,  # of our lines and of the libraries' alike: the last step before the text
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _name_service(service: str) -> Any:
    def add(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
        event["service"] = service
        return event

    return add


def _drop_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
    """A library's exception text may quote what it was given: keep the type and the place."""
    record = event.get("_record")
    if record is not None and record.exc_info:
        if record.exc_info[1] is not None:
            event.update(describe(record.exc_info[1]))
        record.exc_info = None
        record.exc_text = None
    event.pop("exc_info", None)
    return event


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self.service = service
        self.calls = Counter(
            "coffer_rpc_calls_total",
            "Calls answered, by rpc and contract code.",
            ("service", "rpc", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "coffer_rpc_seconds",
            "Seconds from the first byte of a call to its answer.",
            ("service", "rpc"),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.copies = Counter(
            "coffer_idempotency_copies_total",
            "Requests that met their idempotency key: replayed, conflict (another request), taken_over.",
            ("service", "outcome"),
            registry=self.registry,
        )
        self.ready = Gauge(
            "coffer_ready", "1 while the process is ready.", ("service",), registry=self.registry
        )

    def copy(self, outcome: str) -> None:
        """A request met its idempotency key: see `services.common.idempotency.guard`."""
        self.copies.labels(self.service, outcome).inc()
