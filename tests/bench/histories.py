"""Histories that the batch layer is measured on: what they are, how they are made, and what the
features of a key are by plain, exact arithmetic."""
import array
import csv
import datetime
import gzip
import json
import math
import mmap
import statistics
import struct
import subprocess
import sys
from pathlib import Path

US = 10**6
WINDOWS = {"1h": 3600 * US, "1d": 86400 * US, "7d": 7 * 86400 * US, "30d": 30 * 86400 * US}
CODES = {"int64": "q", "timestamp": "q", "float64": "d", "string": "I"}

VIEW = """views:
  spend:
    from: {stream}
    key: {key}
    features:
      n: count() over 1h, 1d, 7d, 30d, lifetime
      total: sum({value}) over 1h, 1d, 7d, 30d, lifetime
      least: min({value}) over 1h, 1d, 7d, 30d
      most: max({value}) over 1h, 1d, 7d, 30d
      spread: stddev({value})
"""


WIDE_WINDOWS = "1h, 6h, 12h, 1d, 3d, 7d, 14d, 30d, 60d, lifetime"  # ten


def wide_view(filters):
    """A view of payments with 20 features for each filter: count and sum over ten windows."""
    lines = ["views:", "  spend:", "    from: payments", "    key: user_id", "    features:"]
    for at in range(filters):
        where = f"where amount > {4 * at}" if at > 0 else ""
        lines += [f"      n{at}: count() {where} over {WIDE_WINDOWS}",
                  f"      total{at}: sum(amount) {where} over {WIDE_WINDOWS}"]
    return "\n".join(lines) + "\n"


def training_view(stream, key, value):
    """What a training set of a history is of (peers.py has the same for DuckDB)."""
    return (f"views:\n  recent:\n    from: {stream}\n    key: {key}\n    features:\n"
            f"      n: count() over 7d\n      total: sum({value}) over 7d\n")


