"""What breaks when a client's identity is half replaced, or its key is left behind in a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from coffer_client import ClientTls, ClientTlsError
from coffer_client.contexts import client_context
from tests.fakes import certificates

if TYPE_CHECKING:
    from tests.fakes.certificates import Issued


def _put(folder: Path, certificate: Issued, key: Issued) -> ClientTls:
    (folder / "cert").write_text(certificate.pem)
    (folder / "key").write_text(key.key_pem)
    (folder / "ca").write_text(certificate.pem)
    return ClientTls(folder / "cert", str(folder / "key"), folder / "ca")


def test_a_key_of_another_certificate_is_not_used(tmp_path: Path) -> None:
    one, other = certificates.issue("one"), certificates.issue("other")
    tls = _put(tmp_path, one, one)
    before = tls.read()
    assert before.certificate == one.pem.encode()
    (tmp_path / "cert").write_text(other.pem)
    assert tls.stamp() != before.stamp
    with pytest.raises(ClientTlsError, match="key"):
        tls.read()
    (tmp_path / "key").write_text(other.key_pem)
    assert tls.read().key == other.key_pem.encode()


def test_an_encrypted_key_and_a_missing_file_are_told(tmp_path: Path) -> None:
    one = certificates.issue("one")
    tls = _put(tmp_path, one, one)
    (tmp_path / "key").write_text(certificates.key_pem(one.key, "pass"))
    with pytest.raises(ClientTlsError, match="encrypted"):
        tls.read()
    (tmp_path / "key").unlink()
    with pytest.raises(ClientTlsError, match="key"):
        tls.stamp()


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_key_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    made = certificates.issue("one")
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    client_context(made.key_pem + made.pem, ca_data=made.pem)
    with pytest.raises(OSError, match=r"SSL|PEM"):
        client_context("no key at all", ca_data=made.pem)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
