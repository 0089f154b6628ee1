"""A model's edit as a git branch, made without touching the work tree or the index of whoever runs it."""

import os
import subprocess
import tempfile
from pathlib import Path

from flows.errors import OrderlyError


class CannotBranch(OrderlyError):
    """The branch was not made; nothing was changed."""


def make_branch(file: Path, text: str, branch: str, message: str) -> str:
    """Commit a file's new text on top of HEAD as a new branch; gives the commit's id.

    Raises CannotBranch when the file is in no repository or not committed as it stands, or the branch is there already.
    """
    folder = file.resolve().parent
    root = Path(_git(folder, "rev-parse", "--show-toplevel"))
    name = file.resolve().relative_to(root.resolve()).as_posix()
    if _git(root, "status", "--porcelain", "--", name):
        raise CannotBranch(f"{file} has changes that are not committed. Commit them, then accept again.")
    if _git(root, "branch", "--list", branch):
        raise CannotBranch(f"There is a branch {branch} already. Look at it, or delete it: git branch -D {branch}")
    entry = _git(root, "ls-tree", "HEAD", "--", name)
    if not entry:
        raise CannotBranch(f"{file} is not in the last commit of {root}. Commit it, then accept again.")
    blob = _git(root, "hash-object", "-w", "--stdin", given=text)
    with tempfile.TemporaryDirectory(prefix="orderly-index-") as draft:
        index = {"GIT_INDEX_FILE": str(Path(draft, "index"))}
        _git(root, "read-tree", "HEAD", more=index)
        _git(root, "update-index", "--cacheinfo", f"{entry.split()[0]},{blob},{name}", more=index)
        tree = _git(root, "write-tree", more=index)
    commit = _git(root, "commit-tree", tree, "-p", _git(root, "rev-parse", "HEAD"), given=message)
    _git(root, "branch", branch, commit)
    return commit


def _git(folder: Path, *arguments: str, given: str | None = None, more: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(more or {})},
        )
    except OSError as error:
        raise CannotBranch(f"git cannot be run: {error.strerror}.") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CannotBranch(f"git {arguments[0]} failed in {folder}: {said}")
    return done.stdout.strip()
