"""A service over two views and three roles, while events flow, recomputes run and owners are killed: every answer is
what a plain evaluation of all events in Python gives at the positions that it says, by ==; and what may not change
under a service does not."""
import random
import threading

import oracle
from cluster import DAY, HOUR, SECOND, Cluster, expect, expect_equal, wait_for
from wire import Producer

TIME_LIMIT = 150

VIEWS = """
streams:
  transfers:
    key: account
    time: booked
    fields: {account: string, shop: string, amount: float64, booked: {type: timestamp, unit: us}}
views:
  spend:
    from: transfers
    features:
      spent: sum(amount) over 1h, 7d
      n: count() over 7d
      last: last(booked)
  shops:
    from: transfers
    key: shop
    features:
      sold: %s over 7d
"""
SERVICE = """
services:
  model:
    as_of: before
    views:
      sender: {view: spend, key: {account: from_account}}
      receiver: {view: spend, key: {account: to_account}}
      shops:
    request: {amount: float64}
    features:
      - sender:spent_7d
      - receiver:spent_1h
      - {feature: "shops:sold_7d", default: 0}
      - sender:n_7d
      - amount
      - ratio
      - days_quiet
    derived:
      ratio: {expr: amount / sender.spent_7d, default: -1}
      days_quiet: (now - sender.last) / 1d
    preprocess:
      amount: {impute: 4, clip: [0, 30], scale: {mean: 10, stddev: 4}}
"""
SPEND = {"spent_1h": ("sum", "amount", HOUR), "spent_7d": ("sum", "amount", 7 * DAY), "n_7d": ("count", None, 7 * DAY),
         "last": ("last", "time", None)}
SHOPS = {"sold_7d": ("sum", "amount", 7 * DAY)}
FIRST = 1_740_000_000 * SECOND
LAST = FIRST + 12 * DAY
ACCOUNTS, NAMES = [f"a{i}" for i in range(6)], ["acme", "corner", "market"]

chance = random.Random(5)
times = iter(chance.sample(range(FIRST, LAST, 1000), 40000))  # each once: what is last depends on no position
events = []


def make(count):
    made = [{"account": chance.choice(ACCOUNTS), "shop": chance.choice(NAMES), "time": next(times),
             "amount": chance.choice([0.1, 0.2, 1e9, -5.0, 3.25]) * chance.randrange(1, 50)} for _ in range(count)]
    events.extend(made)
    return made


def rows(made):
    return [[e["account"], e["shop"], e["amount"], e["time"]] for e in made]


def wanted(key, amount, at, known):
    """What the service must answer as of just before `at`."""
    as_of = at - 1
    sender = oracle.values([e for e in known if e["account"] == key["from_account"]], as_of, SPEND)
    receiver = oracle.values([e for e in known if e["account"] == key["to_account"]], as_of, SPEND)
    shop = oracle.values([e for e in known if e["shop"] == key["shop"]], as_of, SHOPS)
    ratio = -1.0 if amount is None or not sender["spent_7d"] else amount / sender["spent_7d"]
    quiet = None if sender["last"] is None else (as_of - sender["last"]) / DAY
    scaled = (min(max(4.0 if amount is None else amount, 0.0), 30.0) - 10) / 4
    sold = 0.0 if shop["sold_7d"] is None else shop["sold_7d"]
    return {"sender:spent_7d": sender["spent_7d"], "receiver:spent_1h": receiver["spent_1h"], "shops:sold_7d": sold,
            "sender:n_7d": sender["n_7d"], "amount": scaled, "ratio": ratio, "days_quiet": quiet}


def entity():
    key = {"from_account": chance.choice(ACCOUNTS + ["nobody"]), "to_account": chance.choice(ACCOUNTS),
           "shop": chance.choice(NAMES)}
    return key, chance.choice([None, 2.5, 40.0])


def check(what, client=None, known=None):
    """Many entities, at times of events and others."""
    client = client or cluster.serving()
    known = events if known is None else known
    asked = [entity() for _ in range(20)]
    at = [chance.choice(known)["time"] if chance.random() < 0.6 else chance.randrange(FIRST, LAST + DAY) for _ in asked]
    results = client.get("model", [{**key, "amount": amount} for key, amount in asked], as_ofs=at, seconds=60,
                         deadline_ms=30000)
    for (key, amount), time, result in zip(asked, at, results):
        expect(result["complete"], what, result)
        expect_equal(result["key"], key, what)
        expect_equal(result["as_of"], time - 1, what)
        logs = {name.rsplit("/", 1)[0] for name in result["positions"]}
        expect_equal(logs, {"transfers/account", "transfers/shop"}, what)
        expect_equal(len(result["dataset"].split(",")), 2, result["dataset"])
        for name, value in wanted(key, amount, time, known).items():
            expect_equal(result["features"][name], value, f"{name} of {key} at {time} {what}")


