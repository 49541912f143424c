"""Training sets of a service with three roles over two keys: every row is what a plain evaluation in Python of the events up to
the row's own time gives, by ==, and no event later than that is in it; known-at leaves out what came in later; the same version gives the
same bytes, whatever came since; workers are killed meanwhile; and what is bad, is stopped, or does not fit leaves no file."""
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import oracle
from cluster import BIN, DAY, HOUR, MINUTE, SECOND, SLOWER, Cluster, expect, expect_equal, wait_for
from wire import Producer

TIME_LIMIT = 200

# In a mount namespace of its own, where that can be: for a small disk.
if "WEIR_OWN_MOUNTS" not in os.environ:
    can = subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
    os.environ["WEIR_OWN_MOUNTS"] = "1" if can else "0"
    if can:
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])

VIEWS = """
streams:
  transfers:
    key: account
    time: booked
    fields: {account: string, shop: string, amount: float64, booked: {type: timestamp, unit: us}}
  visits:
    key: account
    time: at
    fields: {account: string, pages: int64, at: {type: timestamp, unit: us}}
views:
  read:
    from: visits
    features: {pages: sum(pages)}
  spend:
    from: transfers
    features:
      spent: sum(amount) over 1h, 7d
      n: count() over 7d
      last: last(booked)
      by_shop: sum(amount) by shop over 7d
  shops:
    from: transfers
    key: shop
    features:
      sold: sum(amount) over 7d
  pairs:
    from: transfers
    key: [shop, account]
    ttl: 5d
    features:
      n: count() over 2d
      spent: sum(amount) over 7d
    derived:
      each: spent_7d / n_2d
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
      - ratio
      - days_quiet
    derived:
      ratio: {expr: amount / sender.spent_7d, default: -1}
      days_quiet: (now - sender.last) / 1d
    preprocess:
      "sender:spent_7d": {impute: 4, clip: [0, 30], scale: {mean: 10, stddev: 4}}
"""
SPEND = {"spent_1h": ("sum", "amount", HOUR), "spent_7d": ("sum", "amount", 7 * DAY), "n_7d": ("count", None, 7 * DAY),
         "last": ("last", "time", None)}
SHOPS = {"sold_7d": ("sum", "amount", 7 * DAY)}
FIRST = 1_740_000_000 * SECOND
LAST = FIRST + 12 * DAY
ACCOUNTS, NAMES = [f"a{i}" for i in range(6)], ["acme", "corner", "market"]

chance = random.Random(17)
times = iter(chance.sample(range(FIRST, LAST, 1000), 20000))
events = []


def make(count, known=None):
    made = [{"account": chance.choice(ACCOUNTS), "shop": chance.choice(NAMES), "time": next(times),
             "amount": chance.choice([0.1, 0.2, 1e9, -5.0, 3.25]) * chance.randrange(1, 50)} for _ in range(count)]
    for event in made:  # when it came in
        event["known"] = event["time"] + chance.randrange(0, 3 * DAY) if known is None else known
    events.extend(made)
    return made


def load(name, made):
    path = cluster.directory / name
    path.write_text("account,shop,amount,booked,came\n" + "".join(
        f"{e['account']},{e['shop']},{e['amount']!r},{e['time']},{e['known'] // 1000}\n" for e in made))
    return cluster.done("load", "transfers", path, "--ingest-time", "came").out


def spine(name, count, form="csv"):
    """Rows of which some are at the time of an event, some twice, some of nobody or without a key."""
    made = []
    for _ in range(count):
        at = chance.choice(events)["time"] if chance.random() < 0.6 else chance.randrange(FIRST, LAST + DAY)
        made.append({"label": chance.randrange(2), "note, of it": chance.choice(["", 'a "b"', "c,d", "e"]),
                     "from_account": chance.choice(ACCOUNTS + ["nobody", None]), "to_account": chance.choice(ACCOUNTS),
                     "shop": chance.choice(NAMES), "amount": chance.choice([None, 2.5, 40.0]),
                     "ts": at, "by": at - chance.randrange(-DAY, 2 * DAY)})
    made += made[:5]
    path = cluster.directory / name
    with open(path, "w", newline="") as file:
        if form == "csv":
            out = csv.writer(file, lineterminator="\n")
            out.writerow(made[0])
            out.writerows([stamp(v) if k in ("ts", "by") else "" if v is None else v for k, v in row.items()]
                          for row in made)
        else:
            for row in made:
                file.write(json.dumps({**row, "ts": stamp(row["ts"]), "by": stamp(row["by"])}) + "\n")
    return path, made


