"""A runbook's content: the playbook, its meta, and every file its run may read, as one deterministic archive.

Orderly's own plugins are no part of it: they are the engine's half of the talk with a run, and belong to the version
of Orderly that runs it. Collections come from the installed `ansible` packages.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import connectors
from connectors.runbook.ansible_yaml import read_yaml
from connectors.runbook.errors import BadMeta, UnsafeRunbook
from connectors.runbook.meta import CHECK_MODE, PRESENCE, SUFFIX, Meta, parse_meta, read_meta
from request_models.actions import EffectClass

SHIPPED = Path(connectors.__file__).resolve().parents[1] / "runbooks"
"""The runbooks that travel with Orderly: beside the packages, in a clone as in the wheel."""

IMPORTED_ROLE = {"import_role", "include_role"}
IMPORTED_TASKS = {"import_tasks", "include_tasks"}
IMPORTED_PLAYBOOK = {"import_playbook"}
BLOCKS = ("block", "rescue", "always")
TASK_LISTS = ("tasks", "pre_tasks", "post_tasks", "handlers")
_LEFT_OUT = {"__pycache__", ".git", "molecule"}


@dataclass(frozen=True)
class Folders:
    """The runbooks folders, the first that has something wins."""

    roots: tuple[Path, ...]

    @classmethod
    def of(cls, content_folders: Iterable[Path]) -> "Folders":
        """The `runbooks/` of the user's content folders, then the shipped ones."""
        own = [folder / "runbooks" for folder in content_folders]
        return cls((*(folder for folder in own if folder.resolve() != SHIPPED), SHIPPED))

    def playbooks(self) -> dict[str, Path]:
        """The playbook files that have a meta, by name."""
        found: dict[str, Path] = {}
        for root in reversed(self.roots):
            for meta in (root / "playbooks").glob(f"*{SUFFIX}"):
                found[meta.name.removesuffix(SUFFIX)] = meta.with_name(f"{meta.name.removesuffix(SUFFIX)}.yml")
        return found

    def playbook(self, name: str) -> Path | None:
        """The playbook of a name, None when no folder has it."""
        for root in self.roots:
            file = root / "playbooks" / f"{name}.yml"
            if file.is_file():
                return file
        return None

    def role(self, name: str) -> Path | None:
        """The folder of a role, None when no folder has it."""
        return next((role for root in self.roots if (role := root / "roles" / name).is_dir()), None)


@dataclass(frozen=True)
class Runbook:
    """A playbook with all it uses. `files` are by their path in the archive; `roles` are the roles' folders."""

    name: str
    meta: Meta
    playbook: Path
    files: Mapping[str, Path]
    roles: Mapping[str, Path]

    @cached_property
    def archive(self) -> bytes:
        """The files as a tar."""
        return archive_of(self.files)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the archive."""
        return hashlib.sha256(self.archive).hexdigest()


def read_runbook(name: str, playbook: Path, folders: Folders) -> Runbook:
    """Collect what a playbook uses. Raises BadMeta, or UnsafeRunbook when a name is only known when it runs."""
    meta_file = playbook.with_name(f"{name}{SUFFIX}")
    meta = read_meta(meta_file)
    collector = _Collector(folders)
    collector.add_playbook(playbook, f"playbooks/{playbook.name}")
    collector.files[f"playbooks/{meta_file.name}"] = meta_file
    if meta.probe is not None and meta.probe != CHECK_MODE:
        _add_probe(collector, meta_file, meta, meta.probe, folders)
    root = playbook.parents[1]
    if root.resolve() != SHIPPED:
        collector.add_tree(root / "plugins", "plugins")
    return Runbook(name, meta, playbook, collector.files, collector.roles)


def _add_probe(collector: "_Collector", meta_file: Path, meta: Meta, name: str, folders: Folders) -> None:
    """The playbook that probes, beside the one it is for. Raises BadMeta when it does not fit."""
    playbook = folders.playbook(name)
    if playbook is None:
        raise BadMeta(meta_file, f"probe: there is no playbook '{name}'")
    file = playbook.with_name(f"{name}{SUFFIX}")
    probe = read_meta(file)
    if probe.effect is not EffectClass.READ_ONLY:
        raise BadMeta(meta_file, f"probe: '{name}' is not read-only by its meta")
    if PRESENCE not in probe.outputs:
        raise BadMeta(meta_file, f"probe: '{name}' gives no output '{PRESENCE}'")
    unknown = sorted(set(probe.arguments) - set(meta.arguments))
    if unknown or probe.hosts != meta.hosts or probe.single != meta.single:
        why = f"takes {', '.join(unknown)}, which this does not" if unknown else "differs in hosts or single"
        raise BadMeta(meta_file, f"probe: '{name}' {why}")
    collector.add_playbook(playbook, f"playbooks/{playbook.name}")
    collector.files[f"playbooks/{file.name}"] = file


def archive_of(files: Mapping[str, Path]) -> bytes:
    """Files by their path in it, as a tar; the same files give the same bytes on any machine."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            data = files[path].read_bytes()
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            entry.mode = 0o755 if files[path].stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(data))
    return written.getvalue()


