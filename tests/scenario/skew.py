"""The watch over serving and training: every answer that serving kept, 100,000 and more of them, is what history gives
where it stood, to the bit, while events come late, loads come and go, recomputes run and nodes are killed; what late events change is told
apart; a serving node that answers with other numbers of `preprocess` is found, and so are values that are spread in another way
than in training."""
import csv
import os
import random
import threading
import time
from pathlib import Path

import msgpack
import zmq
from cluster import DAY, HOUR, SECURED, Cluster, Node, expect, expect_equal, now_us, skip, wait_for
from wire import SLOWER, Client, Producer, Refused, Silent

TIME_LIMIT = 900
if SECURED:
    skip("what stands between a node and its coordinator here has no keys")

DEFINITIONS = """
streams:
  transfers:
    key: account
    time: booked
    fields: {account: string, shop: string, amount: float64, what: string, booked: {type: timestamp, unit: us}}
views:
  spend:
    from: transfers
    features:
      spent: sum(amount) over 1h, 7d
      n: count() over 7d, lifetime
      spread: stddev(amount) over 2d
      last: last(what)
      newest: last_k(amount, 3) over 10 rows
      by_shop: sum(amount) by shop over 1d
      middle: approx_quantile(amount, 0.5) over 7d
  shops:
    from: transfers
    key: shop
    features:
      sold: sum(amount) over 7d
      buyers: count_distinct(account) over 7d
services:
  model:
    as_of: before
    views:
      sender: {view: spend, key: {account: from_account}}
      receiver: {view: spend, key: {account: to_account}}
      shops:
    request: {amount: float64}
    features: ["sender:spent_7d", "receiver:spent_1h", "sender:n_lifetime", "sender:last", "shops:sold_7d",
               "shops:buyers_7d", amount, ratio]
    derived:
      ratio: {expr: amount / sender.spent_7d, default: -1}
    preprocess:
      amount: {impute: 4, clip: [0, 30], scale: {mean: 10, stddev: 4}}
"""
COLUMNS = ["account", "shop", "amount", "what", "booked"]
ACCOUNTS, SHOPS = [f"a{i}" for i in range(300)], ["acme", "corner", "market", "mill"]
ANSWERS = int(os.environ.get("WEIR_SKEW_ANSWERS", "100000"))
START = now_us() - 12 * DAY
chance = random.Random(11)


def rows(count, at, spread):
    """Events of around that time."""
    return [[chance.choice(ACCOUNTS), chance.choice(SHOPS), chance.choice([0.1, 0.2, 1e9, -5.0, 3.25]) * chance.randrange(1, 50),
             chance.choice("xyz"), at - chance.randrange(spread)] for _ in range(count)]


def ask(client, count, at, spread):
    """So many answers of the service, and a few of a view."""
    keys = [{"from_account": chance.choice(ACCOUNTS), "to_account": chance.choice(ACCOUNTS), "shop": chance.choice(SHOPS),
             "amount": chance.choice([None, 1.5, 12.25, 99.0])} for _ in range(count)]
    times = [at - chance.randrange(spread) for _ in keys]
    client.get("model", keys, as_ofs=times, deadline_ms=20000, seconds=30 * SLOWER)
    client.get("spend", [{"account": k["from_account"]} for k in keys[:20]], as_ofs=times[:20], deadline_ms=20000,
               seconds=30 * SLOWER)


def metrics(client):
    return client.ask("metrics")["values"]


def written(client):
    """All that was kept is in files."""

    def same():
        found = metrics(client)
        return found if found["samples"] == found["samples_written"] + found["samples_dropped"] else None

    return wait_for(same, 20, "the sample is written")


def look(cluster, name, *more, code=0):
    run = cluster.weir("skew", name, "--since", "30d", "--json", *more, timeout=300)
    expect_equal(run.code, code, f"weir skew {name}: {run}")
    return run.objects()[0]


class Between(threading.Thread):
    """Stands between a node and the coordinator, and changes a number in the definitions that come by."""

    def __init__(self, endpoint, coordinator, old, new):
        super().__init__(daemon=True)
        self.endpoint, self.coordinator, self.old, self.new = endpoint, coordinator, old, new
        self.changed, self.over = 0, threading.Event()

    def tampered(self, data):
        message = msgpack.unpackb(data)
        if message[2] != "definitions.ok":
            return data
        for thing in message[4]["objects"]:
            self.changed += thing["text"].count(self.old)
            thing["text"] = thing["text"].replace(self.old, self.new)
        return msgpack.packb(message)

    def run(self):
        context = zmq.Context.instance()
        front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        front.bind(self.endpoint)
        back.connect(self.coordinator)
        while not self.over.is_set():
            for socket in zmq.select([front, back], [], [], 0.1)[0]:
                frames = socket.recv_multipart()
                if socket is front:
                    back.send_multipart(frames)
                else:
                    front.send_multipart([*frames[:-1], self.tampered(frames[-1])])
        front.close(0)
        back.close(0)


