"""Write the certificate corpus: `python -m tests.vectors.certificate_corpus`. See tests/vectors/README.md."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final

from tests.vectors.certificate_corpus import case, openssl

FAMILIES: Final = (
    "pem",
    "transfer",
    "pkcs7",
    "pkcs12",
    "pkcs12_contents",
    "pkcs12_programs",
    "java",
    "keys",
    "key_alone",
    "checks",
    "leaves",
    "metadata",
    "declared",
    "hostile",
)
FOLDER: Final = Path(__file__).resolve().parent.parent / "certificates"


def main(chosen: list[str]) -> None:
    """Writes the manifests of the chosen families, of all when none is named."""
    print(openssl.demand_version())
    FOLDER.mkdir(exist_ok=True)
    for family in chosen or FAMILIES:
        module = importlib.import_module(f"{__package__}.families.{family}")
        if not getattr(module, "is_possible", lambda: True)():
            print(f"{family}: left as it is, because its tool is not on this machine")
            continue
        found = module.cases()
        case.write(FOLDER, family, found)
        print(f"{family}: {len(found)}")


if __name__ == "__main__":
    main(sys.argv[1:])
