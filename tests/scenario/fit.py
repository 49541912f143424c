"""Numbers of a service's `preprocess` from a training set: nothing raw is answered before, and afterwards every answer is
what Python makes of the training row with fractions, by ==; the numbers stay until something else is asked for."""
import csv
import hashlib
import json
import random
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import oracle
from cluster import DAY, SECOND, Cluster, expect, expect_equal, wait_for
from wire import Refused

TIME_LIMIT = 120

VIEWS = """
streams:
  payments:
    key: user
    time: ts
    fields: {user: string, amount: float64, price: "decimal(9,2)", channel: string, vip: bool, shop: int64,
             ts: {type: timestamp, unit: us}}
views:
  spend:
    from: payments
    features:
      spent: sum(amount) over 7d
      n: count() over 1d
      price: last(price)
      channel: last(channel)
      vip: last(vip)
      shop: last(shop) over 30d
"""
FEATURES = """    views: {of: spend}
    request: {amount: float64}
    features: ["of:spent_7d", "of:n_1d", "of:price", "of:channel", "of:vip", "of:shop_30d", amount, ratio]
    derived: {ratio: amount / of.spent_7d}
"""
STEPS = """    preprocess:
      "of:spent_7d": {impute: median, scale: standard}
      "of:n_1d": {scale: minmax}
      "of:price": {impute: mean, clip: [1, 80], scale: robust}
      "of:channel": {encode: one_hot, impute: none at all}
      "of:vip": {encode: one_hot}
      "of:shop_30d": {encode: ordinal}
      amount: {impute: 4, scale: {mean: 10, stddev: 4}}
"""
RAW = "services:\n  raw:\n" + FEATURES
MODEL = "services:\n  model:\n" + FEATURES + STEPS
NAMES = ["of:spent_7d", "of:n_1d", "of:price", "of:channel", "of:vip", "of:shop_30d", "amount", "ratio"]
FITTED = NAMES[:6]
FIRST = 1_740_000_000 * SECOND
chance = random.Random(7)


# ---- the numbers, by fractions ----

def quartile(values, number):
    values = sorted(Fraction(v) for v in values)
    at, above = divmod((len(values) - 1) * number, 4)
    return values[at] if above == 0 else values[at] + (values[at + 1] - values[at]) * Fraction(above, 4)


def mean(values):
    return sum(map(Fraction, values)) / len(values)


def fit(rows, most=80.0):
    """What becomes of a row, by the rows that are there."""
    def column(name, wanted=float):
        return [wanted(row[name]) for row in rows if row[name] is not None]
    spent = column("of:spent_7d")
    median = float(quartile(spent, 2))
    spent += [median] * (len(rows) - len(spent))
    average = mean(spent)
    stddev = oracle.root(sum((Fraction(v) - average) ** 2 for v in spent) / len(spent))
    least, greatest = min(column("of:n_1d")), max(column("of:n_1d"))
    price = column("of:price")
    price_mean = float(mean(price))
    price = [min(max(v, 1.0), most) for v in price + [price_mean] * (len(rows) - len(price))]
    middle, spread = float(quartile(price, 2)), float(quartile(price, 3) - quartile(price, 1))
    channels = sorted({row["of:channel"] or "none at all" for row in rows})
    shops = sorted(set(column("of:shop_30d", int)))

    def transformed(row):
        out = {"of:spent_7d": ((median if row["of:spent_7d"] is None else row["of:spent_7d"]) - float(average)) / stddev,
               "of:n_1d": (row["of:n_1d"] - least) / (greatest - least)}
        x = price_mean if row["of:price"] is None else float(row["of:price"])
        out["of:price"] = (min(max(x, 1.0), most) - middle) / spread
        for name in channels:
            out[f"of:channel={name}"] = float((row["of:channel"] or "none at all") == name)
        for name in (False, True):
            out[f"of:vip={str(name).lower()}"] = float(row["of:vip"] is name)
        shop = row["of:shop_30d"]
        out["of:shop_30d"] = None if shop is None else float(shops.index(shop)) if shop in shops else -1.0
        out["amount"] = ((4.0 if row["amount"] is None else row["amount"]) - 10.0) / 4.0
        out["ratio"] = row["ratio"]
        return out
    return transformed


