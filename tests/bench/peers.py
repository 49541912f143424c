"""peers.py COMMAND ... - the work of tests/bench/batch.c done by others, on the same files of events.
Runs in the environment that `make bench-batch` makes. Prints one line of JSON.

  load DIR DATABASE           events into a table of DuckDB, and into the same sorted by (key, time);
                              their sizes, and those of Parquet files with zstd
  duckdb DIR DATABASE TABLE OUT THREADS   the GROUP BY of a table into a table of the database OUT
  training DIR DATABASE OUT THREADS       a window query over the table `arrived`: of each row, count
                              and sum of the 7 days up to it, into a table of the database OUT
  compare-training DIR OUT ANSWERS        its rows beside weir's, value by value
  polars DIR, pandas DIR      the same over a data frame in memory
  compare DIR OUT KEYS ANSWERS            DuckDB's result beside weir's answers, value by value

DIR has a file per column and schema.json, which batch.py writes."""
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

WORK = {"int64": np.int64, "timestamp": np.int64, "float64": np.float64}


class Events:
    """The columns of a directory, mapped."""

    def __init__(self, directory):
        self.directory = Path(directory)
        schema = json.loads((self.directory / "schema.json").read_text())
        self.fields, self.clock = schema["fields"], schema["clock"]
        self.key, self.value, self.time = schema["key"], schema["value"], schema["time"]
        self.windows = schema["windows"]  # name: µs

    def column(self, name, path=None):
        path = path or self.directory / name
        kind = self.fields[name]
        if kind != "string":
            return np.memmap(path, WORK[kind], "r").view(np.ndarray)
        words = (self.directory / f"{name}.words").read_text().split("\n")[:-1]
        return np.array(words, object)[np.fromfile(path, np.uint32)]

    def columns(self):
        return {name: self.column(name) for name in self.fields}


