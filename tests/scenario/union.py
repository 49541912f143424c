"""A view of three streams, whose key is the own one of one of them: loaded, sent, recomputed, changed, and
compared with what a plain evaluation of all events in Python gives, to the last bit."""
import random

import oracle
from cluster import DAY, HOUR, SECOND, Cluster, expect, expect_equal, wait_for

TIME_LIMIT = 120

STREAMS = """
streams:
  payments:
    key: user_id
    time: ts
    fields: {user_id: string, amount: float64, status: string, ts: {type: timestamp, unit: us}}
  refunds:
    key: id
    time: at
    fields:
      at: {type: timestamp, unit: us}
      id: int64
      back: float64
      status: string
      user_id: {type: string, column: customer}
      amount: {expr: -back}
  calls:
    key: [user_id, status]
    time: ts
    fields: {status: string, user_id: string, ts: {type: timestamp, unit: us}, amount: float64, line: string}
"""
VIEWS = """
views:
  moves:
    from: [%s]
    key: user_id
    where: status is distinct from 'declined'
    horizon: 2d
    features:
      n: count() over 1h, 1d, lifetime
      total: sum(amount) over 1h, 1d, lifetime
      mean: mean(amount) where amount > 0 over 7d
      last: last(amount) over 7d, lifetime
      first: first(status) over 1d
      spread: stddev(amount) over 7d
      low: min(amount) over lifetime
    derived:
      share: total_1d / total_lifetime
"""
FEATURES = {
    "n_1h": ("count", None, HOUR), "n_1d": ("count", None, DAY), "n_lifetime": ("count", None, None),
    "total_1h": ("sum", "amount", HOUR), "total_1d": ("sum", "amount", DAY),
    "total_lifetime": ("sum", "amount", None),
    "mean_7d": ("mean", "amount", 7 * DAY, lambda e: e["amount"] is not None and e["amount"] > 0),
    "last_7d": ("last", "amount", 7 * DAY), "last_lifetime": ("last", "amount", None),
    "first_1d": ("first", "status", DAY), "spread_7d": ("stddev", "amount", 7 * DAY),
    "low_lifetime": ("min", "amount", None)}
FIRST = 1_740_000_000 * SECOND
LAST = FIRST + 20 * DAY
USERS = [f"u{i}" for i in range(5)]
COLUMNS = {"payments": ["user_id", "amount", "status", "ts"], "refunds": ["at", "id", "back", "status", "customer"],
           "calls": ["status", "user_id", "ts", "amount", "line"]}
LOGS = {"payments": "payments/user_id", "refunds": "refunds/user_id", "calls": "calls/user_id"}

chance = random.Random(11)
times = iter(chance.sample(range(FIRST, LAST + DAY, 1000), 20000))  # each once: what is last depends on no position
events = {stream: [] for stream in COLUMNS}  # of each stream: user, time, amount, status


def make(stream, count, name):
    """Writes so many events as CSV, and keeps them."""
    path = cluster.directory / f"{name}.csv"
    lines = [",".join(COLUMNS[stream])]
    for number in range(count):
        amount = None if chance.random() < 0.1 else chance.choice([0.1, 0.2, 1e9, -5.0, 3.25]) * chance.randrange(1, 50)
        event = {"user": chance.choice(USERS), "time": next(times), "amount": amount,
                 "status": chance.choice(["ok", "late", "declined", None])}
        events[stream].append(event)
        cells = {"user_id": event["user"], "customer": event["user"], "ts": event["time"], "at": event["time"],
                 "status": event["status"], "amount": amount, "back": None if amount is None else -amount,
                 "id": number, "line": "x"}
        lines.append(",".join("" if cells[c] is None else str(cells[c]) for c in COLUMNS[stream]))
    path.write_text("\n".join(lines) + "\n")
    return path