def stamp(us):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(us // SECOND)) + f".{us % SECOND:06d}Z"


def wanted(row, known, raw=False):
    as_of = row["ts"] - 1
    sender = oracle.values([e for e in known if e["account"] == row["from_account"]], as_of, SPEND)
    receiver = oracle.values([e for e in known if e["account"] == row["to_account"]], as_of, SPEND)
    shop = oracle.values([e for e in known if e["shop"] == row["shop"]], as_of, SHOPS)
    spent = sender["spent_7d"]
    ratio = -1.0 if row["amount"] is None or not spent else row["amount"] / spent
    quiet = None if sender["last"] is None else (as_of - sender["last"]) / DAY
    scaled = spent if raw else (min(max(4.0 if spent is None else spent, 0.0), 30.0) - 10) / 4
    sold = 0.0 if shop["sold_7d"] is None else shop["sold_7d"]
    return {"sender:spent_7d": scaled, "receiver:spent_1h": receiver["spent_1h"], "shops:sold_7d": sold,
            "sender:n_7d": sender["n_7d"], "ratio": ratio, "days_quiet": quiet}


def read(path):
    """Rows of a result, with features as JSON has them."""
    if path.suffix == ".ndjson":
        return [json.loads(line) for line in open(path)]
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def check(path, made, what, known=lambda row: events, raw=False):
    """All rows, in their order, by ==: in CSV a float is the shortest text that reads back to it."""
    rows = read(path)
    expect_equal(len(rows), len(made), what)
    for number, (row, was) in enumerate(zip(rows, made)):
        for name, value in wanted(was, known(was), raw).items():
            got = row[name]
            if path.suffix == ".csv":
                expect_equal(got, "" if value is None else repr(value), f"{name} of row {number} {what}")
            else:
                expect_equal(got, value, f"{name} of row {number} {what}")


def train(spine_path, out, *more, target="model"):
    return cluster.done("training-set", target, "--spine", spine_path, "--time", "ts", "--out", out, *more)


def refused(what, *arguments, said):
    """No file, and a reason."""
    before = sorted(os.listdir(cluster.directory))
    run = cluster.weir("training-set", *arguments)
    expect(run.code in (1, 2), what, run)
    expect(said in run.err, what, run)
    expect_equal(sorted(os.listdir(cluster.directory)), before, what)


def swept(what, seconds=30):
    wait_for(lambda: not os.listdir(cluster.directory / "data/training"), seconds, f"nothing is left {what}")


cluster = Cluster({"views.yaml": VIEWS}, settings="limits: {batch_memory: 64MiB}\n", batch_workers=2).start()
load("first.csv", make(900))
producer = Producer([cluster.endpoint(11), cluster.endpoint(12)])
COLUMNS = ["account", "shop", "amount", "booked"]


def send(count):
    made = make(count, known=2 * LAST)
    producer.send("transfers", COLUMNS, [[e["account"], e["shop"], e["amount"], e["time"]] for e in made])


# ---- what was acknowledged a moment ago is in it ----
send(300)
labels, made = spine("labels.csv", 400)
out = cluster.directory / "train.csv"
train(labels, out)
check(out, made, "of a load and events")
lines, was = out.read_bytes().split(b"\n"), labels.read_bytes().split(b"\n")
expect_equal(len(lines), len(was))
for line, row in zip(lines, was):
    expect(line.startswith(row), "the spine's text is kept:", line, row)
swept("after a training set")
about = json.loads((cluster.directory / "train.csv.weir.json").read_text())
expect_equal([f["name"] for f in about["features"]], list(wanted(made[0], [])))
expect_equal((about["rows"], about["raw"], about["service"]), (len(made), False, "model"))
expect_equal({p["log"] for p in about["pinned"]}, {"transfers/account", "transfers/shop"})

# ---- known-at, raw, NDJSON both ways ----
train(labels, cluster.directory / "known.csv", "--known-at", "by")
check(cluster.directory / "known.csv", made, "known by then", lambda row: [e for e in events if e["known"] <= row["by"]])
train(labels, cluster.directory / "raw.ndjson", "--raw")
check(cluster.directory / "raw.ndjson", made, "raw", raw=True)
labels_json, made_json = spine("labels.ndjson", 150, "ndjson")
for name in ("json.ndjson", "json.csv"):
    train(labels_json, cluster.directory / name)
    check(cluster.directory / name, made_json, f"of NDJSON into {name}")
first = read(cluster.directory / "json.ndjson")[0]
expect_equal({k: first[k] for k in ("label", "note, of it", "amount")}, {k: made_json[0][k] for k in ("label", "note, of it", "amount")})

# ---- a view alone, with a map, as `weir get` has it; and an export ----
keys = cluster.directory / "keys.csv"
rows = [row for row in made[:60] if row["from_account"]]
keys.write_text("account,ts\n" + "".join(f"{r['from_account']},{stamp(r['ts'])}\n" for r in rows))
for before in ([], ["--before"]):
    train(keys, cluster.directory / "view.ndjson", *before, target="spend")
    got = cluster.done("get", "spend", "--keys", keys, "--time", "ts", "--json", *before).objects()
    for one, other in zip(read(cluster.directory / "view.ndjson"), got):
        for name, value in other["features"].items():
            expect_equal(one[name], value, f"{name} of {one}")
moment = stamp(FIRST + 5 * DAY)
cluster.done("export", "shops", "--as-of", moment, "--out", cluster.directory / "shops.ndjson")
exported = read(cluster.directory / "shops.ndjson")
expect_equal([e["shop"] for e in exported], sorted(NAMES))
for one in exported:
    sold = cluster.done("get", "shops", f"shop={one['shop']}", "--as-of", moment, "--json").objects()[0]
    expect_equal(one["sold_7d"], sold["features"]["sold_7d"], one["shop"])

# ---- of a key of two fields, into CSV, at an event's own time and just before, with a ttl ----
PAIRS = {"n_2d": ("count", None, 2 * DAY), "spent_7d": ("sum", "amount", 7 * DAY)}


def pairs_of(as_of):
    """Each row of the export as its text."""
    rows = []
    for shop in sorted(NAMES):
        for account in ACCOUNTS:
            of = [e for e in events if (e["shop"], e["account"]) == (shop, account) and e["time"] <= as_of]
            if not of:
                continue
            n, spent = oracle.values(of, as_of, PAIRS).values()
            if max(e["time"] for e in of) < as_of - 5 * DAY:
                n = spent = None
            each = None if n in (None, 0) or spent is None else spent / n
            rows.append({"shop": shop, "account": account} |
                        {name: "" if value is None else repr(value) for name, value in
                         (("n_2d", n), ("spent_7d", spent), ("each", each))})
    return rows


def export(out, *more):
    cluster.done("export", "pairs", "--out", cluster.directory / out, *more)
    return read(cluster.directory / out)


at_event = sorted(e["time"] for e in events)[len(events) // 3]
for as_of, back, more in ((at_event, 0, []), (at_event, 1, ["--before"]), (LAST + 5 * DAY, 0, [])):
    expect_equal(export("pairs.csv", "--as-of", stamp(as_of), *more), pairs_of(as_of - back), f"{stamp(as_of)} {more}")
expect(any(row["n_2d"] == "" for row in read(cluster.directory / "pairs.csv")), "some are older than the ttl")
chosen = export("chosen.csv", "--as-of", stamp(at_event), "--features", "each,n_2d")
expect_equal([list(row) for row in chosen[:1]], [["shop", "account", "each", "n_2d"]])
expect_equal(chosen, [{name: row[name] for name in ("shop", "account", "each", "n_2d")} for row in pairs_of(at_event)])
for flags, said in ((["--features", "eech"], 'has no feature "eech"; did you mean "each"?'),
                    (["--features", "each,each"], "is asked for twice")):
    run = cluster.weir("export", "pairs", "--as-of", "now", "--out", cluster.directory / "no.csv", *flags)
    expect(run.code == 1 and said in run.err, run)
refused("a service's features", "model", "--spine", labels, "--time", "ts", "--features", "ratio", "--out",
        cluster.directory / "no.csv", said="it says itself")

# A feature more, which makes no other version, and the same again.
pair_spine = cluster.directory / "pair_spine.csv"
pair_spine.write_text("shop,account,ts\n" + "".join(f"{e['shop']},{e['account']},{stamp(e['time'])}\n" for e in events[::9]))
export("then.csv", "--as-of", stamp(at_event))
train(pair_spine, cluster.directory / "pairs_then.csv", target="pairs")
VIEWS = VIEWS.replace("      spent: sum(amount) over 7d\n    derived:", "      top: max(amount) over 1d\n      spent: sum(amount) over 7d\n"
                      "    derived:")
cluster.write({"views.yaml": VIEWS})
expect("~ view pairs: +top_1d" in cluster.done("apply", "--yes").out)
export("again.csv", "--as-of", stamp(at_event), "--version", cluster.directory / "then.csv.weir.json")
train(pair_spine, cluster.directory / "pairs_again.csv", "--version", cluster.directory / "pairs_then.csv.weir.json", target="pairs")
for then, again in (("then.csv", "again.csv"), ("pairs_then.csv", "pairs_again.csv")):
    expect(cluster.directory.joinpath(then).read_bytes() == cluster.directory.joinpath(again).read_bytes(), then)
expect_equal(list(export("newer.csv", "--as-of", stamp(at_event))[0]), ["shop", "account", "n_2d", "top_1d", "spent_7d", "each"])

# ---- the same version, whatever came since ----
whole = out.read_bytes()
send(200)
second = load("second.csv", make(200))
cluster.recompute()
send(50)
train(labels, cluster.directory / "again.csv", "--version", f"{out}.weir.json")
expect(cluster.directory.joinpath("again.csv").read_bytes() == whole, "the same version gives the same bytes")
train(labels, cluster.directory / "newer.csv")
check(cluster.directory / "newer.csv", made, "of all that came since")
expect(cluster.directory.joinpath("newer.csv").read_bytes() != whole, "there is something new")

# ---- memory does not depend on how many rows there are ----
def train_large(rows):
    """Bytes that the command took at most, and those that the batch workers hold."""
    large, large_out = cluster.directory / "large.csv", cluster.directory / "large_out.csv"
    with open(large, "w") as file:
        file.write("id,shop,account,ts\n")
        for at in range(rows):
            file.write(f"{at},{NAMES[at % 3]},{ACCOUNTS[at % 6]},{stamp(FIRST + at * (LAST - FIRST) // rows)}\n")
    command = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "training-set", "pairs", "--spine", large, "--time", "ts", "--out",
                                large_out], stderr=subprocess.PIPE)
    command.stderr.read()
    _, status, used = os.wait4(command.pid, 0)
    expect_equal(status, 0)
    with open(large_out) as file:
        expect_equal(sum(1 for _ in file), rows + 1)
    large.unlink()
    large_out.unlink()
    return used.ru_maxrss << 10


