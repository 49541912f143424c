"""Training sets of real data, every row of it, against DuckDB's window functions by ==, where SQL can say the same: counts, sums, means,
least and greatest of whole numbers, with events at a row's own time and without.

WEIR_FLIGHTS and WEIR_TAXI are the files (examples/flights, examples/taxi), WEIR_FLIGHTS_ROWS how many flights (all). WEIR_DUCKDB is a
Python that has duckdb; by default that of `make bench-batch`."""
import csv
import gzip
import os
import subprocess
import time
from pathlib import Path

from cluster import Cluster, expect, expect_equal, skip

TIME_LIMIT = 900

FLIGHTS, TAXI = os.environ.get("WEIR_FLIGHTS", ""), os.environ.get("WEIR_TAXI", "")
ROWS = int(os.environ.get("WEIR_FLIGHTS_ROWS", "3000000"))
PYTHON = os.environ.get("WEIR_DUCKDB", str(Path(__file__).parents[2] / "build/bench-venv/bin/python3"))
if not Path(FLIGHTS).is_file() and not Path(TAXI).is_file():
    skip("neither WEIR_FLIGHTS nor WEIR_TAXI names a file")
if subprocess.run([PYTHON, "-c", "import duckdb"], capture_output=True).returncode != 0 if Path(PYTHON).exists() else True:
    skip("WEIR_DUCKDB does not name a Python that has duckdb")

DEFINITIONS = """
streams:
  flights:
    key: origin
    time: date
    unknown: ignore
    fields: {date: timestamp, lateness: {type: int64, column: delay}, distance: int64, origin: string, destination: string}
  trips:
    key: vendor_id
    time: pickup_datetime
    unknown: ignore
    fields: {vendor_id: int64, pickup_datetime: timestamp, passenger_count: int64, trip_duration: int64}
views:
  airport:
    from: flights
    features:
      n: count() over 15m, 1h, 24h, 30d, lifetime
      delays: sum(lateness) over 1h, 7d
      mean_delay: mean(lateness) over 24h, 7d
      worst: max(lateness) over 24h
      nearest: min(distance) over 7d
      late: count() where lateness > 15 over 24h
  destinations:
    from: flights
    key: destination
    features: {n: "count() over 1h, 7d", delays: "sum(lateness) over 24h"}
  vendor:
    from: trips
    features:
      n: count() over 15m, 24h, lifetime
      riders: sum(passenger_count) over 1h
      seconds: mean(trip_duration) over 1h, 7d
      longest: max(trip_duration) over 24h
"""
MINUTE = 60_000_000
WINDOW = {"15m": 15 * MINUTE, "1h": 60 * MINUTE, "24h": 1440 * MINUTE, "7d": 10080 * MINUTE, "30d": 43200 * MINUTE, "lifetime": None}
SETS = {
    "airport": ("origin", "date", {**{f"n_{w}": ("count(*)", w) for w in ("15m", "1h", "24h", "30d", "lifetime")},
                                   "delays_1h": ("sum(delay)", "1h"), "delays_7d": ("sum(delay)", "7d"),
                                   "mean_delay_24h": ("mean delay", "24h"), "mean_delay_7d": ("mean delay", "7d"),
                                   "worst_24h": ("max(delay)", "24h"), "nearest_7d": ("min(distance)", "7d"),
                                   "late_24h": ("count(*) filter (delay > 15)", "24h")}),
    "destinations": ("destination", "date", {"n_1h": ("count(*)", "1h"), "n_7d": ("count(*)", "7d"), "delays_24h": ("sum(delay)", "24h")}),
    "vendor": ("vendor_id", "pickup_datetime", {**{f"n_{w}": ("count(*)", w) for w in ("15m", "24h", "lifetime")},
                                                "riders_1h": ("sum(passenger_count)", "1h"),
                                                "seconds_1h": ("mean trip_duration", "1h"), "seconds_7d": ("mean trip_duration", "7d"),
                                                "longest_24h": ("max(trip_duration)", "24h")}),
}


def sql(view, source, before, out):
    key, at, features = SETS[view]
    columns = []
    for name, (what, window) in features.items():
        first = "unbounded" if WINDOW[window] is None else WINDOW[window] - (0 if before else 1)
        last = "1 preceding" if before else "current row"
        over = f"over (partition by {key} order by epoch_us({at}) range between {first} preceding and {last})"
        of = what.removeprefix("mean ")  # its own avg is not always the nearest float
        mean = f"(sum({of}) {over})::double / nullif(count({of}) {over}, 0)"
        columns.append(f"{mean if of != what else f'{what} {over}'} as {name}")
    return (f"set threads = 2; set enable_progress_bar = false; copy (select {', '.join(columns)} from (select *, row_number() over () as row from read_csv('{source}', "
            f"header = true, types = {{'{at}': 'TIMESTAMP'}}, parallel = false)) order by row) to '{out}' (header true)")


def check(view, source, before):
    key, at, features = SETS[view]
    out = cluster.directory / f"{view}.csv"
    began = time.monotonic()
    cluster.done("training-set", view, "--spine", source, "--time", at, "--out", out, *(["--before"] if before else []), timeout=600)
    took = time.monotonic() - began
    subprocess.run([PYTHON, "-c", "import duckdb, sys; duckdb.execute(sys.stdin.read())"], check=True, text=True,
                   input=sql(view, source, before, "peer.csv"))
    rows = 0
    with open(out, newline="") as one, open("peer.csv", newline="") as other:
        for got, wanted in zip(csv.DictReader(one), csv.DictReader(other)):
            for name, (what, _) in features.items():
                number = float if what.startswith("mean ") else int
                a, b = (None if row[name] == "" else number(row[name]) for row in (got, wanted))
                if a != b and not (what.startswith("count") and not a and not b):
                    raise AssertionError(f"{view}, row {rows}, {name}: got {a!r}, DuckDB has {b!r}; {got}")
            rows += 1
        expect(next(one, None) is None and next(other, None) is None, "as many rows")
    print(f"{view}{' before' if before else ''}: {rows} rows × {len(features)} features equal; made in {took:.1f} s")
    return rows


cluster = Cluster({"real.yaml": DEFINITIONS}, batch_workers=2).start()
if Path(FLIGHTS).is_file():
    source = Path("flights.csv").absolute()
    with gzip.open(FLIGHTS, "rt") as lines, open(source, "w") as file:
        for number, line in enumerate(lines):
            if number > ROWS:
                break
            file.write(line)
    cluster.done("load", "flights", source, timeout=300)
    for view, before in (("airport", False), ("airport", True), ("destinations", True)):
        expect_equal(check(view, source, before), number if number <= ROWS else ROWS, view)
if Path(TAXI).is_file():
    cluster.done("load", "trips", TAXI)
    for before in (False, True):
        check("vendor", TAXI, before)
cluster.stop()
