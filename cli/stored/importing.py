"""`coffer secrets import-certificate`: what people have in files, stored as one secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.api import ApiError
from cli.commands import AsJson, DataDir, exit_codes, fail, show_json
from cli.exits import Exit
from cli.stored import refusals
from cli.stored.calls import PATH, Description, Environment, Name, given, v1_api
from cli.stored.certificate_files import (
    CertificateType,
    Files,
    KeyFile,
    PassphraseFile,
    PassphrasePrompt,
    gather,
)
from cli.stored.local_reading import read_here
from cli.stored.picture import chain_of, show_picture
from services.secrets.certificates import (
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    CertificateRefused,
)

if TYPE_CHECKING:
    from cli.stored.certificate_files import Given
    from cli.stored.picture import Link


def import_certificate(
    *,
    name: Name,
    files: Files,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_prompt: PassphrasePrompt = False,
    certificate_type: CertificateType = None,
    description: Description = None,
    environment: Environment = None,
    collection: Annotated[str | None, typer.Option(help="Id of the collection it is in.")] = None,
    expires_at: Annotated[
        str | None,
        typer.Option(help="RFC 3339, with an offset. Default: when the certificate expires."),
    ] = None,
    strict_expiry: Annotated[
        bool, typer.Option("--strict-expiry", help="Give it to nobody once it has expired.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Store a certificate with its chain and, if there is one, its private key and passphrase.

    The passphrase is never an argument, where the shell's history and every process could read it.
    `coffer secrets inspect` shows beforehand what would be stored. See docs/certificates.md.

    Example: coffer secrets import-certificate MY_TLS_CERT tls.crt chain.pem --key tls.key

    Example: coffer secrets import-certificate MY_PFX server.pfx --passphrase-prompt

    Example: coffer secrets import-certificate MY_PFX server.pfx --passphrase-file <(pass show pfx)

    Exit status: 0 stored, 1 a file cannot be used, 2 contradicting options, 3 no stack found or
    reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir) as api:
        sent = gather(files, key, passphrase_file, certificate_type, ask=passphrase_prompt)
        body: dict[str, Any] = {"name": name, "certificate_content": sent.content}
        body |= given(
            certificate_type=sent.certificate_type,
            private_key=sent.private_key,
            passphrase=sent.passphrase,
            description=description,
            environment=environment,
            collection_id=collection,
            expires_at=expires_at,
            strict_expiry_enforcement=strict_expiry or None,
        )
        try:
            row = api.post(f"{PATH}/certificate", body)["data"]
        except ApiError as error:
            code = Exit.REFUSED if error.refused else Exit.FAILED
            fail(refusals.of_the_server(error, sent), code)
    if as_json:
        show_json(row)
        return
    typer.echo(f"{row['name']} stored in {row['base_environment']}, id {row['id']}\n")
    now = datetime.now(UTC)
    show_picture(row["certificate_type"], row["metadata"], _chain(sent, now), now)


def _chain(sent: Given, now: datetime) -> list[Link]:
    """What the API does not tell. It is stored already: when it cannot be told here either, so be it."""
    try:
        return chain_of(read_here(sent, now).normal_form)
    except (CertificateRefused, CertificateReaderUnavailable, CertificateReaderFailed):
        return []
