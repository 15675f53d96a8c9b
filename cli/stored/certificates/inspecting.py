"""`coffer secrets inspect`: what a certificate is, and whether it would be stored."""

from __future__ import annotations

from datetime import UTC, datetime

from cli.commands import AsJson, exit_codes, fail, show_json
from cli.exits import Exit
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
from services.secrets.certificates import (
    CertificateReaderFailed,
    CertificateReaderUnavailable,
    CertificateRefused,
)


def inspect(
    *,
    files: Files,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_prompt: PassphrasePrompt = False,
    certificate_type: CertificateType = None,
    as_json: AsJson = False,
) -> None:
    """Show what `coffer secrets import-certificate` would store: names, dates, chain, warnings.

    Read on this machine, in a process of its own with little time. Nothing is stored and nobody is
    asked; no stack is needed. A refusal says the same as the server would.

    Example: coffer secrets inspect tls.crt chain.pem --key tls.key

    Example: coffer secrets inspect server.pfx --passphrase-prompt

    Exit status: 0 it would be stored, 1 a file cannot be used, 2 contradicting options, 4 it would be
    refused.
    """
    with exit_codes():
        given = gather(files, key, passphrase_file, certificate_type, ask=passphrase_prompt)
        now = datetime.now(UTC)
        try:
            material = read_here(given, now)
        except CertificateRefused as refused:
            fail(refusals.of_the_reader(refused, given), Exit.REFUSED)
        except CertificateReaderUnavailable:
            fail("this machine is too busy to read it in time: try again", Exit.FAILED)
        except CertificateReaderFailed as error:
            fail(f"Coffer cannot read it, which is a fault of Coffer's ({error})", Exit.FAILED)
    metadata = material.metadata.to_json()
    chain = chain_of(material.normal_form)
    if as_json:
        told = {"certificate_type": material.certificate_type, "metadata": metadata, "chain": chain}
        show_json(told)
    else:
        show_picture(material.certificate_type, metadata, chain, now)
