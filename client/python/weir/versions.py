"""Versions of views and services (docs/versions.md): what the coordinator tells of them, and how two texts differ."""

from __future__ import annotations

import difflib
import os
import pwd
import re
import socket
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

from .errors import Error
from .protocol import NAME_MAX, corrupt, field, items
from .types import time_of

ANNOTATIONS_MAX = 64  # of a version
_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)@v([1-9][0-9]{0,9})")
_VERSION_MAX = (1 << 32) - 1


class Annotation(NamedTuple):
    """What is said of a version under one name. `time` is a datetime in UTC, `author` what the client called itself."""

    value: str
    time: Any
    author: str


class Version(NamedTuple):
    """One version of a view or service. `state` is "active", "live", "building" or "retired"; of one that is being built
    `done` of `total` partitions have it. `waits` says what it waits for, and so it does of a service's newest version that
    is live, and is to be fitted before it becomes active. `text` is its definition, where versions of
    one name were asked for. `annotations` is what is said of it, by name.
    `features` are those that it answers, in their order, and `preprocess` the SHA-256 of a service's preprocessing with all of
    its numbers; neither is told of what is retired."""

    kind: str
    name: str
    version: int
    state: str
    created: Any
    author: str
    message: str
    annotations: Mapping[str, Annotation]
    text: Optional[str] = None
    done: Optional[int] = None
    total: Optional[int] = None
    waits: str = ""
    features: Optional[Sequence[str]] = None
    preprocess: Optional[str] = None

    @property
    def reference(self) -> str:
        """As it is asked for: `user_spend@v2`."""
        return f"{self.name}@v{self.version}"


def reference(given: str) -> tuple[str, int]:
    """Name and number of `user_spend@v2`."""
    found = _REFERENCE.fullmatch(given) if isinstance(given, str) else None
    if found is None or int(found[2]) > _VERSION_MAX:
        raise Error("invalid", f"{given!r:.300}: a version is written user_spend@v2")
    return found[1], int(found[2])


def author() -> str:
    """What a client calls itself, as the command does: user@host. For people to read."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = "?"
    return f"{user:.100}@{socket.gethostname():.120}"


# ---- from the coordinator ----


def _optional(body: dict[str, Any], name: str, kind: type) -> Any:
    return None if body.get(name) is None else field(body, name, kind)


def _read(body: dict[str, Any]) -> Version:
    annotations = {field(one, "name", str): Annotation(field(one, "value", str), time_of(field(one, "time", int)),
                                                       field(one, "author", str))
                   for one in items(body, "annotations", dict)}
    return Version(field(body, "kind", str), field(body, "name", str), field(body, "version", int),
                   field(body, "state", str), time_of(field(body, "created", int)), field(body, "author", str),
                   field(body, "message", str), annotations, _optional(body, "text", str), _optional(body, "done", int),
                   _optional(body, "total", int), _optional(body, "waits", str) or "",
                   None if body.get("features") is None else items(body, "features", str), _optional(body, "preprocess", str))


def _place(version: Version) -> tuple[bytes, bytes, int]:
    return (version.kind.encode(errors="surrogateescape"), version.name.encode(errors="surrogateescape"), version.version)


def read_all(ask: Callable[[dict[str, Any]], dict[str, Any]], name: Optional[str]) -> list[Version]:
    """All pages, each asked for behind the last version of the one before. Pages that do not go on are an Error."""
    body: dict[str, Any] = {} if name is None else {"name": name}
    found: list[Version] = []
    while True:
        reply = ask(body)
        page = [_read(one) for one in items(reply, "versions", dict)]
        for version in page:
            if found and _place(version) <= _place(found[-1]):
                raise corrupt("versions are out of their order")
            found.append(version)
        if reply.get("more") is not True:
            return found
        if not page:
            raise corrupt("no version, and more of them")
        last = found[-1]
        body["after"] = {"kind": last.kind, "name": last.name, "version": last.version}


def pick(versions: list[Version], name: str, number: Optional[int]) -> Version:
    """The one of that number, or the active one."""
    found = [one for one in versions if (one.state == "active" if number is None else one.version == number)]
    if found:
        return found[-1]
    raise Error("not-found", f"{name} has no active version" if number is None else f"there is no {name}@v{number}; "
                "`versions` lists all")


def has_definitions(node: dict[str, Any], version: int) -> bool:
    """Has a node of `status`, if it takes events or queries, got that version of the definitions?"""
    has, lease = node.get("definitions"), node.get("lease_left_us")
    concerned = node.get("kind") in ("speed", "serving") and isinstance(lease, int) and lease > 0
    return not concerned or not isinstance(has, int) or has >= version


# ---- to it ----


def annotations_of(given: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is to be said, as texts: None takes away what is said under the name."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise Error("invalid", "annotations are a mapping from names to values, as {'accuracy': 0.89}")
    if len(given) > ANNOTATIONS_MAX:
        raise Error("too-large", f"over {ANNOTATIONS_MAX} annotations")
    for name in given:
        if not 1 <= len(name.encode(errors="surrogatepass")) <= NAME_MAX:
            raise Error("invalid", f"{name!r:.300}: an annotation has a name of up to 63 bytes")
    return [{"name": name, "value": "" if value is None else str(value)} for name, value in given.items()]


# ---- what differs ----


def compare(before: str, after: str) -> str:
    """The lines of both: "- " before those that only the first has, "+ " before those that only the second has, "  " before
    those of both. Empty when they are the same."""
    if before == after:
        return ""
    a, b = before.splitlines(), after.splitlines()
    out: list[str] = []
    for word, a1, a2, b1, b2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if word == "equal":
            out += [f"  {line}" for line in a[a1:a2]]
        else:
            out += [f"- {line}" for line in a[a1:a2]] + [f"+ {line}" for line in b[b1:b2]]
    return "".join(f"{line}\n" for line in out)