class Measure:
    """Time, CPU, bytes and the peak of memory between two places of a program."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.io, self.cpu, self.start = self.counters(), time.process_time(), time.monotonic()
        return self

    def __exit__(self, *_):
        wall, cpu, io = time.monotonic() - self.start, time.process_time(), self.counters()
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        self.figures = {"wall_s": wall, "cpu_s": cpu - self.cpu,
                        "peak_bytes": int(status["VmHWM"].split()[0]) * 1024,
                        "read_bytes": io["rchar"] - self.io["rchar"],
                        "written_bytes": io["wchar"] - self.io["wchar"]}

    @staticmethod
    def counters():
        return {name: int(value) for name, value in
                (line.split(": ") for line in open("/proc/self/io"))}


# ---- DuckDB ----

def load(directory, database):
    import duckdb
    events = Events(directory)
    columns = events.columns()
    fields = ", ".join(f"make_timestamp({name}) AS {name}" if kind == "timestamp" else name
                       for name, kind in events.fields.items())
    connection = duckdb.connect(database)
    sizes = {}
    with Measure() as measure:
        connection.execute(f"CREATE TABLE arrived AS SELECT {fields} FROM columns")
        connection.execute("CHECKPOINT")
    sizes["arrived"] = os.path.getsize(database)
    connection.execute(
        f"CREATE TABLE sorted AS SELECT * FROM arrived ORDER BY {events.key}, {events.time}")
    connection.execute("CHECKPOINT")
    sizes["sorted"] = os.path.getsize(database) - sizes["arrived"]
    file = Path(database).with_suffix(".parquet")
    for table in ("arrived", "sorted"):
        for version in ("V1", "V2"):
            connection.execute(f"COPY {table} TO '{file}' "
                               f"(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION {version})")
            sizes[f"parquet_{table}_{version}"] = file.stat().st_size
    file.unlink()
    return measure.figures | {"sizes": sizes, "duckdb": duckdb.__version__}


def group_by(events, table):
    """The features that the view has, as of the clock."""
    value, parts = events.value, [f"{events.key} AS entity"]
    for name, window in events.windows.items():
        rows = f"FILTER (WHERE {events.time} > make_timestamp({events.clock - window}))"
        parts += [f"count(*) {rows} AS n_{name}", f"sum({value}) {rows} AS total_{name}",
                  f"min({value}) {rows} AS least_{name}", f"max({value}) {rows} AS most_{name}"]
    parts += ["count(*) AS n_lifetime", f"sum({value}) AS total_lifetime",
              f"stddev_samp({value}) AS spread"]
    return f"SELECT {', '.join(parts)} FROM {table} GROUP BY {events.key}"


def run_duckdb(directory, database, table, out, threads):
    import duckdb
    events = Events(directory)
    Path(out).unlink(missing_ok=True)
    connection = duckdb.connect(database, config={"threads": int(threads)})
    with Measure() as measure:
        connection.execute(f"ATTACH '{out}' AS out")
        connection.execute(f"CREATE TABLE out.result AS {group_by(events, table)}")
        connection.execute("DETACH out")  # what is left is written
    return measure.figures | {"out_bytes": os.path.getsize(out)}


# ---- training sets ----

WEEK = 7 * 86400 * 10**6  # µs; DuckDB's frame is closed, so its own is 1 µs less


def run_training(directory, database, out, threads):
    import duckdb
    events = Events(directory)
    Path(out).unlink(missing_ok=True)
    connection = duckdb.connect(database, config={"threads": int(threads)})
    with Measure() as measure:
        connection.execute(f"ATTACH '{out}' AS out")
        connection.execute(
            f"CREATE TABLE out.training AS SELECT {events.key}, {events.time}, "
            f"count(*) OVER w AS n_7d, sum({events.value}) OVER w AS total_7d FROM arrived "
            f"WINDOW w AS (PARTITION BY {events.key} ORDER BY {events.time} "
            f"RANGE BETWEEN INTERVAL {WEEK - 1} MICROSECONDS PRECEDING AND CURRENT ROW)")
        connection.execute("DETACH out")  # what is left is written
    rows = connection.execute("SELECT count(*) FROM arrived").fetchone()[0]
    return measure.figures | {"rows": rows, "out_bytes": os.path.getsize(out)}


def compare_training(directory, out, answers):
    """Rows of one key and time have the same answers, so both sides are put in that order."""
    import duckdb
    events = Events(directory)
    connection = duckdb.connect(out, read_only=True)
    theirs = connection.execute(
        f"SELECT {events.key} AS entity, epoch_us({events.time}) AS at, n_7d, total_7d FROM training "
        "ORDER BY 1, 2").fetchnumpy()
    keys, times = events.column(events.key), events.column(events.time)
    order = np.lexsort((times, keys))
    comparison = Comparison()
    for name, ours in (("entity", keys), ("at", times)):
        if not (np.asarray(theirs[name]) == ours[order]).all():
            sys.exit(f"the rows have other {name}s")
    count = read_answers(answers, "n_7d", False)[order]
    total = read_answers(answers, "total_7d", events.fields[events.value] == "float64")[order]
    comparison.add("n_7d", keys[order], count, masked(theirs["n_7d"], False, True), None)
    comparison.add("total_7d", keys[order], total,
                   masked(theirs["total_7d"], total.dtype == np.float64, False), count.filled(0))
    return {"rows": len(keys), **vars(comparison)}


# ---- data frames ----

def run_polars(directory):
    import polars
    events = Events(directory)
    frame = polars.DataFrame(events.columns())
    value, at = polars.col(events.value), polars.col(events.time)
    with Measure() as measure:
        parts = []
        for name, window in events.windows.items():
            inside = at > events.clock - window
            parts += [inside.sum().alias(f"n_{name}"),
                      value.filter(inside).sum().alias(f"total_{name}"),
                      value.filter(inside).min().alias(f"least_{name}"),
                      value.filter(inside).max().alias(f"most_{name}")]
        parts += [polars.len().alias("n_lifetime"), value.sum().alias("total_lifetime"),
                  value.std().alias("spread")]
        result = frame.lazy().group_by(events.key).agg(parts).collect()
    return measure.figures | {"keys": len(result), "version": polars.__version__}


def run_pandas(directory):
    import pandas
    events = Events(directory)
    frame = pandas.DataFrame(events.columns())
    with Measure() as measure:
        parts = [frame.groupby(events.key)[events.value].agg(["size", "sum", "std"])]
        for name, window in events.windows.items():
            inside = frame[frame[events.time] > events.clock - window]
            parts.append(inside.groupby(events.key)[events.value]
                         .agg(["size", "sum", "min", "max"]).add_suffix(f"_{name}"))
        result = pandas.concat(parts, axis=1)
    return measure.figures | {"keys": len(result), "version": pandas.__version__}


# ---- value by value ----

class Comparison:
    """Counts what is equal to the bit, and how far what need not be is apart."""

    def __init__(self):
        self.values = self.equal = 0
        self.furthest_ulp = self.furthest_spread = 0.0

    def check(self, feature, good, keys, ours, theirs):
        if good.all():
            return
        at = int(np.argmin(good))
        sys.exit(f"{feature} of {keys[at]}: weir has {ours[at]}, DuckDB {theirs[at]}")

    def add(self, feature, keys, ours, theirs, rows):
        """Both are masked where there is no value. Of floats, DuckDB's sums depend on the order of
        its additions: they are within what that may err (rows * 2^-53 of the sum of magnitudes,
        which here are of one sign, or integers, whose sums are exact); its stddev is Welford's."""
        self.check(feature, ours.mask == theirs.mask, keys, ours.mask, theirs.mask)
        a, b = ours.filled(0), theirs.filled(0)
        self.values += len(a)
        self.equal += int((a == b).sum())
        kind = feature.split("_")[0]
        if kind not in ("total", "spread") or a.dtype == np.int64:
            self.check(feature, a == b, keys, a, b)
            return
        apart, size = np.abs(a - b), np.maximum(np.abs(a), np.abs(b))
        if kind == "total":
            self.furthest_ulp = max(self.furthest_ulp, float((apart / np.spacing(size)).max()))
            self.check(feature, apart <= np.maximum(rows, 1) * 2.0**-53 * size, keys, a, b)
        else:
            relative = apart / np.where(size > 0, size, 1)
            self.furthest_spread = max(self.furthest_spread, float(relative.max()))
            self.check(feature, relative <= 1e-9, keys, a, b)