few, many_rows = train_large(40_000), train_large(800_000)
print(f"training sets of 40,000 and 800,000 rows: {few >> 20} and {many_rows >> 20} MiB")
expect(many_rows < few + (24 << 20), "memory grows with the rows:", few, many_rows)

# ---- a batch worker is killed, and another does its part ----
many, made_many = spine("many.csv", 3000)
command = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "training-set", "model", "--spine", many, "--time", "ts", "--out",
                            cluster.directory / "many_out.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wait_for(lambda: command.poll() is not None or os.listdir(cluster.directory / "data/training"), 30, "it has begun")
cluster["batch-worker-1"].kill()
said = command.communicate(timeout=100 * SLOWER)
expect_equal(command.returncode, 0, said)
check(cluster.directory / "many_out.csv", made_many[:300] + made_many[300:], "with a worker killed")
cluster["batch-worker-1"].start()

# ---- the coordinator is killed: it is begun anew, at the same version ----
command = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "training-set", "model", "--spine", many, "--time", "ts", "--out",
                            cluster.directory / "anew.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wait_for(lambda: command.poll() is not None or os.listdir(cluster.directory / "data/training"), 30, "it has begun")
cluster["coordinator"].kill()
cluster["coordinator"].start()
said = command.communicate(timeout=100 * SLOWER)
expect_equal(command.returncode, 0, said)
expect(cluster.directory.joinpath("anew.csv").read_bytes() == cluster.directory.joinpath("many_out.csv").read_bytes(),
       "nothing came between the two")
