"""As-of times long past and far ahead of the batch views are answered exactly."""
import random

import oracle
from cluster import DAY, HOUR, MINUTE, Cluster, expect, expect_equal
from wire import Producer

TIME_LIMIT = 120

DEFINITIONS = """
streams:
  readings:
    key: [site, sensor]
    time: ts
    fields:
      site: string
      sensor: int64
      value: float64
      level: int64
      ts: {type: timestamp, unit: us}
views:
  readings_of:
    from: readings
    features:
      n: count() over 1s, 1h, 7d, lifetime
      total: sum(value) over 1h, 7d
      middle: mean(level) over 24h
      spread: stddev(value) over 7d
      low: min(level) over 24h
      first_value: first(value) over 24h
      last_value: last(value) over 24h
      high: count() where level >= 5 over 7d
"""
SPANS = {"1s": 1_000_000, "1h": HOUR, "24h": DAY, "7d": 7 * DAY, "lifetime": None}
FEATURES = {f"n_{w}": ("count", None, SPANS[w]) for w in ("1s", "1h", "7d", "lifetime")} | {
    f"total_{w}": ("sum", "value", SPANS[w]) for w in ("1h", "7d")} | {
    "middle_24h": ("mean", "level", DAY), "spread_7d": ("stddev", "value", 7 * DAY),
    "low_24h": ("min", "level", DAY), "first_value_24h": ("first", "value", DAY),
    "last_value_24h": ("last", "value", DAY),
    "high_7d": ("count", None, 7 * DAY, lambda e: e["level"] is not None and e["level"] >= 5)}
START = 1_700_000_000_000_000
KEYS = [(site, sensor) for site in ("north", "south,\"2\"") for sensor in (-1, 0, 7)]
COLUMNS = ["site", "sensor", "value", "level", "ts"]
dice = random.Random(7)


def made(count, begin, end):
    """Events of random keys, some at equal times, in no order of time."""
    events = []
    for _ in range(count):
        site, sensor = dice.choice(KEYS[:5])  # the last key never has any
        events.append({"site": site, "sensor": sensor,
                       "value": dice.choice([None, dice.uniform(-1, 1) * 10 ** dice.randint(-9, 9)]),
                       "level": dice.choice([None, dice.randint(-9, 9)]),
                       "time": begin + dice.randrange((end - begin) // MINUTE) * MINUTE})
    return events


def check(client, events, when):
    """300 random questions: far before, in and far after, and next to window edges."""
    asked = []
    for _ in range(300):
        as_of = dice.choice([
            START + dice.randrange(-10 * DAY, 45 * DAY), dice.randrange(-(10 ** 15), 10 ** 16),
            dice.choice(events)["time"] + dice.choice([0, 1_000_000, HOUR, DAY, 7 * DAY])
            + dice.choice([-1, 0, 1])])
        asked.append((dice.choice(KEYS), as_of))
    results = client.get("readings_of", [{"site": k[0], "sensor": k[1]} for k, _ in asked],
                         as_ofs=[t for _, t in asked], deadline_ms=30000, seconds=60)
    for (key, as_of), result in zip(asked, results):
        expect(result["complete"], when, result)
        mine = [e for e in events if (e["site"], e["sensor"]) == key]
        for name, wanted in oracle.values(mine, as_of, FEATURES).items():
            expect_equal(result["features"][name], wanted, f"{when}: {key} at {as_of}: {name}")


cluster = Cluster({"readings.yaml": DEFINITIONS}, speed_workers=1).start()
client, producer = cluster.serving(), Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])


def send(events):
    for at in range(0, len(events), 100):
        producer.send("readings", COLUMNS, [[e["site"], e["sensor"], e["value"], e["level"],
                                             e["time"]] for e in events[at:at + 100]])


events = made(1500, START, START + 20 * DAY)
send(events)
check(client, events, "before any recompute")
cluster.recompute()
check(client, events, "after a recompute")
late = made(500, START - 5 * DAY, START + 30 * DAY)
send(late)
check(client, events + late, "with late and new events in the speed layer")
cluster.recompute()
check(client, events + late, "after another recompute")
before = client.get("readings_of", [{"site": "north", "sensor": 0}], as_of=late[0]["time"],
                    before=True)[0]
expect_equal(before["as_of"], late[0]["time"] - 1, "as-of of `before`")
cluster.stop()
