"""Answers about real flights and taxi trips, logged live, against history: 100,000 and more of them are computed again where they stood,
late events included, by ==; and those of events that came in order equal the training set that is made of the same rows afterwards.

WEIR_FLIGHTS and WEIR_TAXI are the files (examples/flights, examples/taxi); WEIR_SKEW_ANSWERS how many are asked for about flights (100,000
late ones, and a third of that in order). About trips it is all: half of them in order, and half as they stand in the file, in no order."""
import csv
import gzip
import json
import os
import random
from datetime import datetime
from itertools import islice
from pathlib import Path

from cluster import Cluster, expect, expect_equal, skip, wait_for
from wire import Producer

TIME_LIMIT = 1500

FLIGHTS, TAXI = (Path(os.environ.get(name, "")) for name in ("WEIR_FLIGHTS", "WEIR_TAXI"))
if not FLIGHTS.is_file() and not TAXI.is_file():
    skip("neither WEIR_FLIGHTS nor WEIR_TAXI names a file")
LATE = int(os.environ.get("WEIR_SKEW_ANSWERS", "100000"))
IN_ORDER, HISTORY, BATCH = LATE // 3, LATE // 2, 500

FLIGHTS_YAML = """
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
TRIPS_YAML = """
streams:
  trips:
    key: vendor
    time: pickup
    fields: {pickup: timestamp, vendor: int64, passengers: int64, seconds: int64, latitude: float64, stored: string}
views:
  trips_of:
    from: trips
    where: seconds < 14400
    horizon: 30d
    features:
      n: count() over 15m, 1h, 7d, lifetime
      riders: sum(passengers) over 1h, 24h
      mean: mean(seconds) over 1h, 7d
      spread: stddev(latitude) over 24h
      northmost: max(latitude) over 7d
      offline: count() where stored = 'Y' over 30d
services:
  trip_model:
    as_of: before
    views: [trips_of]
    request: {passengers: int64}
    features: ["trips_of:n_15m", "trips_of:n_1h", "trips_of:n_7d", "trips_of:n_lifetime", "trips_of:riders_1h", "trips_of:riders_24h",
               "trips_of:mean_1h", "trips_of:mean_7d", "trips_of:spread_24h", "trips_of:northmost_7d", "trips_of:offline_30d", share]
    derived:
      share: passengers / trips_of.riders_24h
    preprocess:
      "trips_of:mean_1h": {impute: 700, clip: [60, 7200], scale: {mean: 800, stddev: 300}}
