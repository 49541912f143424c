"""Answers about real flights, logged live, against history: 100,000 and more of them are computed again where they stood, late events
included, by ==; and those of events that came in order equal the training set that is made of the same rows afterwards.

WEIR_FLIGHTS is the file (examples/flights); WEIR_SKEW_ANSWERS how many are asked for (100,000 late ones, and a third of that in order)."""
import csv
import gzip
import json
import os
import random
from itertools import islice
from pathlib import Path

from cluster import Cluster, expect, expect_equal, skip, wait_for
from wire import Producer

TIME_LIMIT = 1500

FLIGHTS = os.environ.get("WEIR_FLIGHTS", "")
if not Path(FLIGHTS).is_file():
    skip("WEIR_FLIGHTS does not name flights.csv.gz (see examples/flights/README.md)")
LATE = int(os.environ.get("WEIR_SKEW_ANSWERS", "100000"))
IN_ORDER, HISTORY, BATCH = LATE // 3, LATE // 2, 500

DEFINITIONS = """
streams:
  flights:
    key: [origin, destination]
    time: date
    fields: {date: timestamp, minutes_late: int64, distance: int64, origin: string, destination: string}
views:
  route:
    from: flights
    horizon: 7d
    features:
      n: count() over 1h, 24h, 7d, lifetime
      mean_late: mean(minutes_late) over 24h, 7d
      spread: stddev(minutes_late) over 7d
      worst: max(minutes_late) over 7d
      last: last(minutes_late) over 24h
  airport:
    from: flights
    key: origin
    horizon: 7d
    features:
      n: count() over 1h, 24h
      late: count() where minutes_late > 15 over 24h
      miles: sum(distance) over 24h
services:
  delay_model:
    as_of: before
    views: [route, airport]
    request: {distance: int64}
    features: ["route:n_1h", "route:n_24h", "route:n_7d", "route:n_lifetime", "route:mean_late_24h", "route:mean_late_7d", "route:spread_7d",
               "route:worst_7d", "route:last_24h", "airport:n_1h", "airport:n_24h", "airport:late_24h", "airport:miles_24h", hours, busy]
    derived:
      hours: distance / 450
      busy: {expr: airport.n_1h / airport.n_24h, default: 0}
    preprocess:
      hours: {scale: {mean: 1.75, stddev: 1.2}}
      "route:mean_late_7d": {impute: 8, clip: [-30, 180], scale: {mean: 8, stddev: 31}}
"""
COLUMNS = ["date", "minutes_late", "distance", "origin", "destination"]
chance = random.Random(2001)


def micros(text):
    from datetime import datetime
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 1_000_000


def ask(client, flights):
    """What the model reads of each flight, as of its own time: the features, in the service's order."""
    keys = [{"origin": o, "destination": d, "distance": int(miles)} for _, _, miles, o, d in flights]
    reply = client.ask("get", {"view": "delay_model", "keys": keys, "as_ofs": [micros(f[0]) for f in flights],
                               "deadline_ms": 60000}, 90)
    expect(all(r["complete"] and "errors" not in r for r in reply["results"]), "an answer")
    return reply["features"], [r["values"] for r in reply["results"]]


def send(producer, flights):
    producer.send("flights", COLUMNS, [[f[0], int(f[1]), int(f[2]), f[3], f[4]] for f in flights])


def written(client):
    def same():
        found = client.ask("metrics")["values"]
        return found if found["samples"] == found["samples_written"] + found["samples_dropped"] else None
    expect_equal(wait_for(same, 60, "the sample is written")["samples_dropped"], 0, "dropped")


def batches(flights):
    for at in range(0, len(flights), BATCH):
        yield flights[at:at + BATCH]


def look(least):
    report = cluster.weir("skew", "delay_model", "--since", "30d", "--json", timeout=600).objects()[0]
    print({k: v for k, v in report.items() if k not in ("shown", "alerts")})
    expect_equal((report["mismatches"], report["damaged"], report["incomplete"]), (0, 0, 0), f"{report}")
    expect(report["compared"] >= least, report)
    return report


with gzip.open(FLIGHTS, "rt", newline="") as file:
    rows = list(islice(csv.reader(file), 1 + HISTORY + IN_ORDER + LATE))
header, rows = rows[0], rows[1:]
expect_equal(header, ["date", "delay", "distance", "origin", "destination"], "columns")
history, ordered, late = rows[:HISTORY], rows[HISTORY:HISTORY + IN_ORDER], rows[HISTORY + IN_ORDER:]
cluster = Cluster({"flights.yaml": DEFINITIONS}, settings="skew: {sample: 1, keep: 30d, size: 4GiB}\n", speed_workers=1).start()
with open("history.csv", "w", newline="") as file:
    csv.writer(file).writerows([COLUMNS, *history])
cluster.done("load", "flights", Path("history.csv").absolute())
client, producer = cluster.serving(), Producer([cluster.endpoint(11)])

# in order: what a flight is asked about has come by then, and nothing of before it comes later
answers = []
for number, some in enumerate(batches(ordered)):
    send(producer, some)
    names, values = ask(client, some)
    answers += values
    if number % 20 == 19:
        cluster.recompute()
written(client)
expect_equal(look(len(ordered))["late"], 0, "nothing came late")
with open("spine.csv", "w", newline="") as file:
    csv.writer(file).writerows([["date", "label", "distance", "origin", "destination"], *ordered])
cluster.done("training-set", "delay_model", "--spine", Path("spine.csv").absolute(), "--time", "date", "--out",
             Path("training.ndjson").absolute(), timeout=600)
with open("training.ndjson") as file:
    for made, answered in zip(file, answers, strict=True):
        row = json.loads(made)
        expect_equal([row[name] for name in names], answered, f"training and serving, of {made}")
print(f"{len(answers)} rows x {len(names)} features: answered live == the training set made afterwards")

# out of order: of each two thousand, one in five comes up to two thousand later
held = []
for number, some in enumerate(batches(late)):
    now = [f for f in some if chance.random() >= 0.2]
    back = [held.pop(chance.randrange(len(held))) for _ in range(len(held) // 3)]
    held += [f for f in some if f not in now]
    send(producer, now + back)
    ask(client, some)
    if number % 20 == 19:
        cluster.recompute()
send(producer, held)
written(client)
report = look(len(ordered) + len(late))
expect(report["late"] > len(late) // 10, "late events change answers:", report)
cluster.stop()
