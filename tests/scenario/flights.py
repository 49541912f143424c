"""Real flights: all but the last are loaded, the last are sent live (in order: many share their minute), and thousands of answers before,
in and after the live part equal the oracle's; for any number of partitions, and with late events.

WEIR_FLIGHTS is the file (examples/flights/README.md), WEIR_FLIGHTS_ROWS how many of it (all),
WEIR_FLIGHTS_QUERIES how many questions are asked (2000)."""
import gzip
import os
import random
import time
from datetime import datetime
from pathlib import Path

from cluster import DAY, Cluster, skip
from real_data import View, definitions

TIME_LIMIT = 1500

SOURCE = os.environ.get("WEIR_FLIGHTS", "")
ROWS = int(os.environ.get("WEIR_FLIGHTS_ROWS", "3000000"))
QUERIES = int(os.environ.get("WEIR_FLIGHTS_QUERIES", "2000"))
FIELDS = "date:timestamp,delay:int64,distance:int64,origin:string,destination:string"
if not Path(SOURCE).is_file():
    skip("WEIR_FLIGHTS does not name flights.csv.gz (see examples/flights/README.md)")

DELAY = View("airport_delay", FIELDS, ["origin"], "date", {
    **{f"mean_delay_{w}": f"mean(delay) over {w}" for w in ("1h", "24h", "7d")},
    **{f"delay_spread_{w}": f"stddev(delay) over {w}" for w in ("24h", "30d")},
    "worst_delay_24h": "max(delay) over 24h", "last_delay_24h": "last(delay) over 24h",
    **{f"late_{w}": f"count() where delay > 15 over {w}" for w in ("1h", "24h", "7d")},
    "delay_ever": "mean(delay)"})
TRAFFIC = View("airport_traffic", FIELDS, ["origin"], "date", {
    **{f"departures_{w}": f"count() over {w}" for w in ("15m", "1h", "24h", "30d", "lifetime")},
    **{f"miles_{w}": f"sum(distance) over {w}" for w in ("24h", "30d")},
    "nearest_24h": "min(distance) over 24h",
    "destinations_7d": "approx_count_distinct(destination) over 7d",
    "first_destination_24h": "first(destination) over 24h", "last_destination": "last(destination)"})
ROUTES = View("route_delay", FIELDS, ["origin", "destination"], "date", {
    **{f"departures_{w}": f"count() over {w}" for w in ("24h", "7d", "lifetime")},
    **{f"mean_delay_{w}": f"mean(delay) over {w}" for w in ("7d", "30d")},
    "delay_variance_30d": "variance_pop(delay) over 30d",
    "least_delay_7d": "min(delay) over 7d", "worst_delay_7d": "max(delay) over 7d"})


def time_of(line):
    return int(datetime.fromisoformat(line[:20]).timestamp()) * 1_000_000


def write(name, header, lines):
    with open(name, "w") as file:
        file.write(header)
        file.writelines(lines)


def one(name, lines, header, partitions):
    """Runs a cluster over the lines in the order given."""
    dice, started = random.Random(name), time.monotonic()
    live_count = min(100_000, len(lines) // 3)
    write("all.csv", header, lines)
    write("history.csv", header, lines[:-live_count])
    write("live.csv", header, lines[-live_count:])
    begin, live_times = time_of(lines[0]), [time_of(l) for l in lines[-live_count:]]
    live, end = min(live_times), max(live_times)
    spans = [(begin, live), (live, end), (end, end + 40 * DAY)]
    cluster = Cluster(definitions("flights"), partitions=partitions, directory=name).start()
    cluster.done("load", "flights", Path("history.csv").absolute(), timeout=600)
    cluster.done("recompute", "--wait", timeout=600)
    cluster.done("send", "flights", "--in-order", Path("live.csv").absolute(), timeout=600)
    rows = [l.rstrip("\n").split(",") for l in lines]
    airports = sorted({r[3] for r in rows})
    asked = {}
    for view in [DELAY, TRAFFIC, ROUTES]:
        questions = []
        for i in range(QUERIES if view is not ROUTES else QUERIES // 4):
            key = dice.choice(rows)[3:5] if view is ROUTES else [dice.choice(airports)]
            questions.append((key, dice.randrange(*spans[i % 3])))
        asked[view] = questions, view.expected("all.csv", questions)
        view.check(cluster.serving(), *asked[view], f"{name}, history and live")
    cluster.recompute(seconds=300)
    for view, (questions, wanted) in asked.items():
        view.check(cluster.serving(), questions, wanted, f"{name}, after another recompute")
    cluster.stop()
    print(f"{name}: {len(lines)} flights, {sum(len(q) for q, _ in asked.values())} questions, "
          f"{time.monotonic() - started:.0f} s")


def shuffled(lines):
    """Each flight arrives up to three days late."""
    dice = random.Random(5)
    arrivals = [(time_of(l) + dice.randrange(3 * DAY), i) for i, l in enumerate(lines)]
    return [lines[i] for _, i in sorted(arrivals)]


with gzip.open(SOURCE, "rt") as file:
    header = file.readline()
    lines = [line for line, _ in zip(file, range(ROWS))]
one("four", lines, header, 4)
one("single", lines, header, 1)
one("many", lines, header, 64)
one("shuffled", shuffled(lines), header, 4)