def pinned_meta(name: str, archive: bytes) -> Meta:
    """The meta in an archive. Raises BadMeta when there is none, or one that this version does not understand."""
    path = f"playbooks/{name}{SUFFIX}"
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            member = tar.extractfile(path)
            text = b"" if member is None else member.read()
    except (tarfile.TarError, KeyError) as error:
        raise BadMeta(Path(path), f"is not in the archive: {error}") from error
    return parse_meta(Path(path), text.decode())


def unpack(archive: bytes, folder: Path) -> None:
    """Write an archive's files below `folder`, which is made. Raises tarfile.TarError for one that leads out of it."""
    folder.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


class _Collector:
    """Follows what playbooks, roles and task files name."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self.files: dict[str, Path] = {}
        self.roles: dict[str, Path] = {}

    def add_playbook(self, file: Path, path: str) -> None:
        if path in self.files:
            return
        self.files[path] = file
        for play in listed(read_yaml(file, UnsafeRunbook)):
            if not isinstance(play, dict):
                raise UnsafeRunbook(file, "is no playbook: it must be a list of plays, each of them a map")
            for key, value in actions_of(play):
                if key in IMPORTED_PLAYBOOK:
                    self._add_beside(file, path, value, self.add_playbook)
            for role in listed(play.get("roles")):
                self._add_role(file, role_name(role))
            for vars_file in play.get("vars_files") or []:
                self._add_beside(file, path, vars_file, self._add_file)
            for part in TASK_LISTS:
                self._add_tasks(file, path, play.get(part))

    def add_tree(self, folder: Path, path: str) -> None:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not _LEFT_OUT & set(file.relative_to(folder).parts):
                self.files[f"{path}/{file.relative_to(folder).as_posix()}"] = file

    def _add_file(self, file: Path, path: str) -> None:
        self.files[path] = file

    def _add_task_file(self, file: Path, path: str) -> None:
        if path in self.files:
            return
        self.files[path] = file
        self._add_tasks(file, path, read_yaml(file, UnsafeRunbook))

    def _add_tasks(self, file: Path, path: str, tasks: Any) -> None:
        for task in all_tasks(tasks):
            for key, value in actions_of(task):
                if key in IMPORTED_ROLE:
                    self._add_role(file, role_name(value))
                elif key in IMPORTED_TASKS:
                    named = value.get("file") if isinstance(value, dict) else value
                    self._add_beside(file, path, named, self._add_task_file)

    def _add_role(self, file: Path, name: object) -> None:
        name = literal(file, "a role's name", name)
        if name in self.roles or name.count(".") == 2:  # NAMESPACE.COLLECTION.ROLE
            return
        folder = self._folders.role(name)
        if folder is None:
            raise UnsafeRunbook(file, f"uses the role '{name}', which is in none of the runbooks folders")
        self.roles[name] = folder
        self.add_tree(folder, f"roles/{name}")
        for task_file in role_files(folder, "tasks", "handlers"):
            for task in all_tasks(read_yaml(task_file, UnsafeRunbook)):
                for key, value in actions_of(task):
                    if key in IMPORTED_ROLE:
                        self._add_role(task_file, role_name(value))
        for meta in role_files(folder, "meta"):
            if meta.stem == "main":
                for dependency in listed((read_yaml(meta, UnsafeRunbook) or {}).get("dependencies")):
                    self._add_role(meta, role_name(dependency))

    def _add_beside(self, file: Path, path: str, named: object, add: Any) -> None:
        name = literal(file, "a file's name", named)
        target = file.parent / name
        within = file.parents[len(Path(path).parts) - 1]
        if not target.is_file() or not target.resolve().is_relative_to(within.resolve()):
            raise UnsafeRunbook(file, f"names the file '{name}', which is not in its runbooks folder")
        add(target, target.resolve().relative_to(within.resolve()).as_posix())


def literal(file: Path, what: str, value: object) -> str:
    """A name that is known before the run. Raises UnsafeRunbook for a template."""
    if not isinstance(value, str) or not value:
        raise UnsafeRunbook(file, f"{what} is missing where one is used")
    if "{{" in value or "{%" in value:
        raise UnsafeRunbook(
            file, f"{what} is the template '{value}': what it uses is then known only when it runs; write it out"
        )
    return value


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as an empty one, one thing as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def role_name(role: Any) -> object:
    """The name in an entry of `roles:`, `dependencies:` or `import_role:`."""
    return role.get("role", role.get("name")) if isinstance(role, dict) else role


def role_files(role: Path, *parts: str) -> Iterator[Path]:
    """YAML files in these parts of a role."""
    for part in parts:
        yield from (file for file in sorted((role / part).rglob("*")) if file.suffix in {".yml", ".yaml"})


def all_tasks(tasks: Any) -> Iterator[dict[str, Any]]:
    """Tasks and blocks, those within blocks too."""
    for task in listed(tasks):
        if isinstance(task, dict):
            yield task
            for part in BLOCKS:
                yield from all_tasks(task.get(part))


def actions_of(task: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The task's keys without `ansible.builtin.`, and what they are given; old `action:` forms are followed too."""
    for key, value in task.items():
        if key not in {"action", "local_action"}:
            yield _short(str(key)), value
        elif isinstance(value, dict):
            given = {name: option for name, option in value.items() if name != "module"}
            yield _short(str(value.get("module", ""))), given
        else:
            module, _, rest = str(value).partition(" ")
            yield _short(module), rest


def _short(action: str) -> str:
    return action.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
