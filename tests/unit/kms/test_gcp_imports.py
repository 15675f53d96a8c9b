"""Google's SDK is imported by its own provider only. import-linter sees only the first name, `google`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SDK = ("google.cloud", "google.auth", "google.oauth2", "google.api_core", "google_crc32c")
PROVIDER = "services/kms/providers/gcp/"
CHECKSUMS_OF_THE_STAND_IN = "devcloud/gcp/"


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_googles_sdk_stays_in_its_provider() -> None:
    users = {
        (path.relative_to(ROOT).as_posix(), sdk)
        for package in ("services", "gateway", "cli", "devcloud")
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
        for sdk in SDK
        if name == sdk or name.startswith(f"{sdk}.")
    }
    assert {sdk for path, sdk in users if path.startswith(PROVIDER)} == set(SDK)
    others = {one for one in users if not one[0].startswith(PROVIDER)}
    assert all(
        path.startswith(CHECKSUMS_OF_THE_STAND_IN) and sdk == "google_crc32c"
        for path, sdk in others
    ), others
