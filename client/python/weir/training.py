"""Training sets: rows with their features, each as of its own time (docs/training.md). The work is that of the `weir`
command, which is run beside the cluster's data directory; what it writes comes back typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

from .errors import Error
from .rows import check_columns, frame_chunks, gather, is_arrow, is_frame, is_pandas, row_cells
from .types import EPOCH, Type, need, type_of_keys

CHUNK_ROWS = 4096
_STATUS = {1: "invalid", 2: "invalid", 3: "unavailable", 130: "cancelled"}
GROUP_ROWS = 65536
PathLike = Union[str, "os.PathLike[str]"]
Progress = Callable[[str], object]


class TrainingSet:
    """The rows of a spine and their features. `manifest` is what docs/training.md says of OUT.weir.json; given as
    `version` to another call, that one is of the same events."""

    def __init__(self, manifest: dict[str, Any], spine: Any, columns: dict[str, list[Any]], raws: dict[str, list[Any]],
                 types: dict[str, Type], rows: int, spine_types: Optional[Mapping[str, Type]] = None):
        self.manifest = manifest
        self._spine_types = spine_types  # of `columns`; None: as these are
        self._spine, self._columns, self._raws, self._types, self._rows = spine, columns, raws, types, rows

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        return f"<TrainingSet of {len(self)} rows × {len(self._types)} features>"

    @property
    def features(self) -> list[str]:
        return list(self._types)

    @property
    def types(self) -> dict[str, str]:
        """Of each feature, as docs/protocol.md names them."""
        return {name: kind.word for name, kind in self._types.items()}

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns by name: the spine's, as they were written, and the features as values of Python."""
        return {**self._columns, **{name: [kind.python(raw) for raw in self._raws[name]]
                                    for name, kind in self._types.items()}}

    def to_pandas(self) -> Any:
        """A DataFrame: the spine's columns, which stay what they are in a DataFrame that was given, and the features, typed
        as those of `get_many`."""
        pandas = need("pandas")
        index = pandas.RangeIndex(len(self))
        features = pandas.DataFrame({name: kind.series(self._raws[name], pandas) for name, kind in self._types.items()},
                                    index=index)
        spine = self._spine
        if not is_pandas(spine) or len(spine) != len(self):
            columns = self._arrow_spine().to_pandas() if is_arrow(spine) else pandas.DataFrame(self._columns, index=index)
            return pandas.concat([columns, features], axis=1)
        features.index = spine.index
        return pandas.concat([spine, features], axis=1)

    def _arrow_spine(self) -> Any:
        pyarrow = need("pyarrow")
        if is_arrow(self._spine) and self._spine.num_rows == len(self):
            one = self._spine
            return pyarrow.Table.from_batches([one]) if isinstance(one, pyarrow.RecordBatch) else one
        if is_pandas(self._spine) and len(self._spine) == len(self):
            return pyarrow.Table.from_pandas(self._spine, preserve_index=False)
        kinds = self._spine_types or {name: type_of_keys(values) for name, values in self._columns.items()}
        return pyarrow.table({name: kinds[name].array(values if kinds[name].name != "string" else
                                                      [None if v is None else str(v) for v in values], pyarrow)
                              for name, values in self._columns.items()})

    def to_arrow(self) -> Any:
        """A pyarrow.Table of the same columns; features have the types of answers."""
        pyarrow = need("pyarrow")
        table = self._arrow_spine()
        for name, kind in self._types.items():
            table = table.append_column(name, kind.array(self._raws[name], pyarrow))
        return table

    def to_parquet(self, path: PathLike) -> None:
        """The same as a Parquet file, whose schema has the manifest under `weir`. `write_training_set` makes one of more rows
        than fit into memory."""
        _write_parquet(path, iter([self]))


def _write_parquet(path: PathLike, parts: Iterator[TrainingSet]) -> None:
    """Tables of one schema, each a row group."""
    parquet = need("pyarrow.parquet")
    temporary = f"{os.fspath(path)}.{os.getpid()}.tmp"
    writer = None
    try:
        for part in parts:
            table = part.to_arrow()
            if writer is None:
                about = {**(table.schema.metadata or {}), b"weir": json.dumps(part.manifest).encode()}
                writer = parquet.ParquetWriter(temporary, table.schema.with_metadata(about))
            writer.write_table(table.cast(writer.schema))
        if writer is not None:
            writer.close()
            os.replace(temporary, path)
    finally:
        if writer is not None:
            writer.close()
        if os.path.exists(temporary):
            os.unlink(temporary)