def read_answers(answers, feature, of_floats):
    cells = np.fromfile(Path(answers) / feature, np.float64 if of_floats else np.int64)
    return np.ma.MaskedArray(cells, np.fromfile(Path(answers) / f"{feature}.valid", np.uint8) == 0)


def masked(values, of_floats, zero_for_none):
    mask = np.ma.getmaskarray(values)
    cells = np.ma.filled(values, 0).astype(np.float64 if of_floats else np.int64)
    return np.ma.MaskedArray(cells, np.zeros_like(mask) if zero_for_none else mask)


def compare(directory, out, keys_path, answers):
    import duckdb
    events = Events(directory)
    wanted = {"entity": events.column(events.key, keys_path)}
    wanted["place"] = np.arange(len(wanted["entity"]))
    connection = duckdb.connect(out, read_only=True)
    of_floats = events.fields[events.value] == "float64"
    names = [row[0] for row in connection.execute("DESCRIBE result").fetchall()][1:]
    comparison, rows = Comparison(), {}
    for feature in sorted(names):  # n_… before total_…
        kind, _, window = feature.partition("_")
        number = "DOUBLE" if kind == "spread" or (of_floats and kind != "n") else "BIGINT"
        theirs = connection.execute(
            f"SELECT {feature}::{number} AS it FROM wanted LEFT JOIN result USING (entity) "
            "ORDER BY place").fetchnumpy()["it"]
        theirs = masked(theirs, number == "DOUBLE", kind == "n")
        ours = read_answers(answers, feature, number == "DOUBLE")
        if kind == "n":
            rows[window] = ours.filled(0)
        comparison.add(feature, wanted["entity"], ours, theirs, rows.get(window))
    found = connection.execute("SELECT count(*) FROM result").fetchone()[0]
    return {"keys": len(wanted["place"]), "keys_of_all": found, **vars(comparison)}


def main():
    commands = {"load": load, "duckdb": run_duckdb, "training": run_training,
                "compare-training": compare_training, "polars": run_polars, "pandas": run_pandas,
                "compare": compare}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
