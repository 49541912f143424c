"""Real taxi trips, whose local times have no zone: loaded and live, answers equal the oracle's.

WEIR_TAXI is the file (examples/taxi/README.md)."""
import csv
import os
import random
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from cluster import DAY, Cluster, skip
from real_data import View, definitions, rfc3339

TIME_LIMIT = 300

SOURCE = os.environ.get("WEIR_TAXI", "")
if not Path(SOURCE).is_file():
    skip("WEIR_TAXI does not name taxi.csv (see examples/taxi/README.md)")

FIELDS = ("vendor:int64,passengers:int64,pickup:timestamp,dropoff:timestamp,latitude:float64,"
          "stored:string,seconds:int64")
COLUMNS = ["vendor_id", "passenger_count", "pickup_datetime", "dropoff_datetime", "pickup_latitude",
           "store_and_fwd_flag", "trip_duration"]
TRIPS = View("vendor_trips", FIELDS, ["vendor"], "pickup", {
    **{f"trips_{w}": f"count() over {w}" for w in ("15m", "1h", "24h", "7d", "lifetime")},
    **{f"riders_{w}": f"sum(passengers) over {w}" for w in ("1h", "24h")},
    **{f"mean_seconds_{w}": f"mean(seconds) over {w}" for w in ("1h", "7d")},
    "spread_24h": "stddev(seconds) over 24h", "mean_latitude_24h": "mean(latitude) over 24h",
    "northmost_7d": "max(latitude) over 7d", "offline_30d": "count() where stored = 'Y' over 30d",
    "last_dropoff": "last(dropoff)"}, where="seconds < 14400")
RIDES = View("ride_length", FIELDS, ["vendor", "passengers"], "pickup", {
    **{f"rides_{w}": f"count() over {w}" for w in ("24h", "lifetime")},
    "mean_seconds_7d": "mean(seconds) over 7d", "shortest_7d": "min(seconds) over 7d"})


def utc(local):
    """µs of a local time; of an ambiguous one its first occurrence (fold is 0)."""
    moment = datetime.strptime(local, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo("America/New_York"))
    return int(moment.astimezone(timezone.utc).timestamp()) * 1_000_000


with open(SOURCE, newline="") as file:
    lines = file.readlines()
rows = list(csv.DictReader(lines))
with open("all.csv", "w", newline="") as file:  # for the oracle: its own names, times in UTC
    writer = csv.writer(file)
    writer.writerow([f.split(":")[0] for f in FIELDS.split(",")])
    for row in rows:
        values = [rfc3339(utc(row[c])) if c.endswith("datetime") else row[c] for c in COLUMNS]
        writer.writerow(values)
Path("history.csv").write_text("".join(lines[:7001]))
Path("live.csv").write_text("".join(lines[:1] + lines[7001:]))

cluster = Cluster(definitions("taxi")).start()
for stream in ("trips", "rides"):
    cluster.done("load", stream, Path("history.csv").absolute())
cluster.done("recompute", "--wait")
for stream in ("trips", "rides"):
    cluster.done("send", stream, Path("live.csv").absolute())

dice = random.Random(11)
begin, end = (f([utc(r["pickup_datetime"]) for r in rows]) for f in (min, max))
asked = {}
for view, keys in ((TRIPS, [[1], [2], [3]]), (RIDES, [[v, n] for v in (1, 2) for n in range(8)])):
    questions = [(dice.choice(keys), dice.randrange(begin - DAY, end + 20 * DAY)) for _ in range(300)]
    questions += [(dice.choice(keys), utc(dice.choice(rows)["pickup_datetime"]) + dice.choice([-1, 0]))
                  for _ in range(100)]
    asked[view] = questions, view.expected("all.csv", questions)
    view.check(cluster.serving(), *asked[view], "history and live")
cluster.recompute()
for view, (questions, wanted) in asked.items():
    view.check(cluster.serving(), questions, wanted, "after another recompute")
cluster.stop()