def training_set(target: str, spine: Any, time: str, *, project: PathLike = ".", known_at: Optional[str] = None,
                 before: bool = False, raw: bool = False, version: Union[TrainingSet, Mapping[str, Any], PathLike, None] = None,
                 features: Optional[Sequence[str]] = None, prefix: Optional[str] = None, on_error: str = "stop", command: PathLike = "weir",
                 progress: Optional[Progress] = None) -> TrainingSet:
    """Rows of `spine` with the features of a view or service, each as of its value of the column `time`.

        rows = weir.training_set("transfer_model", labels, "ts", project="my-project")
        rows.to_pandas(); rows.to_parquet("train.parquet")

    `spine` is a DataFrame, an Arrow table, a sequence of mappings, or the path of a CSV or NDJSON file. `command` is the
    `weir` program. `features` chooses those of a view. `progress` is called now and then with a line that says how far it is. The rest is as on the command line
    (docs/training.md)."""
    options = _options(known_at, before, raw, features, prefix, on_error)
    with _made(target, spine, time, project, options, version, command, progress) as out:
        return _read(out, spine if is_frame(spine) else None, prefix or "")


def write_training_set(path: PathLike, target: str, spine: Any, time: str, *, project: PathLike = ".",
                       known_at: Optional[str] = None, before: bool = False, raw: bool = False,
                       version: Union[TrainingSet, Mapping[str, Any], PathLike, None] = None,
                       features: Optional[Sequence[str]] = None, prefix: Optional[str] = None,
                       on_error: str = "stop", command: PathLike = "weir", progress: Optional[Progress] = None,
                       group_rows: int = GROUP_ROWS) -> dict[str, Any]:
    """The same straight into a Parquet file, of which no more than a row group of `group_rows` is in memory. Its manifest.

        weir.write_training_set("train.parquet", "transfer_model", "labels.csv", "ts", project="my-project", progress=print)
    """
    if group_rows < 1:
        raise Error("invalid", "group_rows is 1 or more")
    need("pyarrow")
    options = _options(known_at, before, raw, features, prefix, on_error)
    with _made(target, spine, time, project, options, version, command, progress) as out:
        manifest = _manifest(out)
        _write_parquet(path, _parts(out, manifest, spine if is_frame(spine) else None, prefix or "", group_rows))
        return manifest


def _options(known_at: Optional[str], before: bool, raw: bool, features: Optional[Sequence[str]], prefix: Optional[str],
             on_error: str) -> list[str]:
    if isinstance(features, str) or any("," in name for name in features or ()):
        raise Error("invalid", f"features is a sequence of names, not {features!r:.200}")
    words = ["--on-error", on_error]
    words += ["--known-at", known_at] if known_at is not None else []
    words += ["--prefix", prefix] if prefix is not None else []
    words += ["--before"] if before else []
    words += ["--raw"] if raw else []
    words += ["--features", ",".join(features)] if features is not None else []
    return words


@contextmanager
def _made(target: str, spine: Any, time: str, project: PathLike, options: list[str], version: Any, command: PathLike,
          progress: Optional[Progress]) -> Iterator[Path]:
    """What the command wrote, NDJSON with its manifest beside it, as long as the context lasts."""
    program = shutil.which(os.fspath(command))
    if program is None:
        raise Error("not-found", f"there is no program {os.fspath(command)!r}: `command=` is the path of `weir`")
    with tempfile.TemporaryDirectory(prefix="weir-training-") as scratch:
        given = _spine_file(spine, Path(scratch))
        out = Path(scratch) / "out.ndjson"
        words = [program, "-C", os.fspath(project), "training-set", target, "--spine", given, "--time", time, "--out", str(out),
                 *options]
        words += ["--version", _version_file(version, Path(scratch))] if version is not None else []
        status, said = _run(words, progress)
        if status not in (0, 4):
            text = said.rpartition("weir training-set: ")[2].strip()
            if not isinstance(spine, (str, os.PathLike)):  # who gave rows knows of no file
                text = text.replace(given, "the spine")
            raise Error(_STATUS.get(status, "io"), text or f"weir ended with status {status}")
        yield out


def _run(words: list[str], progress: Optional[Progress]) -> tuple[int, str]:
    """Its exit status, and what it said."""
    said = []
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                said.append(line)
                if progress is not None and not line.startswith("weir training-set: "):
                    progress(line.rstrip("\n"))
        except BaseException:
            process.terminate()
            raise
    return process.returncode, "".join(said)


# ---- going in ----


def _spine_file(spine: Any, scratch: Path) -> str:
    if isinstance(spine, (str, os.PathLike)):
        return os.fspath(spine)
    path = scratch / "spine.ndjson"
    with open(path, "w", encoding="utf-8") as file:
        for columns, rows in _chunks(spine):
            for row in rows:
                file.write(json.dumps(dict(zip(columns, row)), allow_nan=False, default=str) + "\n"
                           if not any(_is_odd(value) for value in row) else _odd(columns, row))
    return str(path)


def _is_odd(value: Any) -> bool:
    return isinstance(value, float) and (value != value or value in (float("inf"), float("-inf")))


def _odd(columns: Sequence[str], row: Sequence[Any]) -> str:
    """Numbers that JSON has not got are texts."""
    texts = [str(value).replace("inf", "Infinity").replace("nan", "NaN") if _is_odd(value) else value for value in row]
    return json.dumps(dict(zip(columns, texts))) + "\n"


