"""What breaks for whoever installs the client alone: an import of what the project does not declare."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OURS = (ROOT / "coffer_client", ROOT / "protos" / "gen" / "coffer")

IMPORT = """
import importlib.machinery, json, pathlib, sys, sysconfig
ours, files, roots = json.loads(sys.stdin.read())
sys.path[:0] = roots
files = set(files)
places = [*roots, *(sysconfig.get_path(name) for name in ("purelib", "platlib"))]

class Declared:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin in (None, "namespace", "built-in", "frozen"):
            return spec
        elsewhere = not any(spec.origin.startswith(place) for place in places)
        if elsewhere or spec.origin in files or any(spec.origin.startswith(own) for own in ours):
            return spec
        raise ModuleNotFoundError(f"{name} is not declared: {spec.origin}", name=name)

sys.meta_path.insert(0, Declared)
import coffer_client
print(coffer_client.__file__)
try:
    import services
except ModuleNotFoundError:
    print("alone")
"""


def _declared() -> list[str]:
    """The distributions that `pip install` of the project without an extra brings, with theirs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, found = list(project["dependencies"]), set[str]()
    while waiting:
        line = waiting.pop()
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        if "extra ==" not in line and name not in found:
            found.add(name)
            waiting += metadata.requires(name) or []
    return sorted(found)


def test_the_client_imports_with_what_the_project_declares() -> None:
    files = [str(file.locate()) for name in _declared() for file in metadata.files(name) or []]
    given = json.dumps(
        [[f"{own}/" for own in OURS], files, [str(ROOT), str(ROOT / "protos" / "gen")]]
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(ROOT / "coffer_client" / "__init__.py"), "alone"]