"""
chance = random.Random(2001)


def batches(rows):
    for at in range(0, len(rows), BATCH):
        yield rows[at:at + BATCH]


class Live:
    """A cluster that keeps every answer; rows of its stream are dicts, of which a service takes `asked` with each question."""

    def __init__(self, definitions, stream, service, asked, time):
        self.cluster = Cluster({f"{stream}.yaml": definitions}, settings="skew: {sample: 1, keep: 30d, size: 4GiB}\n", speed_workers=1,
                               directory=stream).start()
        self.stream, self.service, self.asked, self.time = stream, service, asked, time
        self.client, self.producer = self.cluster.serving(), Producer([self.cluster.endpoint(11)])

    def load(self, rows):
        with open("history.csv", "w", newline="") as file:
            out = csv.DictWriter(file, rows[0])
            out.writeheader()
            out.writerows(rows)
        self.cluster.done("load", self.stream, Path("history.csv").absolute())

    def send(self, rows):
        self.producer.send(self.stream, list(rows[0]), [list(row.values()) for row in rows])

    def ask(self, rows):
        """What the model reads of each row, as of its own time: the features, in the service's order."""
        times = [int(datetime.fromisoformat(row[self.time]).timestamp()) * 1_000_000 for row in rows]
        reply = self.client.ask("get", {"view": self.service, "keys": [{name: row[name] for name in self.asked} for row in rows],
                                        "as_ofs": times, "deadline_ms": 60000}, 90)
        expect(all(r["complete"] and "errors" not in r for r in reply["results"]), "an answer")
        return reply["features"], [r["values"] for r in reply["results"]]

    def look(self, least):
        def written():
            found = self.client.ask("metrics")["values"]
            return found if found["samples"] == found["samples_written"] + found["samples_dropped"] else None
        expect_equal(wait_for(written, 60, "the sample is written")["samples_dropped"], 0, "dropped")
        report = self.cluster.weir("skew", self.service, "--since", "30d", "--json", timeout=600).objects()[0]
        print({k: v for k, v in report.items() if k not in ("shown", "alerts")})
        expect_equal((report["mismatches"], report["damaged"], report["incomplete"]), (0, 0, 0), f"{report}")
        expect(report["compared"] >= least, report)
        return report

    def in_order(self, rows):
        """What a row is asked about has come by then, and nothing of before it comes later: training gets the same."""
        answers = []
        for number, some in enumerate(batches(rows)):
            self.send(some)
            names, values = self.ask(some)
            answers += values
            if number % 20 == 19:
                self.cluster.recompute()
        expect_equal(self.look(len(rows))["late"], 0, "nothing came late")
        with open("spine.csv", "w", newline="") as file:
            out = csv.DictWriter(file, [self.time, *self.asked], extrasaction="ignore")
            out.writeheader()
            out.writerows(rows)
        self.cluster.done("training-set", self.service, "--spine", Path("spine.csv").absolute(), "--time", self.time, "--prefix", "x:",
                          "--out", Path("training.ndjson").absolute(), timeout=600)
        with open("training.ndjson") as file:
            for made, answered in zip(file, answers, strict=True):
                row = json.loads(made)
                expect_equal([row[f"x:{name}"] for name in names], answered, f"training and serving, of {made}")
        print(f"{len(answers)} rows x {len(names)} features: answered live == the training set made afterwards")

    def late(self, rows, back):
        """One in five is held back, and `back` says how many of them come with the next batch."""
        held = []
        for number, some in enumerate(batches(rows)):
            stay = [chance.random() < 0.2 for _ in some]
            again = [held.pop(chance.randrange(len(held))) for _ in range(back(len(held)))]
            held += [row for row, stays in zip(some, stay) if stays]
            self.send([row for row, stays in zip(some, stay) if not stays] + again)
            self.ask(some)
            if number % 20 == 19:
                self.cluster.recompute()
        self.send(held)


def of_flights():
    with gzip.open(FLIGHTS, "rt", newline="") as file:
        rows = [{"date": date, "minutes_late": int(late), "distance": int(miles), "origin": origin, "destination": destination}
                for date, late, miles, origin, destination in islice(csv.reader(file), 1, 1 + HISTORY + IN_ORDER + LATE)]
    live = Live(FLIGHTS_YAML, "flights", "delay_model", ["origin", "destination", "distance"], "date")
    live.load(rows[:HISTORY])
    live.in_order(rows[HISTORY:HISTORY + IN_ORDER])
    live.late(rows[HISTORY + IN_ORDER:], lambda held: held // 3)
    report = live.look(IN_ORDER + LATE)
    expect(report["late"] > LATE // 10, "late events change answers:", report)
    live.cluster.stop()


def of_trips():
    with TAXI.open(newline="") as file:
        rows = [{"pickup": trip["pickup_datetime"].replace(" ", "T") + "Z", "vendor": int(trip["vendor_id"]),
                 "passengers": int(trip["passenger_count"]), "seconds": int(trip["trip_duration"]),
                 "latitude": float(trip["pickup_latitude"]), "stored": trip["store_and_fwd_flag"]} for trip in csv.DictReader(file)]
    middle = sorted(row["pickup"] for row in rows)[len(rows) // 2]
    first = sorted((row for row in rows if row["pickup"] < middle), key=lambda row: row["pickup"])
    live = Live(TRIPS_YAML, "trips", "trip_model", ["vendor", "passengers"], "pickup")
    live.in_order(first)
    live.late([row for row in rows if row["pickup"] >= middle], lambda held: held)
    report = live.look(len(rows))
    expect(report["late"] > len(rows) // 10, "late events change answers:", report)
    live.cluster.stop()


if TAXI.is_file():
    of_trips()
if FLIGHTS.is_file():
    of_flights()