# ---- asking ----

def ask(view, asked):
    """The values by name, and the whole reply, once it is complete."""
    body = {"view": view, "keys": [{"user": user, "amount": amount} for user, amount, _ in asked],
            "as_ofs": [at for _, _, at in asked], "deadline_ms": 30000}

    def answered():
        client = cluster.serving()
        reply = client.ask("get", body, seconds=60)
        client.close()
        return reply if all(result["complete"] for result in reply["results"]) else None
    reply = wait_for(answered, 60, "an answer that is complete")
    return [dict(zip(reply["features"], result["values"])) for result in reply["results"]], reply


def write_set(path, rows, **more):
    """As CSV, with a column more than the service has; a null is nothing, and a text that is empty is quoted."""
    def cell(value):
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        return '"' + value + '"' if isinstance(value, str) else repr(value)
    names = ["label"] + list(reversed(NAMES))
    lines = [",".join(names)] + [",".join(cell(({"label": "x"} | row | more)[name]) for name in names) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


cluster = Cluster({"views.yaml": VIEWS, "raw.yaml": RAW, "model.yaml": MODEL}).start()
load = cluster.directory / "load.csv"
with load.open("w", newline="") as file:
    out = csv.writer(file)
    out.writerow(["user", "amount", "price", "channel", "vip", "shop", "ts"])
    for n in range(4000):
        out.writerow([f"u{chance.randrange(60)}", chance.choice([0.1, 0.2, 1e6, -5.0, 3.25]) * chance.randrange(1, 90),
                      chance.choice(["", "0.50", "12.25", "79.99", "300.00"]),
                      chance.choice(["", "web", "app", "post, and so on", "Käse"]), chance.choice(["", "true", "false"]),
                      chance.choice(["", "7", "-3", "20", "11"]), FIRST + n * 90 * SECOND])
cluster.done("load", "payments", load)
cluster.recompute()
spine = [(f"u{chance.randrange(66)}", chance.choice([None, 2.5, 40.0]), FIRST + chance.randrange(5 * DAY))
         for _ in range(700)]
raw, _ = ask("raw", spine)
training, others = raw[:400], raw[400:]
expect(any(row["of:spent_7d"] is None for row in training), "some have no events")

# Before it is fitted: null with the reason, and the rest as ever.
applied = cluster.weir("check")
expect("service model: 6 of its features are answered as null" in applied.err, applied)
answers, reply = ask("model", spine)
expect_equal(reply["version"], "v1")
for answer, row, result in zip(answers, raw, reply["results"]):
    expect_equal(set(result["errors"]), set(FITTED))
    expect_equal(result["errors"]["of:vip"], "of:vip: not fitted yet in model@v1: weir fit model --on TRAINING_SET")
    expect(all(answer[name] is None for name in FITTED), answer)
    expect_equal(answer["ratio"], row["ratio"])
    expect_equal(answer["amount"], ((4.0 if row["amount"] is None else row["amount"]) - 10.0) / 4.0)
expect("6 features are answered as null until fitted" in cluster.done("show", "model").out)

# What nothing can be fitted to.
path = cluster.directory / "wrong.csv"
for what, told in [(training[:3] + [training[3] | {"of:spent_7d": float("nan")}],
                    "wrong.csv: row 4: column of:spent_7d: NaN: numbers are fitted to finite values alone"),
                   ([training[0], training[1] | {"of:shop_30d": "seven"}], "row 2: column of:shop_30d: 'seven' is not an int64"),
                   ([row | {"of:price": None} for row in training], "of:price: null in all 400 rows"),
                   ([row | {"of:channel": f"c{n}"} for n, row in enumerate(training)], "of:channel: 400 different values, and at most"),
                   ([], "wrong.csv has no rows")]:
    run = cluster.weir("fit", "model", "--on", write_set(path, what), "--yes")
    expect(run.code == 1 and told in run.err, told, run)
path.write_text(write_set(path, training).read_text().replace("of:n_1d", "of:n_2d", 1))
run = cluster.weir("fit", "model", "--on", path, "--yes")
expect(run.code == 1 and 'no column "of:n_1d", but "of:n_2d"' in run.err, run)
run = cluster.weir("fit", "raw", "--on", path, "--yes")
expect(run.code == 1 and "service raw has nothing to fit" in run.err, run)
run = cluster.weir("fit", "modell", "--on", path)
expect(run.code == 1 and 'did you mean "model"?' in run.err, run)
run = cluster.weir("fit", "spend", "--on", path)
expect(run.code == 1 and "spend is a view" in run.err and "did you mean" not in run.err, run)
expect_equal(cluster.weir("fit", "model").code, 2)

# Fitted: all answers are those of the fractions, of rows that it was fitted to and of others.
path = training_csv = write_set(cluster.directory / "training.csv", training)
run = cluster.done("fit", "model", "--on", path, "--dry-run")
expect("version 2 follows 1" in run.out and "would be fitted" in run.out, run.out)
numbers = re.search("preprocessing with these numbers: SHA-256 ([0-9a-f]{64})", run.out)[1]
expect_equal(ask("model", spine)[1]["version"], "v1")
run = cluster.done("fit", "model", "--on", path, "--yes", "-m", "the first")
expect("+of:channel=web" in run.out and "version 2 follows 1" in run.out, run.out)
told = {one["version"]: one for one in json.loads(cluster.done("versions", "model", "--json").out)["versions"]}
expect_equal((told[1].get("preprocess"), told[2]["preprocess"]), (None, numbers), "what identifies the numbers")
expect("of:channel=web" in told[2]["features"] and "of:channel" in told[1]["features"], told)


def check(what, version, transformed, but=(), name="model"):
    answers, reply = ask(name, spine)
    expect_equal(reply["version"], version, what)
    for answer, row, result in zip(answers, raw, reply["results"]):
        wanted = transformed(row)
        expect_equal(list(answer), list(wanted), what)
        for name, value in wanted.items():
            expect_equal(answer[name], None if name in but else value, f"{name} of {row} {what}")
        expect_equal(set(result.get("errors", {})), set(but), what)


def is_version(version):
    def look():
        try:
            return ask("model", spine[:1])[1]["version"] == version
        except Refused:  # a node that has just started has no definitions yet
            return False
    return look


transformed = fit(training)
wait_for(is_version("v2"), 20, "the fitted version is answered")
check("after it was fitted", "v2", transformed)
[shown] = cluster.done("show", "model", "--json").objects()
expect_equal(shown["fitted"], {"on": hashlib.sha256(path.read_bytes()).hexdigest(), "rows": 400})
expect_equal(shown["version"], "v2")
expect("numbers were fitted to 400 rows, SHA-256 " in cluster.done("show", "model").out)

# The same rows give the same numbers, in any order; the same files change nothing.
run = cluster.done("fit", "model", "--on", path, "--yes")
expect("the numbers are what they were" in run.out, run.out)
run = cluster.done("fit", "model", "--on", write_set(cluster.directory / "other.csv", training[::-1]), "--yes")
expect("what it answers stays the same" in run.out, run.out)
run = cluster.done("apply", "--yes")
expect("nothing changes" in run.out, run.out)
cluster["coordinator"].kill()
cluster["coordinator"].start()
cluster.wait_ready()
for node in ("speed-worker-1", "serving-1"):
    cluster[node].kill()
    cluster[node].start()
cluster.wait_ready()
wait_for(is_version("v2"), 20, "the nodes are there again")
check("after kill -9 of all", "v2", transformed)

# One feature is to be something else: its numbers go, and no others.
cluster.write({"model.yaml": MODEL.replace("clip: [1, 80]", "clip: [1, 90]")})
run = cluster.done("apply", "--yes")
expect("of:price has to be fitted again" in run.out and "version 3 follows 2" in run.out, run.out)
expect("which is served as before until it is fitted" in run.out, run.out)
check("while its successor waits to be fitted", "v2", transformed)
check("of the one that waits, when it is named", "v3", transformed, but=["of:price"], name="model@v3")
waits = "the numbers of 1 feature: weir fit model --on TRAINING_SET"
status = cluster.done("status").out
expect(f"model@v3 is answered only when it is named; it waits for {waits}" in status, status)
told = cluster.done("versions", "model").out
expect(f"model@v3 waits for {waits}" in told, told)
run = cluster.weir("promote", "model@v3")
expect(run.code == 1 and "model@v3 lacks the numbers of 1 of its features" in run.err, run)
cluster.write({"model.yaml": MODEL})
run = cluster.done("apply", "--yes")
expect("without numbers" not in run.out and "version 4 follows 3" in run.out, run.out)
wait_for(is_version("v4"), 20, "the version is as it was")
check("after it was changed back", "v4", transformed)
expect("waits for" not in cluster.done("status").out)

# Other rows, other numbers: categories that they lack are none, and values that they lack are told so.
fewer = [row for row in others if row["of:channel"] != "Käse" and row["of:shop_30d"] != 7][:150]
run = cluster.done("fit", "model", "--on", write_set(path, fewer), "--yes", "--json")
expect_equal([change["change"] for change in json.loads(run.out)["changes"] if change["name"] == "model"], ["alter"])
wait_for(is_version("v5"), 20, "the version of the other rows is answered")
check("fitted to others", "v5", fit(fewer))

# All of it with the cluster's own training sets: as it is before it is preprocessed, fitted to, and made again: what is
# in it then is what is answered, by ==.
file = cluster.directory / "spine.csv"
file.write_text("label,user,amount,at\n" + "".join(
    f"{n},{user},{'' if amount is None else amount},{datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at):%Y-%m-%dT%H:%M:%S.%fZ}\n"
    for n, (user, amount, at) in enumerate(spine)))
spine_words = ("--spine", file, "--time", "at")
cluster.write({"model.yaml": MODEL.replace("clip: [1, 80]", "clip: [1, 70]")})
cluster.done("apply", "--yes")
refused = cluster.weir("training-set", "model@v6", *spine_words, "--out", cluster.directory / "no.csv")
expect(refused.code == 1 and "1 feature of service model is not fitted yet" in refused.err, refused)
path = cluster.directory / "raw.csv"
cluster.done("training-set", "model@v6", *spine_words, "--raw", "--out", path)
# Sets that say of themselves that they are others: preprocessed, of a feature that meant something else, of a version that is gone.
other = cluster.directory / "other.csv"
cluster.done("training-set", "model", *spine_words, "--prefix", "x:", "--out", other)
run = cluster.weir("fit", "model", "--on", other, "--yes")
expect(run.code == 1 and "is the preprocessed set of model@v5; make it with `weir training-set model@v6 --raw`" in run.err, run)
cluster.done("training-set", "model@v5", *spine_words, "--raw", "--out", other)
run = cluster.done("fit", "model", "--on", other, "--dry-run")  # only steps are others in version 6
expect("would be fitted" in run.out, run)
told = cluster.directory / "other.csv.weir.json"
told.write_text(told.read_text().replace('"model": 5', '"model": 99'))
run = cluster.weir("fit", "model", "--on", other, "--yes")
expect(run.code == 1 and "is a set of model@v99, which is not there any more; make it with" in run.err, run)
cluster.done("fit", "model", "--on", path, "--yes")
wait_for(is_version("v7"), 20, "the version of the training set is answered")
check("fitted to a training set", "v7", fit(raw, 70.0))
path = cluster.directory / "transformed.csv"
cluster.done("training-set", "model", *spine_words, "--prefix", "x:", "--out", path)
answers, _ = ask("model", spine)
with path.open(newline="") as file:
    for row, answer in zip(csv.DictReader(file), answers, strict=True):
        for name, value in answer.items():
            expect_equal(float(row[f"x:{name}"]) if row[f"x:{name}"] else None, value, name)

# ---- what a version was made of, and its model, when another is active ----
other, again, whole, model = (cluster.directory / name for name in ("of-v5.csv", "again.csv", "whole.csv", "model.bin"))
cluster.done("training-set", "model@v5", *spine_words, "--raw", "--out", other)
cluster.done("training-set", "model", *spine_words, "--raw", "--version", f"{other}.weir.json", "--out", again)
expect(again.read_bytes() == other.read_bytes(), "the set of version 5 is made again under version 7")
model.write_bytes(b"coefficients")
cluster.done("training-set", "model@v5", *spine_words, "--prefix", "x:", "--out", whole)
run = cluster.weir("model", "add", "model@v5", model, "--training-set", other)
expect(run.code == 1 and "was made with --raw" in run.err, run)
run = cluster.weir("model", "add", "model@v7", model, "--training-set", whole)
expect(run.code == 1 and "the training set is not of model@v7" in run.err, run)
cluster.done("model", "add", "model@v5", model, "--training-set", whole)
[told] = [one for one in json.loads(cluster.done("versions", "model", "--json").out)["versions"] if one["version"] == 5]
said = {one["name"]: one["value"] for one in told["annotations"]}
expect_equal(said["model_sha256"], hashlib.sha256(b"coefficients").hexdigest())
expect_equal(said["training_set_sha256"], hashlib.sha256(whole.read_bytes()).hexdigest())
expect(said["training_set_datasets"].startswith("payments/user d"), said)
expect_equal(said["preprocess_sha256"], told["preprocess"])
run = cluster.done("model", "add", "model@v5", path, "--training-set", training_csv, "--as", "challenger")
expect("there is no" in run.err and "is not known" in run.err, run)
[told] = [one for one in json.loads(cluster.done("versions", "model", "--json").out)["versions"] if one["version"] == 5]
beside = {one["name"]: one["value"] for one in told["annotations"]}
expect_equal({name: value for name, value in beside.items() if name in said}, said, "the first model stays")
expect_equal(beside["challenger_training_set_sha256"], hashlib.sha256(training_csv.read_bytes()).hexdigest())
with whole.open("a") as file:
    file.write("one more\n")
run = cluster.weir("model", "add", "model@v5", model, "--training-set", whole)
expect(run.code == 1 and "was changed since it was made" in run.err, run)

# Two at once: one of them is for a version that is not there any more.
definitions = cluster.ask_coordinator("definitions")
text = [one["text"] for one in definitions["objects"] if one["name"] == "model"][-1]  # the newest
for version, other, told in [(4, text, "it has version 7 by now, and the numbers are for version 4"),
                             (7, text.replace("clip", "klip"), "unknown key 'klip'"),
                             (7, text.replace("- 70.0", "- 81.0"), "more than its numbers would change"),
                             (7, MODEL, "more than its numbers would change")]:
    client = cluster.coordinator()
    try:
        client.ask("fit", {"service": "model", "version": version, "text": other})
        expect(False, "it is refused", told)
    except Refused as error:
        expect(error.status == "invalid" and told in str(error), told, error)
    client.close()
check("after what was refused", "v7", fit(raw, 70.0))
# What was answered before goes on beside it.
check("of the first numbers", "v2", transformed, name="model@v2")
check("of other rows", "v5", fit(fewer), name="model@v5")
cluster.stop()
