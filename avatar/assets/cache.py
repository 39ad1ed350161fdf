"""Where fetched files live, how an archive is fetched, and what is believed of it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def cache_folder() -> Path:
    """Where fetched files live: ``$AVATAR_CACHE``, or a folder ``avatar`` in the platform's place for caches."""
    if chosen := os.environ.get("AVATAR_CACHE"):
        return Path(chosen).expanduser()
    match sys.platform:
        case "win32":
            parent = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
        case "darwin":
            parent = "~/Library/Caches"
        case _:
            parent = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(parent).expanduser() / "avatar"


def verified(content: bytes, sha256: str, name: str) -> bytes:
    """The same bytes, or ValueError when their SHA-256 is another."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{name}: expected SHA-256 {sha256}, found {found}; delete it and fetch again")
    return content


def pip_download(requirement: str, sha256: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """Have pip fetch one archive of known hash; in this mode pip runs nothing of it before the hash has matched.

    Raises RuntimeError when pip is missing or cannot get it.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
    command += ["--require-hashes", *options, "--dest", str(folder), "-r", str(requirements)]
    return downloaded(command, requirement, folder)


def downloaded(command: Sequence[str], what: str, folder: Path) -> Path:
    """The one archive that ``command`` leaves in ``folder``; RuntimeError, in one line, when it leaves none."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = [path for path in sorted(folder.iterdir()) if path.suffix in {".gz", ".tgz", ".whl"}]
    if done.returncode or not archives:
        reason = (done.stderr.strip() or "nothing was downloaded").splitlines()[-1].strip()
        raise RuntimeError(f"cannot download {what} with {_program(command)} (is there a network?): {reason}")
    return archives[0]


def _program(command: Sequence[str]) -> str:
    return command[2] if command[1:2] == ["-m"] else Path(command[0]).stem