swept("when both are over")

# ---- Ctrl-C ----
cluster["batch-worker-1"].pause()
cluster["batch-worker-2"].pause()
files = sorted(os.listdir(cluster.directory))
command = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "training-set", "model", "--spine", many, "--time", "ts", "--out",
                            cluster.directory / "stopped.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wait_for(lambda: [n for n in os.listdir(cluster.directory / "data/training") if n.endswith(".spine")], 30, "it has begun")
command.send_signal(signal.SIGINT)
said = command.communicate(timeout=30 * SLOWER)
expect_equal(command.returncode, 130, said)
expect_equal(sorted(os.listdir(cluster.directory)), files, "no half file is left")

# ---- definitions change meanwhile ----
visits = cluster.directory / "visits.csv"
visits.write_text("account,ts\na1,2025-02-20T00:00:00Z\n")
files = sorted([*files, visits.name])
commands = [subprocess.Popen([BIN / "weir", "-C", cluster.directory, name, "read", *flags, "--out", cluster.directory / "mixed.csv"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for name, *flags in (("export", "--as-of", "now"), ("training-set", "--spine", visits, "--time", "ts"))]
for command in commands:
    expect("dataset" in command.stderr.readline(), "it says that it makes a dataset")
cluster.write({"views.yaml": VIEWS.replace("pages: int64", "pages: float64")})
widening = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "apply", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wait_for(lambda: "float64" in cluster.done("show", "visits").out, 30, "the cluster has it")
cluster["batch-worker-1"].resume()
cluster["batch-worker-2"].resume()
said = widening.communicate(timeout=100 * SLOWER)
expect_equal(widening.returncode, 0, said)
for command in commands:
    said = command.communicate(timeout=100 * SLOWER)
    expect(command.returncode == 1 and "run it again" in said[1], command.args[3], said)
expect_equal([name for name in os.listdir(cluster.directory) if "mixed" in name], [], "nothing of two meanings")
swept("after Ctrl-C and what changed")

# ---- Ctrl-C twice: the second ends it at once, and leaves nothing either ----
cluster["batch-worker-1"].pause()
cluster["batch-worker-2"].pause()
command = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "training-set", "model", "--spine", many, "--time", "ts", "--out",
                            cluster.directory / "stopped.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wait_for(lambda: [n for n in os.listdir(cluster.directory / "data/training") if n.endswith(".spine")], 30, "it has begun")
expect(any(n.startswith("stopped.csv.") for n in os.listdir(cluster.directory)), "it has a file that is not whole")
command.send_signal(signal.SIGSTOP)
command.send_signal(signal.SIGINT)
command.send_signal(signal.SIGTERM)
command.send_signal(signal.SIGCONT)
said = command.communicate(timeout=30 * SLOWER)
expect_equal(command.returncode, 130, said)
expect_equal(sorted(os.listdir(cluster.directory)), files, "no half file is left")
cluster["batch-worker-1"].resume()
cluster["batch-worker-2"].resume()

# ---- what is no file is left as it is ----
place = cluster.directory / "place"
os.mkfifo(place)
for words in (["training-set", "model", "--spine", labels, "--time", "ts"], ["export", "shops", "--as-of", moment]):
    for out_word, said, code in ((place, "no regular file", 1), (cluster.directory, "is a directory", 1), ("-", "takes a file", 2),
                                 ("set.parquet", "no parquet", 2)):
        run = cluster.weir(*words, "--out", out_word)
        expect(run.code == code and said in run.err, run)
    run = cluster.weir(*words, "--out", cluster.directory / "there_is_none" / "set.csv")
    expect(run.code == 1 and "there_is_none/set.csv: No such" in run.err, run)
expect(place.is_fifo(), "the fifo is still one")
place.unlink()
expect_equal(sorted(os.listdir(cluster.directory)), files, "nothing was written")

# ---- a small disk ----
if os.environ["WEIR_OWN_MOUNTS"] == "1":
    disk = Path("disk").absolute()
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "weir", disk]).returncode == 0:
        run = cluster.weir("training-set", "model", "--spine", many, "--time", "ts", "--out", disk / "full.csv")
        expect(run.code == 1 and "No space left" in run.err, run)
        expect_equal(os.listdir(disk), [], "what did not fit")

