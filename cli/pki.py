"""`coffer pki issue`: a CA and a certificate for each process of a deployment."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import Annotated

import typer

from cli.exits import Exit
from cli.local.authority import LeafNames
from cli.local.pki import LOCALHOST, LOOPBACK, OPERATOR, TRUST_DOMAIN, DeploymentPki
from cli.local.services import SERVICES

POSTGRES = "postgres"
PROCESSES = (*SERVICES, POSTGRES)
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_MAX_HOST = 253
_CONSUMER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One certificate: the folder's name and the names in it."""

    folder: str
    names: LeafNames


def application() -> typer.Typer:
    """`coffer pki` with its commands."""
    app = typer.Typer(no_args_is_help=True, add_completion=False)
    app.callback()(_pki)
    app.command("issue")(issue)
    return app


def _pki() -> None:
    """Certificates for mutual TLS between the processes."""


def issue(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the CA and the certificates are kept.")
    ],
    name: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A process; may be repeated. One of {', '.join(PROCESSES)}; or {OPERATOR}, who may turn"
            " the platform's key."
        ),
    ] = None,
    consumer: Annotated[
        list[str] | None,
        typer.Option(help="A consumer, who may fetch values by AccessSecret; may be repeated."),
    ] = None,
    dns: Annotated[
        list[str] | None,
        typer.Option(help="A further host name or address to be valid for; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Issue what is missing or due for renewal, keep the rest. For every process if none is named.

    Makes DIR/ca (certificate and private key: keep it off the machines that run Coffer), and for
    each process DIR/NAME with ca.crt, tls.crt and tls.key (a consumer's: DIR/consumer-NAME), files 0600.
    The operator's (--name operator) is for `coffer kms rekey-platform`, and made only when named.
    A certificate is valid for NAME, localhost and 127.0.0.1, and for what --dns adds, also when it is
    renewed later without --dns. Its identity is spiffe://coffer/NAME or spiffe://coffer/consumer/NAME.
    Processes read their files at start: restart those whose certificate was issued anew.

    Example: coffer pki issue --dir /etc/coffer/pki --name gateway --dns coffer.example.com

    Exit status: 0 done, 1 the folder cannot be written, 2 a name that cannot be in a certificate.
    """
    hosts = [_host(text) for text in dns or []]
    everybody = PROCESSES if name is None and consumer is None else ()
    wanted = [_process(one, hosts) for one in name or everybody]
    wanted += [_consumer(one) for one in consumer or []]
    authority = DeploymentPki(directory)
    try:
        made = {one.folder: authority.issue(one.folder, one.names) for one in wanted}
    except OSError as error:
        typer.echo(f"coffer pki issue: {error.filename or directory}: {error.strerror}", err=True)
        raise typer.Exit(Exit.FAILED) from None
    if as_json:
        typer.echo(json.dumps({"dir": str(directory), "issued": made}))
        return
    for folder, new in made.items():
        typer.echo(f"{'issued' if new else 'kept  '}  {directory / folder / 'tls.crt'}")


def _process(name: str, hosts: list[str]) -> _Wanted:
    if name == OPERATOR:
        return _Wanted(OPERATOR, LeafNames(f"{TRUST_DOMAIN}/{OPERATOR}", (), ()))  # as a consumer's
    if name not in PROCESSES:
        raise typer.BadParameter(f"{name}: is not one of {', '.join((*PROCESSES, OPERATOR))}")
    uri = None if name == POSTGRES else f"{TRUST_DOMAIN}/{name}"  # PostgreSQL is no caller of ours
    return _Wanted(name, _names(uri, name, hosts))


def _consumer(name: str) -> _Wanted:
    if not _CONSUMER.fullmatch(name):
        raise typer.BadParameter(f"{name}: 1 to 63 of a-z 0-9 . _ -, beginning with a-z 0-9")
    # No host of its own: it is a client, and must not be able to pose as a service.
    uri = f"{TRUST_DOMAIN}/consumer/{name}"
    return _Wanted(f"consumer-{name}", LeafNames(uri, (), ()))


def _names(uri: str | None, own: str, hosts: list[str]) -> LeafNames:
    addresses = [host for host in hosts if _is_address(host)]
    dns = [host for host in hosts if not _is_address(host)]
    return LeafNames(
        uri=uri,
        dns=tuple(dict.fromkeys([own, LOCALHOST, *dns])),
        addresses=tuple(dict.fromkeys([LOOPBACK, *addresses])),
    )


def _host(text: str) -> str:
    """A host as it goes into a certificate, or an address in its canonical form."""
    if _is_address(text):
        return str(ipaddress.ip_address(text))
    host = text.lower().rstrip(".")
    if len(host) > _MAX_HOST or not _HOST.fullmatch(host):
        raise typer.BadParameter(f"{text}: is neither a host name nor an address")
    return host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