def other_numbers(cluster):
    """A serving node on the same data, whose definitions are not those of the others."""
    between = Between(cluster.endpoint(40), cluster.endpoint(0), "mean: 10", "mean: 11")
    between.start()
    twin = Path("twin").absolute()
    (twin / "logs").mkdir(parents=True)
    text = (cluster.directory / "weir.yaml").read_text()
    data = cluster.directory / "data"
    expect(data.is_dir(), "no", data)
    (twin / "weir.yaml").write_text(text.replace(f"coordinators: [{cluster.endpoint(0)}]",
                                                 f"coordinators: [{cluster.endpoint(40)}]")
                                    .replace(f"serving: {cluster.endpoints(1, 1)}", f"serving: {cluster.endpoints(1, 2)}")
                                    + f"data: {data}\n")
    node = Node(cluster, "serving", "serving-2")
    node.before = []

    class Elsewhere:
        directory = twin

    node.cluster = Elsewhere
    cluster.nodes["serving-2"] = node.start()
    client = cluster.client(2)
    wait_for(lambda: client.get("model", [{"from_account": "a1", "to_account": "a2", "shop": "acme", "amount": 5.0}])[0]
             ["complete"], 30, "the other node answers")
    expect(between.changed > 0, "no number was changed")
    return between, client


def training_file(name, shift, nulls=0):
    """A training set with the service's columns; what was asked with is `shift` higher, and of a thousand values of `sender:last` so many are null."""
    path = Path(name).absolute()
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["from_account", "to_account", "label", "amount", "sender:last", "sender:n_lifetime"])
        for i in range(4000):
            amount = chance.choice([None, 1.5, 12.25, 99.0])
            amount = 4 if amount is None else min(max(amount, 0), 30)
            out.writerow(["a", "b", i % 2, repr((amount + shift - 10) / 4), "" if i % 1000 < nulls else chance.choice("xyz"), 10])
    return path


def check(report, least):
    expect_equal(report["mismatches"], 0, f"mismatches: {report}")
    expect(report["compared"] >= least, "compared:", report)
    expect_equal(report["damaged"] + report["removed"], 0, f"damaged or removed: {report}")


cluster = Cluster({"all.yaml": DEFINITIONS}, settings="skew: {sample: 1, keep: 30d, size: 1GiB}\n",
                  speed_workers=2, batch_workers=1).start()
client = cluster.serving()
producer = Producer([cluster.endpoint(11), cluster.endpoint(12)])
cluster.directory.joinpath("first.csv").write_text(
    "account,shop,amount,what,booked\n" + "".join(",".join(map(str, r)) + "\n" for r in rows(20000, START + 6 * DAY, 6 * DAY)))
cluster.done("load", "transfers", cluster.directory / "first.csv")

# ---- in order: nothing comes late, so that a training set made afterwards has the same ----
at = START + 6 * DAY
for step in range(10):
    at += HOUR
    producer.send("transfers", COLUMNS, rows(300, at, HOUR))
    ask(client, 40, at + 1, 1)
    if step == 5:
        cluster.recompute()
written(client)
report = look(cluster, "model")
check(report, 400)
expect_equal(report["late"], 0, f"nothing was late: {report}")

# ---- late events, a load, recomputes, kill -9: while answers are asked for ----
over = threading.Event()


def disturb():
    own = Producer([cluster.endpoint(11), cluster.endpoint(12)])
    number = 0
    while not over.is_set():
        number += 1
        own.send("transfers", COLUMNS, rows(200, at, 3 * DAY), patience=3)
        if number % 25 == 0:
            cluster.recompute(120)
        if number == 30:
            path = cluster.directory / "second.csv"
            path.write_text("account,shop,amount,what,booked\n" +
                            "".join(",".join(map(str, r)) + "\n" for r in rows(3000, at, 5 * DAY)))
            cluster.done("load", "transfers", path)
        if number == 60:
            cluster["speed-worker-1"].kill()
            cluster["speed-worker-1"].start()
        time.sleep(0.02)
    own.close()


noise = threading.Thread(target=disturb)
noise.start()
asked, killed = 0, False
try:
    while asked < ANSWERS:
        try:
            # mostly where batch views answer, and now and then where history is read
            ask(client, 400, *((at, 6 * DAY) if asked % 8000 == 0 else (at + 20 * HOUR, 20 * HOUR)))
            asked += 400
        except (Silent, Refused):
            continue
        if asked >= ANSWERS // 2 and not killed:
            killed = True
            cluster["serving-1"].kill()  # what it wrote last may be torn
            cluster["serving-1"].start()
            cluster.wait_ready()
finally:
    over.set()
    noise.join()