cluster = Cluster({"views.yaml": VIEWS % "sum(amount)", "services.yaml": SERVICE}).start()
path = cluster.directory / "load.csv"
path.write_text("account,shop,amount,booked\n" + "".join(
    f"{e['account']},{e['shop']},{e['amount']!r},{e['time']}\n" for e in make(600)))
cluster.done("load", "transfers", path)
check("after the load")
speed = [cluster.endpoint(11), cluster.endpoint(12)]
producer = Producer(speed)
COLUMNS = ["account", "shop", "amount", "booked"]
for round in range(3):
    producer.send("transfers", COLUMNS, rows(make(120)))
    check(f"after events, round {round}")
    cluster.recompute()
    check(f"after a recompute, round {round}")

# While others send: accounts of their own, so that what is asked for stands still, though positions move.
ended = threading.Event()


def send_others():
    other = Producer(speed)
    n = 0
    while not ended.is_set():
        n += 1
        other.send("transfers", COLUMNS, [[f"other{n % 50}", f"stall{n % 50}", 1.0, LAST + n]], seconds=60)
    other.close()


sender = threading.Thread(target=send_others)
sender.start()
for round in range(15):
    check(f"while others send, round {round}")
cluster["speed-worker-1"].kill()
cluster["speed-worker-1"].start()
cluster.wait_ready()
check("after kill -9, while others send")
cluster.recompute()
check("after a recompute, while others send")
ended.set()
sender.join()
producer.close()

# The command: fields of the key and of the request together, one and many, as JSON and as a table.
key = {"from_account": "a1", "to_account": "a2", "shop": "acme"}
words = [f"{name}={value}" for name, value in key.items()]
[one] = cluster.done("get", "model", *words, "amount=2.5", "--as-of", LAST // 1000, "--json").objects()
expect_equal(one["features"]["ratio"], wanted(key, 2.5, LAST, events)["ratio"])
expect_equal(list(one["features"]), list(wanted(key, 2.5, LAST, events)), "their order")
expect_equal(one["versions"], {"model": "v1", "spend": "v1", "shops": "v1"})
expect_equal(one["key"], key)
file = cluster.directory / "keys.csv"
file.write_text("to_account,amount,shop,from_account\na2,2.5,acme,a1\na1,,market,a3\n")
many = cluster.done("get", "model", "--keys", file, "--as-of", LAST // 1000, "--json").objects()
expect_equal(many[0]["features"], one["features"])
expect_equal(many[1]["features"]["ratio"], -1.0)
table = cluster.done("get", "model:shops:sold_7d", *words).out
expect("shops:sold_7d" in table and "ratio" not in table, table)
[listed] = cluster.done("list", "services", "--json").objects()
expect_equal((listed["name"], listed["version"], listed["views"], listed["features"]),
             ("model", "v1", {"spend": "v1", "shops": "v1"}, 7))
shown = cluster.done("show", "model").out
expect("view: spend@v1" in shown and "shops:sold_7d" in shown, shown)

# What is refused.
wrong = cluster.weir("get", "model", *words[:2])
expect(wrong.code == 1 and "the key lacks field 'shop'" in wrong.err, wrong)
wrong = cluster.weir("get", "model", *words, "amont=1")
expect(wrong.code == 1 and "did you mean 'amount'?" in wrong.err, wrong)
wrong = cluster.weir("delete", "shops", "--yes")
expect(wrong.code == 1 and "service model needs view shops" in wrong.err, wrong)
check("after what was refused")

# A view that means something else is another version, and so is the service that names none.
cluster.write({"views.yaml": VIEWS % "mean(amount)"})
run = cluster.done("apply", "--yes")
expect("shops reads shops v2 instead of v1; version 2 follows 1" in run.out, run.out)
SHOPS["sold_7d"] = ("mean", "amount", 7 * DAY)


def is_new():
    client = cluster.serving()
    try:
        return client.ask("get", {"view": "model", "keys": [key]})["versions"] == {"model": "v2", "spend": "v1",
                                                                                     "shops": "v2"}
    finally:
        client.close()


wait_for(is_new, 30, "the new version is answered")
check("of the new version")
client = cluster.serving()
reply = client.ask("get", {"view": "model@v1", "keys": [key]})
expect_equal(reply["versions"], {"model": "v1", "spend": "v1", "shops": "v1"})
client.close()
cluster.done("delete", "model", "--yes")
cluster.done("delete", "shops", "--yes")
cluster.stop()
