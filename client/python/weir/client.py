"""The client of a cluster: what users call."""

from __future__ import annotations

import os
import threading
import time as clock
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, ContextManager, Iterable, Mapping, NamedTuple, Optional, Sequence, Union

from .answer import Answer, Result
from .errors import Error
from .keys import Keyring
from .network import Network
from .project import Project, check_endpoint, read_files, read_project
from .protocol import KEYS_MAX, field, items
from .requests import Call, Query
from .rows import cell, frame_chunks, is_arrow, is_frame, is_pandas
from .sender import Producer, Report, Sender
from .versions import Version, annotations_of, author as own_author, compare, has_definitions, pick, read_all, reference

TIMEOUT_S = 5.0  # that the coordinator is waited for
APPLY_TIMEOUT_S = 30.0  # the catalog syncs
NODES_WAIT_S = 5.0  # that nodes have to fetch new definitions, …
NODES_LOOK_S = 0.02  # … and how often they are looked at
CHUNK_KEYS = 1024  # of many keys, so many are asked for together, …
CHUNKS = 8  # … and so many such questions are under way

Time = Union[str, int, datetime]
Key = Mapping[str, Any]


class Change(NamedTuple):
    """What `apply` does to one stream or view: `change` is "add", "alter", "remove" or "same"."""

    kind: str
    name: str
    change: str
    detail: str


def _as_of(time: Any) -> str | int:
    """An int is µs; a text is read as on the command line; a datetime without a zone is UTC, as such a text is."""
    if isinstance(time, str):
        return time
    if isinstance(time, datetime) and time == time:
        aware = time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
        since = aware - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    if type(time).__name__ == "datetime64" and type(time).__module__.startswith("numpy") and time == time:
        return int(time.astype("datetime64[us]").astype("int64"))
    if hasattr(time, "__index__") and not isinstance(time, bool):
        return int(time)
    raise Error("invalid", f"{time!r} is no time: give a datetime, an int of µs, or a text as in '2026-01-02T03:04:05Z' or "
                "'-1h'")


def _names(features: Any) -> list[str]:
    listed = [features] if isinstance(features, str) else features
    if isinstance(listed, Mapping) or not listed or not all(isinstance(name, str) for name in listed):
        raise Error("invalid", f"{features!r:.200}: `features` is a name, a sequence of names, or None for all; the key comes "
                    "after it, or as `key=`")
    if len(set(listed)) < len(listed):
        raise Error("invalid", f"{features!r:.200}: a feature is there twice")
    return list(listed)


def _check_ms(name: str, value: Optional[int]) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31):
        raise Error("invalid", f"`{name}` is a whole number of ms, not {value!r}")