cluster.wait_ready()
written(client)
report = look(cluster, "model")
print("service:", {k: v for k, v in report.items() if k not in ("shown", "alerts")})
check(report, ANSWERS * 4 // 10)  # some were incomplete, or lost with the node that was killed, which was half of all at most
expect(report["late"] > report["compared"] // 4, "late events change answers:", report)
expect(report["incomplete"] + report["compared"] + report["ahead"] == report["answers"], "all are told of:", report)
view = look(cluster, "spend")
check(view, ANSWERS // 400 * 20 // 2)
expect_equal(look(cluster, "model", "--no-recompute")["mismatches"], 0, "without a recompute")

# ---- distributions ----
report = look(cluster, "model", "--training", training_file("same.csv", 0))
spreads = {d["feature"]: d for d in report["distributions"]}
expect_equal(sorted(n for n, d in spreads.items() if "psi" in d), ["amount", "sender:last", "sender:n_lifetime"], "compared")
expect(spreads["amount"]["psi"] < 0.01 and spreads["amount"]["ks"] < 0.05, "as in training:", spreads["amount"])
expect(spreads["sender:last"]["training"]["distinct"] == 3, spreads["sender:last"])
expect(not [a for a in report["alerts"] if a.startswith("amount")], report["alerts"])
report = look(cluster, "model", "--training", training_file("shifted.csv", 3))
expect([a for a in report["alerts"] if a.startswith("amount: Kolmogorov-Smirnov")], "an alert:", report["alerts"])
expect([a for a in report["alerts"] if a.startswith("amount: PSI")], "another:", report["alerts"])
expect(not [a for a in report["alerts"] if a.startswith("sender:last")], report["alerts"])
status = cluster.done("status").out
expect("alert: amount" in status and "skew of model" in status, status)
report = look(cluster, "model", "--training", training_file("sparse.csv", 0, nulls=600))
expect([a for a in report["alerts"] if a.startswith("sender:last") and "60.0 % in training" in a], "nulls:", report["alerts"])
expect_equal(list((cluster.directory / "data" / "incoming").glob("*.csv")), [], "copies of training sets") \
    if (cluster.directory / "data" / "incoming").is_dir() else None
# What stands beside a training set says of which version it is, and whether it is still what was made.
spine = cluster.directory / "spine.csv"
spine.write_text("from_account,to_account,shop,amount,ts\na1,a2,acme,5,2026-01-01\n")
made = cluster.directory / "made.csv"
cluster.done("training-set", "model", "--spine", spine, "--time", "ts", "--prefix", "x:", "--out", made)
run = cluster.weir("skew", "model@v7", "--training", made)
expect(run.code == 1 and "is a training set of model@v1, not of v7" in run.err, run)
for text, said in ((made.read_text(), "is of model@v1, from "), (made.read_text() + "\n", "was changed since it was made")):
    made.write_text(text)
    expect(said in cluster.done("skew", "model", "--training", made).err, said)
wrong = Path("wrong.csv").absolute()
wrong.write_text("amount\n1\nmany\n")
run = cluster.weir("skew", "model", "--training", wrong)
expect(run.code == 1 and "record 2" in run.err and "'many' is not a float64" in run.err, run)
run = cluster.weir("skew", "modle")
expect(run.code == 1 and "did you mean 'model'" in run.err, run)

# ---- a node that answers with other numbers ----
between, other = other_numbers(cluster)
good = client.get("model", [{"from_account": "a1", "to_account": "a2", "shop": "acme", "amount": 5.0}])[0]["features"]
bad = other.get("model", [{"from_account": "a1", "to_account": "a2", "shop": "acme", "amount": 5.0}])[0]["features"]
expect(good["amount"] == (5 - 10) / 4 and bad["amount"] == (5 - 11) / 4, "the plant:", good, bad)
for _ in range(5):
    ask(other, 100, at, DAY)
written(other)
report = look(cluster, "model", code=1)
expect(report["mismatches"] >= 500, "they are found:", report)
expect_equal({m["feature"] for m in report["shown"]}, {"amount"}, "and where")
first = report["shown"][0]
expect(first["answered"] != first["recomputed"] and first["key"]["from_account"].startswith("a"), first)
expect_equal(look(cluster, "spend")["mismatches"], 0, "the view is not concerned")
found = wait_for(lambda: metrics(client)["skew_mismatches"] > 0 and metrics(client), 10, "serving's metrics")
expect_equal(found["skew_mismatches"], report["mismatches"], "metrics")
expect(found["skew_alerts"] > 0 and cluster.ask_coordinator("metrics")["values"]["skew_mismatches"] > 0, found)
expect("are not what history gives where they stood" in cluster.done("status").out, "status")
cluster["serving-2"].stop()
between.over.set()
between.join()

# ---- erased: what was kept goes ----
cluster.done("forget", "transfers", "account=a77", "--yes", timeout=200)
wait_for(lambda: not list((cluster.directory / "data/samples").glob("*/*.sample")), 20, "the samples are gone")
ask(client, 100, at, DAY)
written(client)
report = look(cluster, "spend")
expect_equal((report["mismatches"], report["removed"]), (0, 0), f"after it was erased: {report}")
cluster.stop()