# ---- bad spines ----
bad = cluster.directory / "bad.csv"
bad.write_text("from_account,to_account,shop,amount,ts\na1,a2,acme,1.5,2025-02-20T00:00:00Z\na1,a2,acme,much,2025-02-20T00:00:00Z\n"
               "a1,a2,acme,1.5,soon\na1,a2,acme,1.5,2025-02-20T00:00:00Z\n")
flags = ["--spine", bad, "--time", "ts", "--out", cluster.directory / "bad_out.csv"]
refused("a value that is none", "model", *flags, said="row 2: ")
run = train(bad, cluster.directory / "skipped.csv", "--on-error", "skip")
expect("2 rows" in run.err and "row 2: " in run.err, run)
expect_equal([r["amount"] for r in read(cluster.directory / "skipped.csv")], ["1.5", "1.5"])
refused("no such column", "model", *flags[:2], "--time", "when", *flags[4:], said="no column when")
refused("no key", "spend", *flags, said="no column account")
nameless = cluster.directory / "nameless.ndjson"
nameless.write_text('{"acount": "a1", "ts": "2025-02-20T00:00:00Z"}\n' * 3)
refused("no key in any row", "spend", "--spine", nameless, *flags[2:], said="no column account")
unasked = cluster.directory / "unasked.csv"
unasked.write_text("from_account,to_account,shop,amout,ts\na1,a2,acme,1.5,2025-02-20T00:00:00Z\n")
run = train(unasked, cluster.directory / "unasked_out.csv")
expect("no column amount" in run.err, run)
crooked = cluster.directory / "crooked.csv"
crooked.write_text("from_account,to_account,shop,amount,ts\na1\n")
refused("too few cells", "model", "--spine", crooked, *flags[2:], said="row 1: has 1 values")
refused("no such service", "modell", *flags, said="did you mean 'model'")
refused("no such file", "spend", "--spine", cluster.directory / "view_in.csv", *flags[2:], said="view_in.csv")
clash = cluster.directory / "clash.csv"
clash.write_text("account,n_7d,ts\na1,3,2025-02-20T00:00:00Z\n")
refused("a column that is a feature", "spend", "--spine", clash, *flags[2:], said="--prefix")
train(clash, cluster.directory / "prefixed.csv", "--prefix", "f_", target="spend")
expect("f_n_7d" in read(cluster.directory / "prefixed.csv")[0], "features have the prefix")
empty = cluster.directory / "empty.csv"
empty.write_text("account,ts\n")
train(empty, cluster.directory / "none.csv", target="spend")
expect_equal(len(cluster.directory.joinpath("none.csv").read_text().splitlines()), 1, "no rows, and a head")