def _values(given: Key, what: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise Error("invalid", f"{what} is a mapping from fields to values, not a {type(given).__name__}")
    try:
        return {name: cell(value) for name, value in given.items()}
    except TypeError as error:
        raise Error("invalid", f"{what} {dict(given)!r:.200}: {error}") from None


def _listed(keys: Any) -> list[dict[str, Any]]:
    """Keys given as mappings, or as the rows of a DataFrame or an Arrow table."""
    if isinstance(keys, Mapping):
        raise Error("invalid", "get_many takes a sequence of keys; `get` takes one")
    if is_frame(keys):
        return [dict(zip(part.columns, row)) for part in frame_chunks(keys, CHUNK_KEYS, True) for row in part.rows]
    return [_values(key, "a key") for key in keys]


class Client:
    """A cluster, by its project's directory or by the endpoints of its coordinators:

        weir.Client("my-project")
        weir.Client(coordinators=["tcp://192.0.2.7:7600"], keys="keys")

    Reads files and sends nothing: the cluster need not be up. `keys` is a directory of keys and `key` the file of our
    own, where not `client.secret` in there. `cluster` is a name: nodes of others are refused.

    Used by one thread at a time: a call from another one waits until that is over. Clients of several threads do not wait
    for each other. A child process after a fork makes a client of its own."""

    def __init__(self, project: Union[str, os.PathLike[str], None] = None, *,
                 coordinators: Union[str, Iterable[str], None] = None, cluster: Optional[str] = None,
                 keys: Union[str, os.PathLike[str], None] = None, key: Union[str, os.PathLike[str], None] = None):
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._network: Optional[Network] = None
        if (project is None) == (coordinators is None):
            raise Error("invalid", "a client is of a project's directory, or of `coordinators`")
        self._project = read_project(project) if project is not None else Project()
        if keys is not None:
            self._project.keys = Path(keys)
        if cluster is not None:
            self._project.cluster = cluster
        if coordinators is not None:
            listed = [coordinators] if isinstance(coordinators, str) else list(coordinators)
            if not 1 <= len(listed) <= 16:
                raise Error("invalid", "a cluster has 1 to 16 coordinators")
            self._project.coordinators = [check_endpoint(one, self._project.may_be_far) for one in listed]
        if key is not None and self._project.keys is None:
            raise Error("invalid", "a `key` is for a cluster with security: `keys` is the directory of its keys")
        keyring = None
        if self._project.keys is not None:
            keyring = Keyring(self._project.keys, Path(key) if key is not None else None)
        self._network = Network(self._project, keyring)
        self._producers: dict[str, Producer] = {}  # by stream, with nothing under way

    # ---- life ----

    def close(self) -> None:
        """Gives up what is under way, and closes the connections; does not wait."""
        if self._network is None or os.getpid() != self._pid:
            return
        with self._alone:
            network, self._network = self._network, None
            network.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        network = getattr(self, "_network", None)
        if network is not None and os.getpid() == self._pid:
            self._network = None
            network.close()

    @property
    def _alone(self) -> ContextManager[bool]:
        """For `with`: one thread at a time, and none inside itself (a handler of a signal that asks while its thread
        does). All of it is in the lock: a signal may come between any two steps of ours."""
        self._check_process()
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise Error("invalid", "the client is in use by this very thread: a signal's handler needs one of its own")
        return self._lock

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise Error("invalid", "the client was made before a fork: make another one in this process")

    def _alive(self) -> Network:
        if self._network is None:
            raise Error("cancelled", "the client is closed")
        return self._network

    # ---- queries ----

    def get(self, view: str, features: Union[str, Sequence[str], None] = None, key: Optional[Key] = None, *,
            as_of: Optional[Time] = None, before: bool = False, request: Optional[Key] = None,
            deadline_ms: Optional[int] = None, patience_ms: int = 0, refuse_incomplete: bool = False) -> Result:
        """The features of one key. `features` None: all of the view. `as_of` None: now; `before` leaves out events at
        exactly that time. `request`: values that the view takes with the question. After `deadline_ms` the node answers
        with what it has, and says what is missing; `refuse_incomplete` makes that an Error. `patience_ms`: to go on for
        when nobody can answer, which is otherwise told at once."""
        return self.get_many(view, features, [key if key is not None else {}], as_of=as_of, before=before,
                             request=None if request is None else [request], deadline_ms=deadline_ms,
                             patience_ms=patience_ms, refuse_incomplete=refuse_incomplete)[0]

    def get_many(self, view: str, features: Union[str, Sequence[str], None] = None, keys: Any = (), *,
                 as_of: Optional[Time] = None, as_ofs: Optional[Iterable[Any]] = None, before: bool = False,
                 request: Any = None, deadline_ms: Optional[int] = None, patience_ms: int = 0,
                 refuse_incomplete: bool = False) -> Answer:
        """The same of many keys: mappings, or the rows of a DataFrame or an Arrow table. The results are in their order.
        `as_ofs` gives a time for each, `request` values for each. Any number of keys: over 1,024 are asked for in parts,
        all as of the same time and of the same version."""
        body: dict[str, Any] = {"view": view}
        _check_ms("deadline_ms", deadline_ms)
        _check_ms("patience_ms", patience_ms)
        if features is not None:
            body["features"] = _names(features)
        if before:
            body["before"] = True
        if deadline_ms is not None:
            body["deadline_ms"] = deadline_ms
        if refuse_incomplete:
            body["refuse_incomplete"] = True
        lists: dict[str, list[Any]] = {"keys": _listed(keys)}
        if request is not None:
            lists["request"] = _listed(request)
        if as_ofs is not None:
            lists["as_ofs"] = [_as_of(time) for time in as_ofs]
            if any(isinstance(time, str) for time in lists["as_ofs"]):
                raise Error("invalid", "`as_ofs` are datetimes or µs, not texts")
        elif as_of is not None:
            body["as_of"] = _as_of(as_of)
        count = len(lists["keys"])
        for name, values in lists.items():
            if len(values) != count:
                raise Error("invalid", f"there are {count} keys, and {len(values)} of `{name}`")
        if as_of is not None and as_ofs is not None:
            raise Error("invalid", "either `as_of` or `as_ofs`")
        if count == 0:
            raise Error("invalid", "no keys are asked for")
        with self._alone:
            return self._ask_in_parts(body, lists, deadline_ms, patience_ms)

    def _ask_in_parts(self, body: dict[str, Any], lists: dict[str, list[Any]], deadline_ms: Optional[int],
                      patience_ms: int) -> Answer:
        """The first part says of which version all are, and as of when."""
        assert CHUNK_KEYS <= KEYS_MAX
        count = len(lists["keys"])
        parts = [{name: values[at:at + CHUNK_KEYS] for name, values in lists.items()} for at in range(0, count, CHUNK_KEYS)]
        answer = self._ask_parts([{**body, **parts[0]}], deadline_ms, patience_ms)
        if len(parts) == 1:
            return answer
        rest = {**body, "view": f"{answer.view}@{answer.version}"}
        if "as_ofs" not in lists:
            # What was told is the time itself, less a µs where `before` was asked for, or is what a service says.
            rest["before"], rest["as_of"] = True, answer[0].as_of_us + 1
        for at in range(1, len(parts), CHUNKS):
            answer.add(self._ask_parts([{**rest, **part} for part in parts[at:at + CHUNKS]], deadline_ms, patience_ms))
        return answer

    def _ask_parts(self, bodies: list[dict[str, Any]], deadline_ms: Optional[int], patience_ms: int) -> Answer:
        network = self._alive()
        queries: list[Query] = []
        try:
            for body in bodies:
                queries.append(Query(network, body, deadline_ms, patience_ms))
                network.submit(queries[-1])
            network.run(lambda: all(query.done for query in queries) or any(query.error for query in queries))
            for query in queries:
                if query.error is not None:
                    raise query.error
            answers = [Answer(query.result(), len(body["keys"])) for query, body in zip(queries, bodies)]
        finally:
            network.withdraw(queries)
        for other in answers[1:]:
            answers[0].add(other)
        return answers[0]

    # ---- rows ----

    def sender(self, stream: str, columns: Optional[Sequence[str]] = None, *, batch_rows: int = 500, linger_ms: int = 5,
               window: int = 16, patience_ms: int = 60_000, producer: Optional[bytes] = None, first_sequence: int = 1,
               resumed: bool = False) -> Sender:
        """Rows of one stream, for a `with` block. `batch_rows` make a batch; one goes with fewer at the first `put` after
        `linger_ms`, at `push` and at `flush`. Up to `window` batches are under way; with 1 they get in one after the
        other, in the order given. `producer`, `first_sequence` and `resumed` are for a program that ends and goes on:
        docs/python.md, Exactly once."""
        return Sender(self, stream, columns, batch_rows, linger_ms, window, patience_ms, producer, first_sequence, resumed)

    def send(self, stream: str, rows: Any, columns: Optional[Sequence[str]] = None, *, batch_rows: int = 500,
             window: int = 16, patience_ms: int = 60_000, nan_is_null: bool = True) -> Report:
        """Sends rows, and waits until all are acknowledged. `rows` are mappings from fields to values, sequences of
        values with `columns`, a DataFrame (whose index is not sent) or an Arrow table. NaN in a DataFrame is null, as
        pandas has it, unless `nan_is_null` is False; elsewhere it is NaN. A bad row is refused alone, and told in the
        report; any other trouble is an Error, and of rows that were not acknowledged nothing is known then."""
        if isinstance(rows, Mapping):
            raise Error("invalid", "`rows` is a sequence of rows; put one row into a list")
        with self.sender(stream, columns, batch_rows=batch_rows, linger_ms=1 << 30, window=window,
                         patience_ms=patience_ms) as sender:
            if is_pandas(rows) or is_arrow(rows):
                for part in frame_chunks(rows, batch_rows, nan_is_null):
                    sender._put_all(part)
            else:
                for row in rows:
                    sender.put(row)
            return sender.flush()

    # ---- the coordinator ----

    def _call(self, kind: str, body: dict[str, Any], seconds: float, harmless: bool) -> dict[str, Any]:
        with self._alone:
            network = self._alive()
            call = Call(network, kind, body, seconds, harmless)
            try:
                network.submit(call)
                network.run(lambda: call.done)
                return call.result()
            finally:
                network.withdraw([call])

    def status(self) -> dict[str, Any]:
        """Nodes, logs, loads and recomputes: the body of `status` in docs/protocol.md."""
        return self._call("status", {}, TIMEOUT_S, True)

    def apply(self, files: Union[Mapping[str, str], Iterable[Union[str, os.PathLike[str]]], None] = None, *,
              dry_run: bool = False, prune: bool = False, message: Optional[str] = None,
              author: Optional[str] = None) -> list[Change]:
        """Registers definitions, and tells what has changed. `files` are texts by name, or paths; None: those of the
        project. `dry_run` tells the changes and makes none, `prune` removes what the files do not define. `message` and
        `author` (user@host) go with the versions that it makes. Nobody is asked for a confirmation."""
        if files is None:
            texts = dict(read_files(self._project))
        elif isinstance(files, Mapping):
            texts = dict(files)
        else:
            try:
                texts = {str(path): Path(path).read_text(encoding="utf-8") for path in files}
            except (OSError, UnicodeDecodeError) as error:
                raise Error("io", f"cannot read the files of definitions: {error}") from None
        body: dict[str, Any] = {"files": [{"name": name, "text": text} for name, text in texts.items()],
                                "author": own_author() if author is None else author}
        if dry_run:
            body["dry_run"] = True
        if prune:
            body["prune"] = True
        if message is not None:
            body["message"] = message
        reply = self._call("apply", body, APPLY_TIMEOUT_S, False)
        if not dry_run:
            self._await_definitions(reply)
        return [Change(field(one, "kind", str), field(one, "name", str), field(one, "change", str),
                       one.get("detail") or "") for one in items(reply, "changes", dict)]

    def _await_definitions(self, reply: dict[str, Any]) -> None:
        """Nodes fetch definitions by themselves, within moments; who sends or asks next should find them there."""
        version, end = field(reply, "version", int), clock.monotonic() + NODES_WAIT_S
        while clock.monotonic() < end:
            try:
                nodes = items(self.status(), "nodes", dict)
            except Error:
                return  # it was done
            if all(has_definitions(node, version) for node in nodes):
                return
            clock.sleep(NODES_LOOK_S)

    # ---- versions ----

    def versions(self, name: Optional[str] = None) -> list[Version]:
        """The versions of all views and services that are not retired; of one name all, with their texts."""
        return read_all(lambda body: self._call("versions", body, TIMEOUT_S, True), name)

    def promote(self, version: str) -> int:
        """Makes `user_spend@v1` the active version, which is answered when none is named. Returns the version of the
        cluster's definitions that has it."""
        return self._change_version("promote", version)

    def retire(self, version: str) -> int:
        """Ends `user_spend@v1`: it is not answered any more. An Error when it is the active one, or a service needs it."""
        return self._change_version("retire", version)

    def _change_version(self, kind: str, version: str) -> int:
        name, number = reference(version)
        reply = self._call(kind, {"name": name, "version": number}, APPLY_TIMEOUT_S, False)
        self._await_definitions(reply)
        now: int = field(reply, "version", int)
        return now

    def annotate(self, version: str, annotations: Mapping[str, Any], *, author: Optional[str] = None) -> None:
        """Keeps with a version what is said of it, as texts by name: {"accuracy": 0.89, "note": "of May"}. None takes
        away what was said under the name."""
        name, number = reference(version)
        self._call("annotate", {"name": name, "version": number, "annotations": annotations_of(annotations),
                                "author": own_author() if author is None else author}, APPLY_TIMEOUT_S, False)

    def diff(self, version: str, other: Optional[str] = None) -> str:
        """What two versions define differently, the lines of both: "- " before those of `version` alone, "+ " before those
        of `other` alone; empty when they are the same. `other` None is the active one."""
        name, number = reference(version)
        second: Optional[int] = None
        if other is not None:
            other_name, second = reference(other)
            if other_name != name:
                raise Error("invalid", f"{other!r:.300}: {version} is compared with another version of {name}")
        found = self.versions(name)
        return compare(pick(found, name, number).text or "", pick(found, name, second).text or "")
