"""Training sets: rows with their features, each as of its own time (docs/training.md). The work is that of the `weir`
command, which is run beside the cluster's data directory; what it writes comes back typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence, Union

from .errors import Error
from .rows import check_columns, frame_chunks, gather, is_arrow, is_frame, is_pandas, row_cells
from .types import EPOCH, Type, need, type_of_keys

CHUNK_ROWS = 4096
_STATUS = {1: "invalid", 2: "invalid", 3: "unavailable", 130: "cancelled"}
PathLike = Union[str, "os.PathLike[str]"]


class TrainingSet:
    """The rows of a spine and their features. `manifest` is what docs/training.md says of OUT.weir.json; given as
    `version` to another call, that one is of the same events."""

    def __init__(self, manifest: dict[str, Any], spine: Any, columns: dict[str, list[Any]], raws: dict[str, list[Any]],
                 types: dict[str, Type], rows: int):
        self.manifest = manifest
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
        return pyarrow.table({name: type_of_keys(values).array(
            values if len({type(v) for v in values if v is not None}) <= 1 else [None if v is None else str(v) for v in values],
            pyarrow) for name, values in self._columns.items()})

    def to_arrow(self) -> Any:
        """A pyarrow.Table of the same columns; features have the types of answers."""
        pyarrow = need("pyarrow")
        table = self._arrow_spine()
        for name, kind in self._types.items():
            table = table.append_column(name, kind.array(self._raws[name], pyarrow))
        return table

    def to_parquet(self, path: PathLike) -> None:
        """The same as a Parquet file, whose schema has the manifest under `weir`."""
        parquet = need("pyarrow.parquet")
        table = self.to_arrow()
        about = {**(table.schema.metadata or {}), b"weir": json.dumps(self.manifest).encode()}
        temporary = f"{os.fspath(path)}.{os.getpid()}.tmp"
        try:
            parquet.write_table(table.replace_schema_metadata(about), temporary)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)


def training_set(target: str, spine: Any, time: str, *, project: PathLike = ".", known_at: Optional[str] = None,
                 before: bool = False, raw: bool = False, version: Union[TrainingSet, Mapping[str, Any], PathLike, None] = None,
                 prefix: Optional[str] = None, on_error: str = "stop", command: PathLike = "weir") -> TrainingSet:
    """Rows of `spine` with the features of a view or service, each as of its value of the column `time`.

        rows = weir.training_set("transfer_model", labels, "ts", project="my-project")
        rows.to_pandas(); rows.to_parquet("train.parquet")

    `spine` is a DataFrame, an Arrow table, a sequence of mappings, or the path of a CSV or NDJSON file. `command` is the
    `weir` program. The rest is as on the command line (docs/training.md)."""
    program = shutil.which(os.fspath(command))
    if program is None:
        raise Error("not-found", f"there is no program {os.fspath(command)!r}: `command=` is the path of `weir`")
    with tempfile.TemporaryDirectory(prefix="weir-training-") as scratch:
        given = _spine_file(spine, Path(scratch))
        out = Path(scratch) / "out.ndjson"
        words = [program, "-C", os.fspath(project), "training-set", target, "--spine", given, "--time", time, "--out", str(out),
                 "--on-error", on_error]
        words += ["--known-at", known_at] if known_at is not None else []
        words += ["--prefix", prefix] if prefix is not None else []
        words += ["--before"] if before else []
        words += ["--raw"] if raw else []
        words += ["--version", _version_file(version, Path(scratch))] if version is not None else []
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode not in (0, 4):
            text = done.stderr.strip().removeprefix("weir training-set: ")
            if not isinstance(spine, (str, os.PathLike)):  # who gave rows knows of no file
                text = text.replace(given, "the spine")
            raise Error(_STATUS.get(done.returncode, "io"), text or f"weir ended with status {done.returncode}")
        return _read(out, spine if is_frame(spine) else None, prefix or "")


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


def _read(out: Path, spine: Any, prefix: str) -> TrainingSet:
    manifest = json.loads(Path(f"{out}.weir.json").read_text())
    kinds = {prefix + feature["name"]: Type(feature["type"]) for feature in manifest["features"]}
    raws: dict[str, list[Any]] = {name: [] for name in kinds}
    columns: dict[str, list[Any]] = {}
    rows = 0
    with open(out, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            for name, kind in kinds.items():
                raws[name].append(_raw(kind, row.pop(name, None)))
            for name in row.keys() - columns.keys():
                columns[name] = [None] * rows
            for name, values in columns.items():
                values.append(row.get(name))
            rows += 1
    if is_frame(spine):  # a value of the request that is answered as it is is the spine's own column
        names = set(spine.columns) if is_pandas(spine) else set(spine.schema.names)
        kinds = {name: kind for name, kind in kinds.items() if name not in names}
    kinds = {name: kind for name, kind in kinds.items() if name not in columns}
    return TrainingSet(manifest, spine, columns, raws, kinds, rows)


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