# ---- what is gone ----
train(labels, cluster.directory / "third.csv")
run = cluster.weir("loads", "--json")
loads = run.objects()
loads = loads[0]["loads"] if len(loads) == 1 and "loads" in loads[0] else loads
undone = [l["id"] for l in loads if l["name"] == "second.csv"][0]
cluster.done("unload", undone)
refused("a version with a load that was undone", "model", "--spine", labels, *flags[2:], "--version", cluster.directory / "third.csv.weir.json",
        said="a load was undone")
train(labels, cluster.directory / "fourth.csv", "--version", f"{out}.weir.json")
expect(cluster.directory.joinpath("fourth.csv").read_bytes() == whole, "the one from before the load is as it was")
cluster.done("forget", "transfers", "account=a1", "--yes")
refused("a version with an entity that was erased", "model", "--spine", labels, *flags[2:], "--version", f"{out}.weir.json",
        said="an entity was erased")
swept("in the end", 60)  # also of the command that did not say that it ended

# ---- of most keys, block after block of them, nothing was there by then ----
visits = cluster.directory / "visits.csv"
by_then = {f"v{i:05}" for i in range(40_000) if not 5_000 <= i < 35_000}
with visits.open("w") as file:
    file.write("account,pages,at\n")
    for account in (f"v{i:05}" for i in range(40_000)):
        file.writelines(f"{account},1,{stamp(FIRST + (1 if account in by_then else 9) * DAY + i)}\n" for i in range(5))
cluster.done("load", "visits", visits)
cluster.done("export", "read", "--as-of", moment, "--out", cluster.directory / "read.ndjson")
exported = {one["account"]: one["pages"] for one in read(cluster.directory / "read.ndjson") if one["account"][0] == "v"}
expect_equal(exported, dict.fromkeys(by_then, 5), "all keys of then, and no others")
cluster.stop()
