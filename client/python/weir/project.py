"""A project's directory: what of weir.yaml a client goes by, and the files of definitions."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import yaml

from .errors import Error

BASE_PORT, SERVING_PORT, SPEED_PORT, SPEED_WORKERS = 7600, 1, 11, 2
COORDINATORS_MAX, NODES_MAX, FILES_MAX, FILE_MAX = 8, 64, 256, 1 << 20
_FORM = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z][0-9A-Za-z.-]{0,199}):(\d{1,5})|ipc://[^@\s\x7f][^\s\x7f]{0,99}")
_LOOPBACK = re.compile(r"127(\.(0|[1-9]\d{0,2})){3}|localhost|\[::1\]")


@dataclass
class Project:
    directory: Optional[Path] = None
    cluster: Optional[str] = None
    coordinators: list[str] = field(default_factory=list)
    serving: list[str] = field(default_factory=list)
    speed_workers: list[str] = field(default_factory=list)
    keys: Optional[Path] = None
    open: bool = False
    patterns: list[str] = field(default_factory=lambda: ["features/*.yaml", "features/*.yml"])
    patterns_given: bool = False

    @property
    def may_be_far(self) -> bool:
        return self.open or self.keys is not None


# ---- endpoints ----


def endpoint_ok(endpoint: object) -> bool:
    """tcp://host:port or ipc://path?"""
    found = _FORM.fullmatch(endpoint) if isinstance(endpoint, str) else None
    if not found or found[2] is None:
        return found is not None
    return found[1] not in ("0.0.0.0", "[::]") and 1 <= int(found[2]) <= 65535


def endpoint_is_local(endpoint: str) -> bool:
    """Of one that is good: can it be reached from this machine only?"""
    found = _FORM.fullmatch(endpoint)
    return found is not None and (found[1] is None or _LOOPBACK.fullmatch(found[1]) is not None)


def check_endpoint(endpoint: object, may_be_far: bool) -> str:
    if not isinstance(endpoint, str) or not endpoint_ok(endpoint):
        raise Error("invalid", f"{endpoint!r} is no endpoint: expected tcp://host:port or ipc://path, as in "
                    "tcp://127.0.0.1:7600")
    if not may_be_far and not endpoint_is_local(endpoint):
        raise Error("invalid", f"{endpoint}: this is beyond this machine, and there are no keys: make some with `weir "
                    "keygen` and say `security: {keys: ./keys}` in weir.yaml, or give `keys=` (docs/security.md); or let "
                    "everybody in who can connect, with `security: {open: true}`")
    return endpoint


# ---- weir.yaml ----


class _Loader(yaml.BaseLoader):
    """Scalars are strings; a key that is there twice is an error and not the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _map(settings: dict[str, Any], name: str) -> dict[str, Any]:
    found = settings.get(name)
    if found in (None, ""):
        return {}
    if not isinstance(found, dict):
        raise Error("invalid", f"weir.yaml: `{name}` is no map")
    return found


def _endpoints(nodes: dict[str, Any], names: tuple[str, ...], default: list[str], project: Project) -> list[str]:
    given = next((nodes[name] for name in names if name in nodes), default)
    listed = given if isinstance(given, list) else [given]
    if not 1 <= len(listed) <= NODES_MAX:
        raise Error("invalid", f"weir.yaml: `{names[0]}` has {len(listed)} endpoints, and there are 1 to {NODES_MAX}")
    return [check_endpoint(endpoint, project.may_be_far) for endpoint in listed]


def _ports(first: int, count: int) -> list[str]:
    return [f"tcp://127.0.0.1:{first + i}" for i in range(count)]


def _below(directory: Path, path: object) -> Path:
    if not isinstance(path, str):
        raise Error("invalid", "weir.yaml: a directory is expected")
    return directory / path


def _settings(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read(FILE_MAX + 1)
    except FileNotFoundError:
        raise Error("not-found", f"there is no weir.yaml in '{path.parent}'; `weir init DIR` writes a project") from None
    except OSError as error:
        raise Error("io", f"{path}: {error.strerror}") from None
    if len(text) > FILE_MAX:
        raise Error("too-large", f"{path} is too large (at most {FILE_MAX} bytes)")
    try:
        found = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Error("invalid", f"{path}: {error} (`weir check` tells more)") from None
    if not isinstance(found, dict) or not isinstance(found.get("cluster"), str):
        raise Error("invalid", f"{path} needs `cluster`: a name")
    return found


def read_project(directory: os.PathLike[str] | str) -> Project:
    """What is wrong beyond what a client needs is for `weir check` to tell."""
    project = Project(directory=Path(directory))
    settings = _settings(Path(directory) / "weir.yaml")
    project.cluster = settings["cluster"]
    security = _map(settings, "security")
    project.open = security.get("open") == "true"
    if "security" in settings and not project.open:
        project.keys = _below(Path(directory), security.get("keys", "keys"))
    nodes = _map(settings, "nodes")
    base = nodes.get("base_port", str(BASE_PORT))
    if not isinstance(base, str) or not base.isdigit() or not 1 <= int(base) <= 65000:
        raise Error("invalid", "weir.yaml: `base_port` is a number from 1 to 65000")
    project.coordinators = _endpoints(nodes, ("coordinators", "coordinator"), _ports(int(base), 1), project)
    project.serving = _endpoints(nodes, ("serving",), _ports(int(base) + SERVING_PORT, 1), project)
    project.speed_workers = _endpoints(nodes, ("speed_workers",), _ports(int(base) + SPEED_PORT, SPEED_WORKERS), project)
    if len(project.coordinators) > COORDINATORS_MAX:
        raise Error("invalid", f"weir.yaml: there can be up to {COORDINATORS_MAX} coordinators")
    patterns = settings.get("definitions")
    if patterns is not None:
        project.patterns = patterns if isinstance(patterns, list) else [patterns]
        project.patterns_given = True
    return project


# ---- definitions ----


def read_files(project: Project) -> dict[str, str]:
    """The definition files of a project, by their names below it."""
    if project.directory is None:
        raise Error("invalid", "without a project's directory there are no files of definitions: give them to `apply`")
    names: set[str] = set()
    for pattern in project.patterns:
        if not isinstance(pattern, str) or pattern.startswith("/") or ".." in pattern.split("/"):
            raise Error("invalid", "weir.yaml: files of definitions are below the project's directory: no leading / and "
                        "no ..")
        found = glob.glob(os.path.join(glob.escape(str(project.directory)), pattern))
        if not found and project.patterns_given:
            raise Error("not-found", f"weir.yaml: `definitions` has '{pattern}', and there is no such file")
        names.update(os.path.relpath(path, project.directory) for path in found)
    if len(names) > FILES_MAX:
        raise Error("too-large", f"there are too many files of definitions (at most {FILES_MAX})")
    return {name: _text(project.directory / name) for name in sorted(names)}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Error("io", f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Error("invalid", f"{path} is not UTF-8") from None
