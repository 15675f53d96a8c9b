"""`coffer secrets import-certificate`: what people have in files, stored as one secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from cli.commands import AsJson, DataDir, NoWait, exit_codes, show_json
from cli.stored.calls import Collection, Description, Environment, ExpiresAt, Name, Strict, details
from cli.stored.certificates import refusals
from cli.stored.certificates.gathering import (
    CertificateType,
    Files,
    KeyFile,
    PassphraseFile,
    PassphrasePrompt,
    gather,
)
from cli.stored.certificates.local_reading import read_here
from cli.stored.certificates.picture import chain_of, show_picture
from cli.v1.calls import SECRETS, v1_api
from services.secrets.certificates import (
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    CertificateRefused,
)

if TYPE_CHECKING:
    from cli.stored.certificates.gathering import Given
    from cli.stored.certificates.picture import Link


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
    collection: Collection = None,
    expires_at: ExpiresAt = None,
    strict: Strict = False,
    no_wait: NoWait = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Store a certificate with its chain and, if there is one, its private key and passphrase.

    Without --expires-at it expires when the certificate does. To replace one: `coffer secrets set`.
    The passphrase is never an argument, where the shell's history and every process could read it.
    `coffer secrets inspect` shows beforehand what would be stored. See docs/certificates.md.

    Example: coffer secrets import-certificate MY_TLS_CERT tls.crt chain.pem --key tls.key

    Example: coffer secrets import-certificate MY_PFX server.pfx --passphrase-prompt

    Example: coffer secrets import-certificate MY_PFX server.pfx --passphrase-file <(pass show pfx)

    Exit status: 0 stored, 1 tenant sealed, service busy or failing, or a file cannot be used, 2 contradicting
    options, 3 no stack found or reachable, 4 refused.
    """
    with exit_codes(), v1_api(data_dir, no_wait=no_wait) as api:
        sent = gather(files, key, passphrase_file, certificate_type, ask=passphrase_prompt)
        body = {"name": name} | sent.fields()
        body |= details(api, description, environment, collection, expires_at, strict=strict)
        with refusals.with_files(sent):
            row = api.post(f"{SECRETS}/certificate", body)["data"]
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