class History:
    """Events in a directory: a file per column (tests/bench/batch.c), and definitions over them."""

    def __init__(self, directory, stream, fields, key, value, time, clock, keys):
        self.directory, self.fields, self.clock, self.keys = directory, fields, clock, keys
        self.key, self.value, self.time = key, value, time
        self.events = (directory / key).stat().st_size // array.array(CODES[fields[key]]).itemsize
        (directory / "schema.json").write_text(json.dumps(
            {"fields": fields, "key": key, "value": value, "time": time, "clock": clock,
             "windows": WINDOWS}))
        lines = [f"      {name}: {kind if kind != 'timestamp' else '{type: timestamp, unit: us}'}"
                 for name, kind in fields.items()]
        (directory / "stream.yaml").write_text("\n".join(
            ["streams:", f"  {stream}:", f"    key: {key}", f"    time: {time}", "    fields:"]
            + lines) + "\n")
        (directory / "training.yaml").write_text(training_view(stream, key, value))
        (directory / "view.yaml").write_text(VIEW.format(stream=stream, key=key, value=value))

    def options(self, view="view.yaml"):
        return [f"--events={self.directory}", f"--stream={self.directory / 'stream.yaml'}",
                f"--view={self.directory / view}", f"--clock={self.clock}"]

    def column(self, name):
        with open(self.directory / name, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(mapped).cast(CODES[self.fields[name]])

    def write_keys(self, path, most):
        """All keys that there may be, or `most` of them at equal distances."""
        step = -(-self.keys // most)
        cells = array.array(CODES[self.fields[self.key]], range(0, self.keys, step))
        path.write_bytes(cells.tobytes())
        return cells


def payments(program, directory, events, keys, distribution):
    subprocess.run([program, f"--directory={directory}", f"--events={events}", f"--keys={keys}",
                    f"--distribution={distribution}"], check=True)
    fields = {"user_id": "int64", "amount": "float64", "ts": "timestamp"}
    clock = 1700000000 * US + 60 * 86400 * US  # as events.c has it
    return History(directory, "payments", fields, "user_id", "amount", "ts", clock, keys)


def flights(source, directory):
    """Real flights: date,delay,distance,origin,destination."""
    fields = {"date": "timestamp", "lateness": "int64", "distance": "int64", "origin": "string",
              "destination": "string"}
    columns = {name: array.array(CODES[kind]) for name, kind in fields.items()}
    words = {"origin": {}, "destination": {}}
    with gzip.open(source, "rt") as lines:
        for row in csv.DictReader(lines):
            at = datetime.datetime.fromisoformat(row["date"])
            columns["date"].append(int(at.timestamp()) * US)
            columns["lateness"].append(int(row["delay"]))  # which is a word of definitions
            columns["distance"].append(int(row["distance"]))
            for name, numbers in words.items():
                columns[name].append(numbers.setdefault(row[name], len(numbers)))
    for name, cells in columns.items():
        (directory / name).write_bytes(cells.tobytes())
    for name, numbers in words.items():
        (directory / f"{name}.words").write_text("".join(word + "\n" for word in numbers))
    return History(directory, "flights", fields, "origin", "lateness", "date", max(columns["date"]),
                   len(words["origin"]))


# ---- exact features of some keys ----

SAMPLED_KEYS = 500
SAMPLED_ROWS = 50  # of a key, when all its events are looked at for each
SAMPLED_EVENTS = 500000  # of one key more are not looked at


def events_of(history, keys):
    """For each of these keys, its (time, value)s."""
    found = {key: [] for key in keys}
    users, values = history.column(history.key), history.column(history.value)
    times = history.column(history.time)
    for at, user in enumerate(users):
        if user in found:
            found[user].append((times[at], values[at]))
    return found


def exact_features(events, clock):
    """Feature → value, or None: sums and stddev are of the exact sums, rounded once."""
    values = [value for _, value in events]
    add = math.fsum if any(isinstance(value, float) for value in values) else sum
    answer = {"n_lifetime": len(values),
              "spread": statistics.stdev(values) if len(values) > 1 else None}
    answer["total_lifetime"] = add(values) if values else None
    for name, window in WINDOWS.items():
        inside = [value for time, value in events if time > clock - window]
        answer |= {f"n_{name}": len(inside), f"total_{name}": add(inside) if inside else None,
                   f"least_{name}": min(inside, default=None),
                   f"most_{name}": max(inside, default=None)}
    return answer


def check_exact_training(history, answers):
    """Rows of some keys against exact arithmetic, to the bit. How many values."""
    step = max(1, history.keys // SAMPLED_KEYS)
    rows = {key: [] for key in range(0, history.keys, step)}
    users, times, amounts = (history.column(name) for name in
                             (history.key, history.time, history.value))
    for at, user in enumerate(users):
        if user in rows:
            rows[user].append(at)
    counts, totals = array.array("q"), array.array(CODES[history.fields[history.value]])
    counts.frombytes((answers / "n_7d").read_bytes())
    totals.frombytes((answers / "total_7d").read_bytes())
    values = 0
    for places in rows.values():
        for at in places[-SAMPLED_ROWS:]:
            window = [amounts[other] for other in places
                      if times[at] - WINDOWS["7d"] < times[other] <= times[at]]
            exact = math.fsum(window) if isinstance(window[0], float) else sum(window)
            if counts[at] != len(window) or not same_bits(totals[at], exact):
                sys.exit(f"row {at}: weir has {counts[at]} and {totals[at]!r}, exactly it is "
                         f"{len(window)} and {exact!r}")
            values += 2
    return values


def read_features(directory, history, places):
    """Feature → place → value, as `batch --do=answers` wrote them."""
    features = {}
    for valid_path in Path(directory).glob("*.valid"):
        name = valid_path.stem
        is_float = name == "spread" or (history.fields[history.value] == "float64"
                                        and not name.startswith("n_"))
        cells = array.array("d" if is_float else "q")
        cells.frombytes((directory / name).read_bytes())
        valid = valid_path.read_bytes()
        features[name] = {place: cells[place] if valid[place] else None for place in places}
    return features


def same_bits(a, b):
    return type(a) is type(b) and (struct.pack("d", a) == struct.pack("d", b)
                                   if isinstance(a, float) else a == b)


def check_exact(history, keys, answers):
    """Some of the keys' answers against exact arithmetic, to the bit. How many values."""
    step = max(1, len(keys) // SAMPLED_KEYS)
    places = {keys[at]: at for at in range(0, len(keys), step)}
    features, values = read_features(answers, history, places.values()), 0
    for key, events in events_of(history, places).items():
        if len(events) > SAMPLED_EVENTS:
            continue
        exact = exact_features(events, history.clock)
        for name, cells in features.items():
            values += 1
            if not same_bits(cells[places[key]], exact[name]):
                sys.exit(f"{name} of {history.key} {key}: weir has {cells[places[key]]!r}, "
                         f"exactly it is {exact[name]!r}")
    return values
