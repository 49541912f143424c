"""What comes back from a get: results, and what each of them says of itself."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple, Sequence, overload

from .errors import Error
from .protocol import corrupt, field, items, mapping
from .types import Type, need, time_of, type_of_keys


NEVER = -(1 << 63)  # in `latest` of a result: no event is known of the key


class Missing(NamedTuple):
    """What is not in an answer: the events of a partition's log, and why."""

    log: str
    reason: str


class Result:
    """The features of one key. `result["spend_7d"]` is a value, `features` are all of them by name."""

    def __init__(self, answer: Answer, raw: dict[str, Any]):
        self._answer = answer
        self._values: list[Any] = field(raw, "values", list)
        if len(self._values) != len(answer.features):
            raise corrupt("a result has another number of values than there are features")
        self.key: dict[str, Any] = mapping(raw, "key", object)
        self.as_of_us: int = field(raw, "as_of", int)  # µs since 1970 UTC
        self.complete: bool = field(raw, "complete", bool)  # is every event in it that it ought to have?
        self.positions: dict[str, int] = mapping(raw, "positions", int)
        self.dataset: str = field(raw, "dataset", str)
        self._latest = answer.by_role(items(raw, "latest", int))
        expired: list[int] = items(raw, "expired", int, optional=True)
        # roles of a service (a view has one, of its own name) whose latest event is older than the view's ttl
        self.expired = [answer.roles[at] for at in expired if at < len(answer.roles)]
        self.errors: dict[str, str] = mapping(raw, "errors", str, optional=True)
        self.incomplete = [Missing(field(part, "log", str), field(part, "reason", str))
                           for part in items(raw, "incomplete", dict, optional=True)]

    def __getitem__(self, feature: str) -> Any:
        try:
            at = self._answer.features.index(feature)
        except ValueError:
            raise KeyError(f"{feature!r} is not among the features of the answer: {', '.join(self._answer.features)}"
                           ) from None
        return self._answer.columns[at].python(self._values[at])

    @property
    def features(self) -> dict[str, Any]:
        return {name: column.python(raw) for name, column, raw in
                zip(self._answer.features, self._answer.columns, self._values)}

    @property
    def as_of(self) -> Any:
        """A datetime in UTC."""
        return time_of(self.as_of_us)

    @property
    def latest(self) -> dict[str, Any]:
        """When the latest event of the key was, by role of a service (a view has one, of its own name): a datetime in
        UTC, or None for a key that was never seen."""
        return {role: None if us is None else time_of(us) for role, us in self._latest.items()}

    @property
    def view(self) -> str:
        return self._answer.view

    @property
    def version(self) -> str:
        return self._answer.version

    @property
    def versions(self) -> dict[str, str]:
        """Of each view that the answer is made of, and of the service, by name."""
        return self._answer.versions

    @property
    def types(self) -> dict[str, str]:
        return self._answer.types

    def raw(self, at: int) -> Any:
        """The value of the at-th feature as the message had it."""
        return self._values[at]

    def to_dict(self) -> dict[str, Any]:
        """The key's fields and the features, by name."""
        self._answer.check_names(self.key)
        return {**self.key, **self.features}

    def __repr__(self) -> str:
        told = "" if self.complete else ", incomplete"
        return f"<Result of {self.view}@{self.version} {self.key}: {self.features}{told}>"