def _chunks(spine: Any) -> Iterator[tuple[list[str], list[list[Any]]]]:
    if is_frame(spine):
        for part in frame_chunks(spine, CHUNK_ROWS, True):
            yield part.columns, part.rows
        return
    if isinstance(spine, Mapping) or not isinstance(spine, Iterable):
        raise Error("invalid", f"a spine is a DataFrame, an Arrow table, a sequence of mappings, or a path; not a "
                    f"{type(spine).__name__}")
    rows = [row_cells(row, None, number) for number, row in enumerate(spine)]
    if rows:
        part = gather(rows, None)
        yield check_columns(part.columns), part.rows


def _version_file(version: Any, scratch: Path) -> str:
    if isinstance(version, (str, os.PathLike)):
        return os.fspath(version)
    path = scratch / "version.json"
    path.write_text(json.dumps(version.manifest if isinstance(version, TrainingSet) else dict(version)))
    return str(path)


# ---- coming back ----


def _manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{out}.weir.json").read_text())
    return found


def _kinds(manifest: Mapping[str, Any], prefix: str) -> dict[str, Type]:
    return {prefix + feature["name"]: Type(feature["type"]) for feature in manifest["features"]}


def _take(lines: Iterable[str], kinds: Mapping[str, Type]) -> tuple[dict[str, list[Any]], dict[str, list[Any]], int]:
    """Features as messages have them, the spine's columns, and how many rows they are."""
    raws: dict[str, list[Any]] = {name: [] for name in kinds}
    columns: dict[str, list[Any]] = {}
    rows = 0
    for line in lines:
        row = json.loads(line)
        for name, kind in kinds.items():
            raws[name].append(_raw(kind, row.pop(name, None)))
        for name in row.keys() - columns.keys():
            columns[name] = [None] * rows
        for name, values in columns.items():
            values.append(row.get(name))
        rows += 1
    return raws, columns, rows


def _without(kinds: Mapping[str, Type], spine: Any, columns: Iterable[str]) -> dict[str, Type]:
    """A value of the request that is answered as it is is the spine's own column."""
    names = set(columns)
    if is_frame(spine):
        names |= set(spine.columns) if is_pandas(spine) else set(spine.schema.names)
    return {name: kind for name, kind in kinds.items() if name not in names}


def _read(out: Path, spine: Any, prefix: str) -> TrainingSet:
    manifest = _manifest(out)
    kinds = _kinds(manifest, prefix)
    with open(out, encoding="utf-8") as file:
        raws, columns, rows = _take(file, kinds)
    return TrainingSet(manifest, spine, columns, raws, _without(kinds, spine, columns), rows)


def _spine_types(out: Path, kinds: Mapping[str, Type]) -> tuple[dict[str, Type], int]:
    """Of all columns that are not features, and how many rows there are: one of each kind of value that stands in it says
    what a column is of, and a part need not have one."""
    seen: dict[str, dict[type, Any]] = {}
    rows = 0
    with open(out, encoding="utf-8") as file:
        for line in file:
            for name, value in json.loads(line).items():
                if name not in kinds:
                    seen.setdefault(name, {}).setdefault(type(value), value)
            rows += 1
    return {name: type_of_keys(list(values.values())) for name, values in seen.items()}, rows


def _parts(out: Path, manifest: dict[str, Any], spine: Any, prefix: str, size: int) -> Iterator[TrainingSet]:
    kinds = _kinds(manifest, prefix)
    spine_types, rows = _spine_types(out, kinds)
    if is_pandas(spine):  # a part of a column may look like another type
        spine = need("pyarrow").Table.from_pandas(spine, preserve_index=False)
    whole = is_frame(spine) and spine.num_rows == rows
    types = _without(kinds, spine, spine_types)
    with open(out, encoding="utf-8") as file:
        at = 0
        while at < rows or at == 0:
            raws, columns, count = _take(islice(file, size), kinds)
            columns = {name: columns.get(name, [None] * count) for name in spine_types}
            part = spine.slice(at, count) if whole else None
            yield TrainingSet(manifest, part, columns, raws, types, count, spine_types)
            at += max(count, 1)


def _us(text: str) -> int:
    parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc) - EPOCH
    return (parsed.days * 86400 + parsed.seconds) * 1_000_000 + parsed.microseconds


def _raw(kind: Type, value: Any) -> Any:
    """A value of JSON as a message has it."""
    if value is None:
        return None
    if kind.name == "timestamp" and isinstance(value, str):
        return _us(value)
    if kind.name == "float64" and isinstance(value, str):
        return float(value)
    if kind.name == "list" and kind.item is not None:
        return [_raw(kind.item, item) for item in value]
    if kind.name == "map" and kind.key is not None and kind.item is not None:
        return {"keys": [_key(kind.key, key) for key in value], "values": [_raw(kind.item, item) for item in value.values()]}
    return value


def _key(kind: Type, text: str) -> Any:
    """A key of a map, which JSON has as a text."""
    if kind.name in ("int64", "duration"):
        return int(text)
    if kind.name == "float64":
        return float(text)
    if kind.name == "bool":
        return text == "true"
    return _raw(kind, text)
