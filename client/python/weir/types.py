"""Types as answers name them (`int64`, `decimal(38,2)`, `map<string,list<int64>>`), and values of each: as Python's own,
as columns of pandas, and as Arrow arrays."""

from __future__ import annotations

import importlib
import math
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Optional, Sequence

from .errors import Error
from .protocol import NAME_MAX, corrupt

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_SIMPLE = ("bool", "int64", "float64", "string", "timestamp", "duration")


class Map(dict[Any, Any]):
    """The keys of a feature by key, ascending. `capped`: there were more keys than are kept. `total`: the rows of all,
    also of those that are not kept."""

    def __init__(self, entries: Any = (), capped: bool = False, total: int = 0):
        super().__init__(entries)
        self.capped = capped
        self.total = total


def need(module: str) -> Any:
    """A package that only some calls need."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Error("unsupported", f"this needs {module}, which is not installed here: `pip install {module}`") from None


def time_of(us: int) -> Any:
    """A datetime in UTC; of a year that Python has not got, the µs themselves."""
    try:
        return EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return us


class Type:
    """One type of an answer, by its word."""

    def __init__(self, word: str):
        if len(word) > NAME_MAX:
            raise corrupt(f"{word!r:.100} is no type")
        self.word = word
        self.name = word
        self.scale = self.precision = 0
        self.key: Optional[Type] = None
        self.item: Optional[Type] = None
        found = _DECIMAL.fullmatch(word)
        if found:
            self.name, self.precision, self.scale = "decimal", int(found[1]), int(found[2])
        elif word.startswith("list<") and word.endswith(">"):
            self.name, self.item = "list", Type(word[5:-1])
        elif word.startswith("map<") and word.endswith(">"):
            key, item = _split(word[4:-1])
            self.name, self.key, self.item = "map", Type(key), Type(item)
        elif word not in _SIMPLE:
            raise Error("unsupported", f"the answer has a value of type {word!r}, which this version of the package does "
                        "not know: a later one may")

    def python(self, raw: Any) -> Any:
        """A value of the message as one of Python: exact, or an Error that it is none of the type."""
        if raw is None:
            return None
        if self.name == "string" and isinstance(raw, str) or self.name == "bool" and isinstance(raw, bool):
            return raw
        if isinstance(raw, float) and self.name == "float64":
            return raw
        if isinstance(raw, int) and not isinstance(raw, bool) and -(1 << 63) <= raw < 1 << 63:
            if self.name in ("int64", "duration"):
                return raw
            if self.name == "float64":
                return float(raw)
            if self.name == "timestamp":
                return time_of(raw)
        if self.name == "decimal" and isinstance(raw, str):
            return _decimal(raw)
        if self.name == "map" and isinstance(raw, dict):
            return self._map(raw)
        if self.name == "list" and isinstance(raw, list) and self.item is not None:
            return [self.item.python(item) for item in raw]
        raise corrupt(f"{raw!r:.100} is no {self.word}")

    def _map(self, raw: dict[str, Any]) -> Map:
        assert self.key is not None and self.item is not None
        keys, values = raw.get("keys"), raw.get("values")
        total = raw.get("total")
        if not isinstance(keys, list) or not isinstance(values, list) or len(keys) != len(values):
            raise corrupt(f"{raw!r:.100} is no {self.word}")
        return Map(zip(map(self.key.python, keys), map(self.item.python, values)), raw.get("capped") is True,
                   total if isinstance(total, int) else 0)

    # ---- pandas ----

    def series(self, raws: Sequence[Any], pandas: Any) -> Any:
        """An array for a column: numpy's own type where there is no null, a nullable one otherwise. NaN stays NaN."""
        if self.name in ("int64", "bool", "float64", "duration"):
            return self._numbers([self.python(raw) for raw in raws], pandas)
        if self.name == "timestamp":
            return _timestamps([None if raw is None else self._us(raw) for raw in raws], pandas)
        values = [self.python(raw) for raw in raws]
        if self.name == "string":
            return pandas.array(values, dtype="string")
        return pandas.Series(values, dtype=object)

    def _numbers(self, values: list[Any], pandas: Any) -> Any:
        numpy = need("numpy")
        kind = {"bool": "bool", "float64": "float64"}.get(self.name, "int64")
        nulls = numpy.array([value is None for value in values], dtype=bool)
        array = numpy.array([0 if value is None else value for value in values], dtype=kind)
        if not nulls.any():
            return array
        nullable = {"bool": pandas.arrays.BooleanArray, "float64": pandas.arrays.FloatingArray}
        return nullable.get(kind, pandas.arrays.IntegerArray)(array, nulls)

    def _us(self, raw: Any) -> int:
        self.python(raw)
        return int(raw)

    # ---- Arrow ----

    def arrow(self, pyarrow: Any) -> Any:
        if self.name == "decimal":
            return pyarrow.decimal128(self.precision, self.scale)
        if self.name == "list":
            assert self.item is not None
            return pyarrow.list_(self.item.arrow(pyarrow))
        if self.name == "map":
            assert self.key is not None and self.item is not None
            return pyarrow.map_(self.key.arrow(pyarrow), self.item.arrow(pyarrow))
        return {"bool": pyarrow.bool_(), "float64": pyarrow.float64(), "string": pyarrow.string(),
                "timestamp": pyarrow.timestamp("us", tz="UTC")}.get(self.name, pyarrow.int64())

    def arrow_value(self, raw: Any) -> Any:
        """What pyarrow.array takes: times as µs, maps as pairs."""
        value = self.python(raw)
        if raw is None:
            return None
        if self.name == "timestamp":
            return raw
        if self.name == "list":
            assert self.item is not None
            return [self.item.arrow_value(item) for item in raw]
        if self.name == "map":
            assert self.key is not None and self.item is not None
            return list(zip(map(self.key.arrow_value, raw["keys"]), map(self.item.arrow_value, raw["values"])))
        return value

    def array(self, raws: Sequence[Any], pyarrow: Any) -> Any:
        try:
            return pyarrow.array([self.arrow_value(raw) for raw in raws], self.arrow(pyarrow), from_pandas=False)
        except (pyarrow.ArrowException, OverflowError) as error:
            raise corrupt(f"no column of {self.word}: {error}") from None


def _split(inside: str) -> tuple[str, str]:
    """At the first comma that is not between parentheses, as that of decimal(38,2)."""
    depth = 0
    for at, character in enumerate(inside):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            return inside[:at], inside[at + 1:]
    return inside, ""


def _decimal(raw: str) -> Decimal:
    try:
        value = Decimal(raw)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise corrupt(f"{raw!r:.100} is no decimal")
    return value


def _timestamps(times: list[Optional[int]], pandas: Any) -> Any:
    """datetime64[us, UTC]; in ns with a pandas that has nothing else."""
    numpy = need("numpy")
    array = numpy.array([-(1 << 63) if time is None else time for time in times], dtype="int64").view("datetime64[us]")
    try:
        return pandas.Series(array).dt.tz_localize("UTC").array
    except ValueError as error:  # of a pandas before 2, which has ns alone
        raise Error("range", f"this pandas ({pandas.__version__}) cannot hold a timestamp of the answer: {error}") from None


def is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


_KINDS: dict[type, str] = {bool: "bool", int: "int64", float: "float64", str: "string"}


def type_of_keys(values: Sequence[Any]) -> Type:
    """Of a column of key values, whose type an answer does not name: that of the values as they came."""
    kinds = {_KINDS.get(type(value), "string") for value in values if value is not None}
    return Type(kinds.pop() if len(kinds) == 1 else "string")
