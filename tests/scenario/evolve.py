"""A stream and its view change while there are events, and every answer stays what it must be."""
import json
import random

import oracle
from cluster import DAY, HOUR, MINUTE, Cluster, expect, expect_equal, wait_for
from wire import Producer

TIME_LIMIT = 120

STREAM = """
streams:
  payments:
    key: user
    time: ts
    fields:
      user: string
      %s
      note: string
      ts: {type: timestamp, unit: us}
views:
  spend:
    from: payments
    features:
      n: count() over 1h, 7d
      total: sum(%s) over 1h, 7d
      largest: max(%s) over 7d
      notes: last(note)
"""
BEFORE = STREAM % ("amount: int64", "amount", "amount")
NEWER = """      channels: last(channel) over 7d
      least: min(charge) over 1h
"""
AFTER = STREAM % ("channel: string\n      charge: {type: float64, alias: amount}", "charge",
                  "charge") + NEWER
OLD = {"n_1h": ("count", None, HOUR), "n_7d": ("count", None, 7 * DAY),
       "total_1h": ("sum", "amount", HOUR), "total_7d": ("sum", "amount", 7 * DAY),
       "largest_7d": ("max", "amount", 7 * DAY), "notes": ("last", "note", None)}
ALL = OLD | {"channels_7d": ("last", "channel", 7 * DAY), "least_1h": ("min", "amount", HOUR)}
USERS = [f"u{i}" for i in range(6)]
START = 1_700_000_000_000_000
END = START + 10 * DAY
dice = random.Random(11)


def made(count, evolved=False):
    events = []
    for _ in range(count):
        amount = dice.choice([None, dice.randint(-99, 99), 2 ** 53 + 1, dice.randint(0, 10 ** 15)])
        if evolved and dice.random() < 0.5:
            amount = dice.uniform(-1, 1) * 10 ** dice.randint(-6, 6)
        events.append({"user": dice.choice(USERS), "amount": amount,
                       "note": dice.choice([None, "a", "b"]),
                       "channel": dice.choice([None, "web", "app"]) if evolved else None,
                       "time": START + dice.randrange(10 * DAY // MINUTE) * MINUTE})
    return events


def as_floats(events):
    return [e | {"amount": None if e["amount"] is None else float(e["amount"])} for e in events]


def check(events, features, when):
    for as_of in [END, END - 3 * DAY, END + HOUR // 2, dice.choice(events)["time"] + HOUR]:
        results = client.get("spend", [{"user": u} for u in USERS], as_of=as_of, deadline_ms=30000,
                             seconds=60)
        for user, result in zip(USERS, results):
            expect(result["complete"], when, result)
            mine = [e for e in events if e["user"] == user]
            wanted = oracle.values(mine, as_of, features)
            expect_equal(set(result["features"]), set(wanted), when)
            for name, value in wanted.items():
                expect_equal(result["features"][name], value, f"{when}: {user} at {as_of}: {name}")


cluster = Cluster({"payments.yaml": BEFORE}).start()
client, producer = cluster.serving(), Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])


def send(events, columns):
    names = {"charge": "amount", "ts": "time"}
    for at in range(0, len(events), 100):
        producer.send("payments", columns, [[e[names.get(c, c)] for c in columns]
                                            for e in events[at:at + 100]])


def load(events, name, columns):
    names = {"charge": "amount", "ts": "time"}
    path = cluster.directory / name
    rows = [",".join("" if e[names.get(c, c)] is None else str(e[names.get(c, c)]) for c in columns)
            for e in events]
    path.write_text("\n".join([",".join(columns)] + rows) + "\n")
    cluster.done("load", "payments", path)


def refused(text, reason):
    cluster.write({"payments.yaml": text})
    for run in (cluster.weir("apply", "--dry-run"), cluster.weir("apply", "--yes")):
        expect(run.code == 1 and reason in run.err, reason, run)


plain = ["user", "amount", "note", "ts"]
loaded = made(300)
load(loaded, "history.csv", plain)
cluster.recompute()
sent = made(300)
send(sent, plain)
check(loaded + sent, OLD, "before the change")

refused(BEFORE.replace("      note: string\n", "").replace("      notes: last(note)\n", ""),
        "field 'note' cannot be removed")
refused(BEFORE.replace("amount: int64", "amount: string").replace("sum(amount)", "count(amount)"),
        "cannot change from int64 to string")
refused(BEFORE.replace("note: string", "note: {type: string, required: true}"),
        "cannot become required")

cluster.write({"payments.yaml": AFTER})
run = cluster.done("apply", "--dry-run")
told = ("payments: field channel added; amount renamed to charge; charge widened to float64; "
        "3 features are rebuilt")
expect(told in run.out, run)
check(loaded + sent, OLD, "after a dry run")
run = cluster.done("apply", "--yes")
expect(told in run.out and "+channels_7d" in run.out, run)

events = as_floats(loaded + sent)
check(events, ALL, "after the change")
old_names, new_names = made(150), made(300, evolved=True)
send(old_names, plain)
send(new_names, ["channel", "user", "note", "ts", "charge"])
events += as_floats(old_names + new_names)
check(events, ALL, "with events of both definitions")
wait_for(lambda: all(r["state"] == "trimmed" for r in
                     cluster.ask_coordinator("recomputes")["recomputes"]), 60,
         "the recompute for the new features, which nobody asked for")
check(events, ALL, "after the recompute of the change")
more = made(200, evolved=True)
load(more, "more.csv", ["ts", "charge", "channel", "user", "note"])
cluster.recompute()
events += as_floats(more)
check(events, ALL, "after a load")

for node in cluster.nodes.values():
    node.stop()
for node in cluster.nodes.values():
    node.start()
cluster.wait_ready()
client = cluster.serving()
check(events, ALL, "after a restart")
shown = json.loads(cluster.done("show", "payments", "--json").out)
expect("alias: amount" in json.dumps(shown), shown)
cluster.stop()