def check(streams, what):
    """Complete answers of all users at several times are those of all events of the streams."""
    client = cluster.serving()
    kept = [e for s in streams for e in events[s] if e["status"] != "declined"]
    edges = [e["time"] for e in chance.sample(kept, 3)]
    as_ofs = [LAST + DAY, LAST - 3 * DAY] + [t + d for t, d in zip(edges, (0, HOUR, DAY))]
    for as_of in as_ofs:
        results = client.get("moves", [{"user_id": user} for user in USERS + ["nobody"]], as_of=as_of,
                             seconds=60, deadline_ms=30000)
        for result in results:
            user = result["key"]["user_id"]
            expect(result["complete"], what, result)
            expect_equal({name.rsplit("/", 1)[0] for name in result["positions"]}, {LOGS[s] for s in streams}, what)
            expect_equal(len(result["dataset"].split(",")), len(streams), result["dataset"])
            wanted = oracle.values([e for e in kept if e["user"] == user], as_of, FEATURES)
            share = None if wanted["total_1d"] is None or not wanted["total_lifetime"] \
                else wanted["total_1d"] / wanted["total_lifetime"]
            for name, value in [*wanted.items(), ("share", share)]:
                expect_equal(result["features"][name], value, f"{name} of {user} as of {as_of} {what}")
    client.close()


cluster = Cluster({"streams.yaml": STREAMS, "views.yaml": VIEWS % "payments, refunds"}).start()
both = ["payments", "refunds"]
for stream in COLUMNS:
    cluster.done("load", stream, make(stream, 400, "load"))
check(both, "after the loads")
for round in range(2):
    for stream in COLUMNS:
        cluster.done("send", stream, make(stream, 150, "send"))
        check(both, f"after events of {stream}")
    cluster.recompute()
    check(both, "after a recompute")

# Killed owners come back with what is in the logs of both.
cluster["speed-worker-1"].kill()
cluster["speed-worker-1"].start()
cluster.wait_ready()
check(both, "after kill -9")

# A stream more is another version, which has all of its history.
cluster.write({"views.yaml": VIEWS % "payments, refunds, calls"})
run = cluster.done("apply", "--yes")
expect("its stream, key or filter changes; version 2 follows 1" in run.out, run.out)


def filled(streams):
    """Is the version that is active of these streams, with all of their history?"""
    client = cluster.serving()
    try:
        return all(r["complete"] and {log.split("/")[0] for log in r["positions"]} == set(streams)
                   for r in client.get("moves", [{"user_id": u} for u in USERS], seconds=10, deadline_ms=1000))
    finally:
        client.close()


wait_for(lambda: filled(COLUMNS), 60, "the new key of calls has its history, and the version that reads it is active")
check(list(COLUMNS), "with a stream more")
cluster.done("send", "calls", make("calls", 100, "send"))
cluster.recompute()
check(list(COLUMNS), "with a stream more, recomputed")

# What is told of it, and what is refused.
[_, view] = [v for v in cluster.done("list", "views", "--json").objects() if v["name"] == "moves"]  # v1 and v2
expect_equal((view["from"], view["version"]), (["payments", "refunds", "calls"], "v2"))
expect("from: [payments, refunds, calls]" in cluster.done("show", "moves").out, "its text")
expect("from payments, refunds, calls, logs payments/user_id, refunds/user_id, calls/user_id"
       in cluster.done("explain", "moves").out, "its logs")
expect("from payments, refunds, calls: " in cluster.done("check").out, "its streams")
wrong = cluster.weir("delete", "calls", "--yes")
expect(wrong.code != 0 and "has views (moves)" in wrong.err, wrong)
cluster.write({"views.yaml": (VIEWS % "payments, refunds").replace("min(amount)", "min(back)")})
wrong = cluster.weir("check")
expect(wrong.code == 1 and "unknown field 'back'" in wrong.err, wrong)
cluster.write({"views.yaml": (VIEWS % "refunds, payments").replace("min(amount)", "min(back)")})
wrong = cluster.weir("check")
expect(wrong.code == 1 and "'back' is a field of 'refunds', but not of 'payments'" in wrong.err, wrong)

# A stream less again.
cluster.write({"views.yaml": VIEWS % "payments, refunds"})
cluster.done("apply", "--yes")
wait_for(lambda: filled(both), 60, "it is answered as of two streams")
check(both, "with a stream less")
cluster.stop()
