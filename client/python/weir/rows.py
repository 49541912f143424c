"""Rows as callers have them (mappings, sequences, a DataFrame, an Arrow table) as cells of a message."""

from __future__ import annotations

import functools
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from .errors import Error
from .protocol import COLUMNS_MAX, NAME_MAX
from .types import is_nan, need

_PLAIN = (str, int, float, bool, type(None))


class Cells(NamedTuple):
    """Rows of one batch: a value for each column."""

    columns: list[str]
    rows: list[list[Any]]


def time_text(time: datetime) -> str:
    """In UTC. Without a zone it stays without one: it is read as a text without one is, in the field's `zone:`."""
    if time.tzinfo is None:
        return time.isoformat(timespec="microseconds")
    return time.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def cell(value: Any) -> Any:
    """A value as a message has it. TypeError: no field can hold it."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} is no decimal that a field can hold")
        return format(value, "f")
    if isinstance(value, datetime):
        return None if value != value else time_text(value)  # NaT is not itself
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return _foreign(value)


def _foreign(value: Any) -> Any:
    """Of numpy and pandas, which need not be there."""
    kind = type(value)
    module = kind.__module__.split(".")[0]
    if module == "pandas" and kind.__name__ in ("NAType", "NaTType"):
        return None
    if module == "numpy" and kind.__name__ == "datetime64":
        return None if value != value else str(value)
    if module == "numpy" and getattr(value, "ndim", None) == 0 and kind.__name__ != "timedelta64":
        plain = value.item()
        if type(plain) in _PLAIN:
            return plain
    raise TypeError(f"a {kind.__name__} is nothing that a field can hold")


def _check_sendable(value: Any) -> None:
    """Of a cell. ValueError or OverflowError: no message can have it."""
    if type(value) is str and not value.isascii():
        value.encode()
    elif type(value) is int and not -(1 << 63) <= value < 1 << 64:
        raise OverflowError("the number has more than 64 bits")


@functools.lru_cache(4096)
def _fits(name: str) -> bool:
    try:
        return 1 <= len(name.encode()) <= NAME_MAX
    except UnicodeEncodeError:
        return False


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _fits(name)


def check_columns(columns: Iterable[Any]) -> list[str]:
    """The names of columns, each once."""
    names = list(columns)
    for name in names:
        if not _is_name(name):
            raise Error("invalid", f"{name!r} is no name of a column: a text of 1 to {NAME_MAX} bytes")
    if not 1 <= len(names) <= COLUMNS_MAX:
        raise Error("invalid", f"rows have 1 to {COLUMNS_MAX} columns, not {len(names)}")
    if len(set(names)) < len(names):
        raise Error("invalid", "a column is there twice: " + ", ".join(sorted({n for n in names if names.count(n) > 1})))
    return names


def row_cells(row: Any, columns: Optional[Sequence[str]], number: int) -> dict[str, Any] | list[Any]:
    """A row, copied: a mapping of names, or the values of `columns`. What no message can have is told here, while it is
    of this row alone: rows of a batch are sent together."""
    if isinstance(row, Mapping):
        names = row if columns is None else columns
        if len(row) > COLUMNS_MAX:
            raise Error("invalid", f"row {number} has {len(row)} fields, and at most {COLUMNS_MAX} can be sent")
        if columns is None and (strange := [name for name in row if not _is_name(name)]):
            raise Error("invalid", f"row {number}: {strange[0]!r} is no name of a column: a text of 1 to {NAME_MAX} bytes")
        if columns is not None and (strange := [name for name in row if name not in columns]):
            raise Error("invalid", f"row {number} has {strange[0]!r}, which is none of the columns")
        return {name: _cell_at(row.get(name), number, name) for name in names}
    if columns is None or isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
        raise Error("invalid", f"row {number} is a {type(row).__name__}: rows are mappings from fields to values, or "
                    "sequences of values with `columns=` given")
    if len(row) != len(columns):
        raise Error("invalid", f"row {number} has {len(row)} values, and there are {len(columns)} columns")
    return [_cell_at(value, number, name) for name, value in zip(columns, row)]


def _cell_at(value: Any, number: int, name: object) -> Any:
    try:
        value = value if type(value) in _PLAIN else cell(value)
        _check_sendable(value)
        return value
    except (TypeError, ValueError, OverflowError) as error:
        raise Error("invalid", f"row {number}, {name!r}: {error}") from None


def gather(rows: Sequence[dict[str, Any] | list[Any]], columns: Optional[list[str]]) -> Cells:
    """Of mappings, the columns that any of them has: a field that is not there is null."""
    names = columns
    if names is None:
        names = check_columns(dict.fromkeys(name for row in rows for name in row))
    return Cells(names, [row if isinstance(row, list) else [row.get(name) for name in names] for row in rows])


# ---- frames ----


def is_frame(rows: Any) -> bool:
    return is_pandas(rows) or is_arrow(rows)


def is_pandas(rows: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(rows, pandas.DataFrame)


def is_arrow(rows: Any) -> bool:
    pyarrow = sys.modules.get("pyarrow")
    return pyarrow is not None and isinstance(rows, (pyarrow.Table, pyarrow.RecordBatch))


def frame_chunks(frame: Any, size: int, nan_is_null: bool) -> Iterator[Cells]:
    """The rows of a DataFrame or of an Arrow table, `size` at a time."""
    if is_pandas(frame):
        columns = check_columns(frame.columns)
        for start in range(0, len(frame), size):
            part = frame.iloc[start:start + size]
            lists = [_pandas_cells(part.iloc[:, at], start, name, nan_is_null) for at, name in enumerate(columns)]
            yield Cells(columns, [list(row) for row in zip(*lists)])
        return
    columns = check_columns(frame.schema.names)
    for start in range(0, frame.num_rows, size):
        part = frame.slice(start, size)
        lists = [_arrow_cells(part.column(at), start, name) for at, name in enumerate(columns)]
        yield Cells(columns, [list(row) for row in zip(*lists)])


def _pandas_cells(series: Any, start: int, name: str, nan_is_null: bool) -> list[Any]:
    """What pandas takes for missing is null. NaN of floats is so, too, unless `nan_is_null` is False."""
    kind = series.dtype
    plain = getattr(kind, "kind", "?") in "iufb" and not hasattr(kind, "na_value")  # numpy's own numbers
    if hasattr(kind, "pyarrow_dtype"):
        values = _arrow_cells(series.array.__arrow_array__(), start, name)
    elif getattr(kind, "kind", "?") == "M" and hasattr(series, "dt"):
        return _pandas_times(series)
    elif plain:
        values = series.tolist()
    else:
        values = [_cell_at(value, start + at, name) for at, value in enumerate(series)]
    return [None if is_nan(value) else value for value in values] if nan_is_null else values


def _pandas_times(series: Any) -> list[Any]:
    """As time_text, a column at a time."""
    numpy = need("numpy")
    aware = getattr(series.dtype, "tz", None) is not None
    if aware:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    times = series.to_numpy().astype("datetime64[us]")
    end = "Z" if aware else ""
    return [None if null else text + end
            for text, null in zip(numpy.datetime_as_string(times, unit="us").tolist(), numpy.isnat(times).tolist())]


def _arrow_cells(column: Any, start: int, name: str) -> list[Any]:
    """Null is null and NaN is NaN. Times of nanoseconds lose what is below a µs."""
    pyarrow = sys.modules["pyarrow"]
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", tz=kind.tz), safe=False)
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError):  # Python has not got one of them
        values = [_python_of(scalar, start + at, name) for at, scalar in enumerate(column)]
    return [_cell_at(value, start + at, name) for at, value in enumerate(values)]


def _python_of(scalar: Any, number: int, name: str) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        raise Error("invalid", f"row {number}, {name!r}: {error}") from None
