"""Check that an artifact is still what its stage wrote: its MD5 must be the one in dvc.lock.

DVC does not read a file again whose size and time are the same, and trusts the write-protected
files in its cache. So it would not see a bit that flips on the disk, and later stages would compute
with it. The check is made only if DVC runs the stage: if you run it by hand, an artifact may be
newer than dvc.lock.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from functools import cache
from itertools import chain
from pathlib import Path

import yaml

LOCK = Path("dvc.lock")


def damage(path: Path) -> str | None:
    """Say what is wrong and what mends it, if `path` is not what the stage that made it wrote."""
    if "DVC_STAGE" not in os.environ:
        return None
    known = recorded()
    # An older version may have had an output at a folder in which there are several now.
    out = next((out for out in (path, *path.parents) if out in known), None)
    if out is None or md5_of(out) in known[out]:
        return None
    damaged = (file for md5 in sorted(known[out]) for file in damaged_in_cache(md5))
    remains = " ".join(os.path.relpath(file) for file in damaged)  # short enough to be told
    return (
        f"{out} is not what was written there, dvc.lock has another MD5:"
        f" rm -r {f'{out} {remains}'.rstrip()}, then dvc repro makes it or dvc pull restores it"
    )


@cache
def recorded() -> dict[Path, set[str]]:
    """Read each output's MD5s from dvc.lock, which also keeps those of stages renamed since."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C eight times as fast
    stages = yaml.load(LOCK.read_text("utf-8"), loader)["stages"] if LOCK.exists() else {}
    known = defaultdict(set)
    for out in chain.from_iterable(stage.get("outs", []) for stage in stages.values()):
        known[Path(out["path"])].add(out["md5"])
    return known


@cache
def md5_of(path: Path) -> str:
    """Hash a file, or a folder, as DVC does."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listing = [{"md5": md5_of(file), "relpath": name} for name, file in sorted(files.items())]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def damaged_in_cache(md5: str) -> list[Path]:
    """List the files of DVC's cache that belong to an output and don't have the MD5 of their name.

    They must be removed, or DVC would put them in place of what the stage writes anew.
    """
    path = cache_folder() / "files/md5" / md5[:2] / md5[2:]
    if not path.is_file():
        return []
    if md5_of(path) != md5.removesuffix(".dir"):
        return [path]
    if not md5.endswith(".dir"):
        return []
    return [of for entry in json.loads(path.read_text()) for of in damaged_in_cache(entry["md5"])]


@cache
def cache_folder() -> Path:
    """Ask DVC where its cache is."""
    where = [sys.executable, "-m", "dvc", "cache", "dir"]
    return Path(subprocess.run(where, capture_output=True, text=True).stdout.strip())