class Answer(Sequence[Result]):
    """The results of several keys, in the order asked."""

    def __init__(self, body: dict[str, Any], keys: int):
        self.view: str = field(body, "view", str)
        self.version: str = field(body, "version", str)
        self.versions: dict[str, str] = mapping(body, "versions", str)  # of each view in it, and of the service
        self.features: list[str] = items(body, "features", str)
        words = items(body, "types", str)
        if len(words) != len(self.features) or len(set(self.features)) != len(words):
            raise corrupt("there is not one type for each feature")
        self.columns = [Type(word) for word in words]
        self.roles: list[str] = items(body, "roles", str)
        self._results = [Result(self, raw) for raw in items(body, "results", dict)]
        if len(self._results) != keys:
            raise corrupt(f"it has {len(self._results)} results, and {keys} keys were asked for")

    @property
    def types(self) -> dict[str, str]:
        """Of each feature, as docs/protocol.md names them."""
        return {name: column.word for name, column in zip(self.features, self.columns)}

    def by_role(self, times: list[int]) -> dict[str, int | None]:
        if len(times) != len(self.roles):
            raise corrupt("there is not one time for each role")
        return {role: None if us == NEVER else us for role, us in zip(self.roles, times)}

    @property
    def complete(self) -> bool:
        """Are all of them?"""
        return all(result.complete for result in self._results)

    @property
    def errors(self) -> list[tuple[int, str, str]]:
        """What could not be computed: (number of the result, feature, why)."""
        return [(at, feature, why) for at, result in enumerate(self._results) for feature, why in result.errors.items()]

    def add(self, other: Answer) -> None:
        """The results of further keys, of the same view and version."""
        if (other.view, other.versions, other.types) != (self.view, self.versions, self.types):
            raise Error("stale", "the view has changed while it was asked for: ask again")
        for result in other._results:
            result._answer = self
        self._results += other._results

    def check_names(self, keys: Mapping[str, Any], about: bool = False) -> None:
        both = set(self.features) & (set(keys) | ({"as_of", "complete"} if about else set()))
        if both:
            raise Error("invalid", f"{', '.join(sorted(both))}: features have the same name as what stands beside them; "
                        "ask for others by `features`, or use `result.key` and `result.features`")

    @overload
    def __getitem__(self, at: int) -> Result: ...

    @overload
    def __getitem__(self, at: slice) -> list[Result]: ...

    def __getitem__(self, at: int | slice) -> Result | list[Result]:
        return self._results[at]

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __repr__(self) -> str:
        return f"<Answer of {self.view}@{self.version}: {len(self)} keys × {len(self.features)} features>"

    # ---- as columns ----

    def _keys(self, about: bool) -> dict[str, list[Any]]:
        names: dict[str, None] = dict.fromkeys(name for result in self._results for name in result.key)
        self.check_names(names, about)
        return {name: [result.key.get(name) for result in self._results] for name in names}

    def _raws(self, at: int) -> list[Any]:
        return [result.raw(at) for result in self._results]

    def to_dict(self, about: bool = False) -> dict[str, list[Any]]:
        """Columns by name: the key's fields, the features, and with `about` also `as_of` and `complete`."""
        columns = self._keys(about)
        for at, (name, column) in enumerate(zip(self.features, self.columns)):
            columns[name] = [column.python(raw) for raw in self._raws(at)]
        if about:
            columns["as_of"] = [result.as_of for result in self._results]
            columns["complete"] = [result.complete for result in self._results]
        return columns

    def _typed(self, about: bool) -> dict[str, tuple[Type, list[Any]]]:
        columns = {name: (type_of_keys(values), values) for name, values in self._keys(about).items()}
        for at, (name, column) in enumerate(zip(self.features, self.columns)):
            columns[name] = (column, self._raws(at))
        if about:
            columns["as_of"] = (Type("timestamp"), [result.as_of_us for result in self._results])
            columns["complete"] = (Type("bool"), [result.complete for result in self._results])
        return columns

    def to_pandas(self, about: bool = False) -> Any:
        """A DataFrame of the same columns: int64, float64 and bool where nothing is null, otherwise Int64, Float64 and
        boolean; string; datetime64 in UTC; decimal.Decimal, lists and weir.Map as objects."""
        pandas = need("pandas")
        columns = {name: column.series(raws, pandas) for name, (column, raws) in self._typed(about).items()}
        return pandas.DataFrame(columns, index=pandas.RangeIndex(len(self)))

    def to_arrow(self, about: bool = False) -> Any:
        """A pyarrow.Table of the same columns, with the types of the answer."""
        pyarrow = need("pyarrow")
        columns = {name: column.array(raws, pyarrow) for name, (column, raws) in self._typed(about).items()}
        return pyarrow.table(columns)


