"""`coffer secrets set`: a new value for a secret that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes
from cli.stored.calls import IfMatch, ItsEnvironment, Which, path_of, show_value
from cli.stored.certificates import refusals
from cli.stored.certificates.gathering import (
    CertificateType,
    KeyFile,
    PassphraseFile,
    PassphrasePrompt,
    gather,
)
from cli.stored.strings import ValueFile, value_from
from cli.v1.calls import given, v1_api

CertificateFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--certificate-file",
        metavar="FILE",
        help="Certificates: as FILE of `coffer secrets import-certificate`; may be repeated.",
    ),
]


def set_(
    *,
    secret: Which,
    from_file: ValueFile = None,
    certificate_file: CertificateFiles = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_prompt: PassphrasePrompt = False,
    certificate_type: CertificateType = None,
    environment: ItsEnvironment = None,
    if_match: IfMatch = None,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a secret a new value: a string read as by `coffer secrets create`, or a certificate's files.

    The values before stay in its history: `coffer secrets history`, `coffer secrets restore`.

    Example: coffer secrets set DB_PASSWORD --from-file new-password.txt --if-match 3

    Example: coffer secrets set MY_TLS_CERT --certificate-file new.crt --key-file new.key

    Exit status: 0 stored, 1 tenant sealed, service busy or failing, or no value or a file cannot be used, 2
    contradicting options, 3 no stack found or reachable, 4 refused, no such secret, or --if-match is not the
    current version.
    """
    files = certificate_file or []
    _refuse_contradictions(
        certificate=bool(files),
        value=from_file is not None,
        details=bool(key or passphrase_file or passphrase_prompt or certificate_type),
    )
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        path = f"{path_of(api, secret)}/value"
        body: dict[str, Any] = given(environment=environment)
        if files:
            sent = gather(files, key, passphrase_file, certificate_type, ask=passphrase_prompt)
            with refusals.with_files(sent):
                done = api.put(path, sent.fields() | body, if_match=if_match)["data"]
        else:
            value = {"value": value_from(from_file)}
            done = api.put(path, value | body, if_match=if_match)["data"]
    show_value(done, as_json=as_json)


def _refuse_contradictions(*, certificate: bool, value: bool, details: bool) -> None:
    if certificate and value:
        raise typer.BadParameter("a value is a string or a certificate, not both")
    if details and not certificate:
        raise typer.BadParameter(
            "the key, its passphrase and the type belong to a certificate: give --certificate-file"
        )
