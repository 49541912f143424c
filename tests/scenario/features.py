"""Every clause of a feature, derived features and requests, lists, maps and global features: loaded, sent,
recomputed, and compared with what a plain evaluation in Python and weir-oracle give, to the last bit."""

import json
import math
import random
import subprocess
from datetime import datetime, timezone
from fractions import Fraction

from cluster import BIN, DAY, HOUR, SECOND, Cluster, expect, expect_equal

TIME_LIMIT = 120

DEFINITIONS = """
streams:
  payments:
    key: user_id
    time: ts
    fields:
      user_id: {type: string, required: true}
      merchant: string
      amount: float64
      items: int64
      status: string
      ts: {type: timestamp, unit: us}
  visits:
    key: [user_id, item_id]
    time: ts
    fields: {user_id: string, item_id: int64, huge: int64, ts: {type: timestamp, unit: us}}
  ticks:
    key: []
    time: ts
    fields: {id: string, price: float64, ts: {type: timestamp, unit: us}}

views:
  users:
    from: payments
    where: status is distinct from 'declined'
    request: {amount: float64, note: string, at: {type: timestamp, unit: s}}
    features:
      n: count() over 1h, 24h, 7d, lifetime
      known: count(amount) over 7d
      spend: sum(amount) where amount > 0 over 24h, 7d default 0
      spend_prev: sum(amount) over 7d delay 7d
      mean: mean(amount) over 5 rows, 20 rows in 7d, 30d
      items: sum(items) over 5 rows in 1d delay 1d
      by_merchant: sum(amount) by merchant over 24h, lifetime
      by_items: count() by items % 3 over 7d delay 1d
      by_rows: count() by merchant over 10 rows
      by_many: max(amount) where items <> 2 by items > 4 over 30d
      latest: last_k(merchant, 3) over 30d
      latest_at: last_k(amount, 2) by merchant over 30d
      spread: histogram(items) over 7d
      usual: top_k(items, 2) over 30d
      shops: count_distinct(merchant) over 7d
      stays: session_count(6h) over 30d
      longest: session_duration_max(6h) over 30d
      together: covariance(amount, items) over 30d
      shop: last(merchant) over 1d default 'nobody'
      first: first(ts)
      last: {expr: last(ts), description: the latest, owner: shop, tags: [a, b]}
    derived:
      late: growth > 0.0
      growth: {expr: spend_7d / spend_prev_7d_delay7d - 1, default: -1, owner: shop}
      days: (now - last) / 1d
      ratio: amount / mean_30d
      noted: coalesce(note, shop_1d)
      since: (now - at) / 1h
  pairs:
    from: visits
    features:
      n: count() over 1d, lifetime
      total: sum(huge)
      last: last(ts)
    derived:
      half: total / 2
      rate: n_1d / n_lifetime
  market:
    from: ticks
    features:
      high: max(price) over 1d
      ids: count() by id
    derived:
      twice: high_1d * 2
"""

FIRST = 1_740_000_000 * SECOND  # 2025-02-19
SPAN = 40 * DAY
USERS = [f"u{i}" for i in range(6)]
AS_OF = FIRST + SPAN

chance = random.Random(7)


# ---- events ----

def payments(count, since):
    """Times are unique, so that which is last or among the newest depends on no position."""
    rows = []
    for _ in range(count):
        rows.append({
            "user_id": chance.choice(USERS),
            "merchant": chance.choice(["m0", "m1", "m2", "it's", "", None]),
            "amount": None if chance.random() < 0.1 else chance.choice([0.1, 0.2, 1e9, -5.0, 3.25])
            * chance.randrange(1, 50),
            "items": None if chance.random() < 0.1 else chance.randrange(10),
            "status": chance.choice(["ok", "ok", "declined", None]),
            "ts": fresh_time(since)})
    return rows


used = set()


def fresh_time(since):
    while True:
        time = chance.randrange(since, AS_OF + DAY, 1000)
        if time not in used:
            used.add(time)
            return time


def write_csv(path, rows):
    def cell(value):
        return "" if value is None else '"' + value.replace('"', '""') + '"' \
            if isinstance(value, str) else repr(value)
    names = list(rows[0])
    path.write_text("\n".join([",".join(names)] + [",".join(cell(r[n]) for n in names)
                                                   for r in rows]) + "\n")


# ---- what features must be ----

def rfc3339(time):
    return datetime.fromtimestamp(time // SECOND, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + \
        f".{time % SECOND:06d}Z"


def window(rows, as_of, length=None, delay=0, newest=None, where=lambda r: True):
    right = as_of - delay
    found = [r for r in rows if r["ts"] <= right and (length is None or r["ts"] > right - length)
             and where(r)]
    found.sort(key=lambda r: r["ts"])
    return found[-newest:] if newest else found


def values(rows, field):
    return [r[field] for r in rows if r[field] is not None]


def total(numbers):
    if not numbers:
        return None
    return sum(numbers) if isinstance(numbers[0], int) else math.fsum(numbers)


def mean(numbers):
    return float(sum(map(Fraction, numbers)) / len(numbers)) if numbers else None


def grouped(rows, key, what):
    """A map as JSON has it; null when there is nothing in it."""
    groups = {}
    for row in rows:
        name = key(row)
        if name is not None:
            groups.setdefault(name, []).append(row)
    found = {name: what(groups[name]) for name in sorted(groups)}
    found = {name: value for name, value in found.items() if value is not None}
    return {json.dumps(name) if not isinstance(name, str) else name: value
            for name, value in found.items()} or None


def counted(found):
    counts = {}
    for value in found:
        counts[value] = counts.get(value, 0) + 1
    return {str(value): counts[value] for value in sorted(counts)} or None


def most_frequent(found, count):
    return sorted(set(found), key=lambda value: (-found.count(value), value))[:count] or None


def sessions(rows, gap):
    """Of chains of events at most `gap` apart: their durations."""
    chains = []
    for row in rows:
        if chains and row["ts"] - chains[-1][-1] <= gap:
            chains[-1].append(row["ts"])
        else:
            chains.append([row["ts"]])
    return [chain[-1] - chain[0] for chain in chains]


def covariance(pairs):
    n = len(pairs)
    if n < 2:
        return None
    x, y = [Fraction(a) for a, _ in pairs], [Fraction(b) for _, b in pairs]
    return float((n * sum(a * b for a, b in zip(x, y)) - sum(x) * sum(y)) / (n * (n - 1)))


def divided(a, b):
    return None if a is None or b is None or b == 0 else float(a) / float(b)


def expected_user(rows, as_of, request):
    rows = [r for r in rows if r["status"] != "declined"]

    def of(*what, **more):
        return window(rows, as_of, *what, **more)

    def spent(found):
        return total(values(found, "amount"))

    def positive(row):
        return row["amount"] is not None and row["amount"] > 0

    shops = values(of(DAY), "merchant")
    spend_7d = spent(of(7 * DAY, where=positive)) or 0.0
    mean_30d = mean(values(of(30 * DAY), "amount"))
    previous = spent(of(7 * DAY, delay=7 * DAY))
    growth = divided(spend_7d, previous)
    growth = -1.0 if growth is None else growth - 1
    last = max((r["ts"] for r in of()), default=None)
    shop = shops[-1] if shops else "nobody"
    note, at = request.get("note"), request.get("at")
    return {
        "n_1h": len(of(HOUR)), "n_24h": len(of(DAY)), "n_7d": len(of(7 * DAY)),
        "n_lifetime": len(of()), "known_7d": len(values(of(7 * DAY), "amount")),
        "spend_24h": spent(of(DAY, where=positive)) or 0.0, "spend_7d": spend_7d,
        "spend_prev_7d_delay7d": previous,
        "mean_5rows": mean(values(of(newest=5), "amount")),
        "mean_20rows_7d": mean(values(of(7 * DAY, newest=20), "amount")), "mean_30d": mean_30d,
        "items_5rows_1d_delay1d": total(values(of(DAY, delay=DAY, newest=5), "items")),
        "by_merchant_24h": grouped(
            [r for r in of(DAY) if r["amount"] is not None], lambda r: r["merchant"], spent),
        "by_merchant_lifetime": grouped(
            [r for r in of() if r["amount"] is not None], lambda r: r["merchant"], spent),
        "by_items_7d_delay1d": grouped(
            of(7 * DAY, delay=DAY), lambda r: None if r["items"] is None else r["items"] % 3, len),
        "by_rows_10rows": grouped(of(newest=10), lambda r: r["merchant"], len),
        "by_many_30d": grouped(
            [r for r in of(30 * DAY) if r["items"] not in (None, 2) and r["amount"] is not None],
            lambda r: r["items"] > 4, lambda found: max(values(found, "amount"))),
        "latest_30d": values(of(30 * DAY), "merchant")[:-4:-1] or None,
        "latest_at_30d": grouped(
            [r for r in of(30 * DAY) if r["amount"] is not None], lambda r: r["merchant"],
            lambda found: values(found, "amount")[:-3:-1]),
        "spread_7d": counted(values(of(7 * DAY), "items")),
        "usual_30d": most_frequent(values(of(30 * DAY), "items"), 2),
        "shops_7d": len(set(values(of(7 * DAY), "merchant"))),
        "stays_30d": len(sessions(of(30 * DAY), 6 * HOUR)),
        "longest_30d": max((s / SECOND for s in sessions(of(30 * DAY), 6 * HOUR)), default=None),
        "together_30d": covariance([(r["amount"], r["items"]) for r in of(30 * DAY)
                                    if r["amount"] is not None and r["items"] is not None]),
        "shop_1d": shop,
        "first": rfc3339(min(r["ts"] for r in of())) if of() else None,
        "last": None if last is None else rfc3339(last),
        "late": growth > 0, "growth": growth,
        "days": None if last is None else (as_of - last) / DAY,
        "ratio": divided(request.get("amount"), mean_30d),
        "noted": shop if note is None else note,
        "since": None if at is None else (as_of - at * SECOND) / HOUR}


# ---- comparing ----

def check_users(cluster, rows, as_ofs):
    keys = []
    for as_of in as_ofs:
        for user in USERS + ["nobody"]:
            keys.append({"user_id": user, "when": rfc3339(as_of),
                         "amount": chance.choice([None, 12.5, -3.0]),
                         "note": chance.choice([None, "a, \"b\""]),
                         "at": chance.choice([None, FIRST // SECOND])})
    path = cluster.directory / "keys.csv"
    write_csv(path, keys)
    run = cluster.done("get", "users", "--keys", path, "--time", "when", "--request", "amount",
                       "--request", "note", "--request", "at", "--json")
    answers = run.objects()
    expect_equal(len(answers), len(keys), "answers")
    by_user = {user: [r for r in rows if r["user_id"] == user] for user in USERS}
    for i, (key, answer) in enumerate(zip(keys, answers)):
        as_of = as_ofs[i // (len(USERS) + 1)]
        expected = expected_user(by_user.get(key["user_id"], []), as_of, key)
        expect(answer["complete"] and "errors" not in answer, answer)
        expect_equal(list(answer["features"]), list(expected), "the features' order")
        for name, value in expected.items():
            expect_equal(answer["features"][name], value, f"{name} of {key}")
            if isinstance(value, dict):
                expect_equal(list(answer["features"][name]), list(value), f"keys of {name}")


ORACLE = [  # what weir-oracle can say in its words
    "n_7d: count() over 7d", "spend_7d: sum(amount) where amount > 0 over 7d",
    "spend_prev_7d_delay7d: sum(amount) over 7d delay 7d", "mean_5rows: mean(amount) over 5 rows",
    "mean_20rows_7d: mean(amount) over 20 rows in 7d",
    "items_5rows_1d_delay1d: sum(items) over 5 rows in 1d delay 1d",
    "by_merchant_24h: sum(amount) by merchant over 24h",
    "by_merchant_lifetime: sum(amount) by merchant",
    "by_rows_10rows: count() by merchant over 10 rows", "latest_30d: last_k(merchant, 3) over 30d",
    "latest_at_30d: last_k(amount, 2) by merchant over 30d", "spread_7d: histogram(items) over 7d",
    "usual_30d: top_k(items, 2) over 30d", "shops_7d: count_distinct(merchant) over 7d",
    "stays_30d: session_count(6h) over 30d", "together_30d: covariance(amount, items) over 30d",
    "last: last(ts)"]


def check_by_oracle(cluster, rows, as_ofs):
    """The same from weir-oracle, whose words have no defaults: null is 0 there."""
    keys, events = cluster.directory / "questions.csv", cluster.directory / "events.csv"
    write_csv(keys, [{"user_id": user, "when": rfc3339(as_of)} for as_of in as_ofs
                     for user in USERS])
    write_csv(events, rows)
    run = subprocess.run(
        [BIN / "weir-oracle", "--fields", "user_id:string,merchant:string,amount:float64,"
         "items:int64,status:string,ts:timestamp.us", "--key", "user_id", "--time", "ts",
         "--where", "status is distinct from 'declined'", "--events", events, "--queries", keys,
         "--as-of", "when", *ORACLE], text=True, capture_output=True, check=True)
    wanted = [json.loads(line)["features"] for line in run.stdout.splitlines()]
    answers = cluster.done("get", "users", "--keys", keys, "--time", "when", "--json").objects()
    expect_equal(len(answers), len(wanted), "answers")
    for answer, expected in zip(answers, wanted):
        for name, value in expected.items():
            value = 0.0 if value is None and name == "spend_7d" else value
            expect_equal(answer["features"][name], value, f"{name} of {answer['key']}")


def some_times():
    times = [AS_OF, AS_OF - 7 * DAY, FIRST + 3 * DAY, AS_OF + 5 * DAY]
    edges = sorted(used)
    times += [chance.choice(edges) + shift for shift in
              (0, -1, HOUR, DAY - 1, DAY, 7 * DAY - 1, 7 * DAY, 8 * DAY - 1, 8 * DAY)]
    return times + [chance.randrange(FIRST, AS_OF + 2 * DAY) for _ in range(4)]


cluster = Cluster({"features.yaml": DEFINITIONS}).start()
history, live = cluster.directory / "history.csv", cluster.directory / "live.csv"
rows = payments(600, FIRST)
write_csv(history, rows)
cluster.done("load", "payments", history)
check_users(cluster, rows, some_times())
for round in range(3):
    more = payments(150, FIRST if round == 1 else AS_OF - 3 * DAY)
    write_csv(live, more)
    cluster.done("send", "payments", live)
    rows += more
    check_users(cluster, rows, some_times())
    check_by_oracle(cluster, rows, some_times())
    if round < 2:
        cluster.recompute()
        check_users(cluster, rows, some_times())

# Composite keys; a feature that cannot be computed takes what is derived from it with it.
visits = [{"user_id": f"u{i % 2}", "item_id": i % 3, "huge": 2**62 if i % 2 else 1,
           "ts": FIRST + i * HOUR} for i in range(24)]
write_csv(live, visits)
cluster.done("send", "visits", live)
for recomputed in range(2):
    run = cluster.weir("get", "pairs", "item_id=1", "user_id=u1", "--as-of", rfc3339(FIRST + DAY), "--json")
    expect_equal(run.code, 4, "a feature could not be computed")
    [pair] = run.objects()
    wanted = [v for v in visits if v["user_id"] == "u1" and v["item_id"] == 1]
    expect_equal(pair["key"], {"user_id": "u1", "item_id": 1})
    expect_equal(pair["features"], {"n_1d": len([v for v in wanted if v["ts"] > FIRST]),
                                    "n_lifetime": len(wanted), "total": None,
                                    "last": rfc3339(wanted[-1]["ts"]), "half": None, "rate": 1.0})
    expect_equal(sorted(pair["errors"]), ["half", "total"])
    expect_equal(pair["errors"]["half"], "half: it needs total, which could not be computed")
    alone = cluster.done("get", "pairs:rate", "item_id=0", "user_id=u0", "--as-of",
                         rfc3339(FIRST + DAY), "--json").objects()[0]
    expect_equal(alone["features"], {"rate": 0.75})
    cluster.recompute()
expect_equal(cluster.weir("get", "pairs", "user_id=u1").code, 1, "half a key")

# A global view, and a map that is capped and says so.
ticks = [{"id": f"i{i}", "price": i / 8, "ts": FIRST + i * SECOND} for i in range(1200)]
write_csv(live, ticks)
cluster.done("load", "ticks", live)
market = cluster.done("get", "market", "--as-of", rfc3339(FIRST + HOUR), "--json").objects()[0]
expect_equal(market["key"], {})
expect_equal(market["features"]["high_1d"], 1199 / 8, market)
expect_equal(market["features"]["twice"], 1199 / 4, market)
kept = market["features"]["ids"]
expect_equal(len(kept), 1000, "keys that are kept")
expect(set(kept) < {t["id"] for t in ticks} and set(kept.values()) == {1}, kept)
expect_equal(market["capped"], {"ids": {"keys": 1000, "total": 1200}})
page = cluster.done("get", "market:ids", "--as-of", rfc3339(FIRST + HOUR)).out
expect(page.startswith("market v1, as of "), page[:100])
expect(', ... 1000 in all}\n' in page and max(map(len, page.splitlines())) < 200, page[:300])
expect("capped: ids: there are more keys than the 1000 kept; all have 1200 rows" in page, page[-300:])

# What is asked for wrongly.
wrong = cluster.weir("get", "users", "user_id=u1", "--request", "amuont=1")
expect(wrong.code == 1 and "did you mean 'amount'" in wrong.err, wrong)
wrong = cluster.weir("get", "users", "user_id=u1", "--request", "amount=much")
expect(wrong.code == 1 and "takes a float64" in wrong.err, wrong)
expect_equal(cluster.weir("get", "users", "user_id=u1", "--request", "amount").code, 2)
wrong = cluster.weir("get", "users", "--keys", history, "--request", "amuont")
expect(wrong.code == 1 and 'no column "amuont"' in wrong.err, wrong)

keys = cluster.directory / "few.csv"
keys.write_text("user_id,much\nu1,1\nu2,\n")
wrong = cluster.weir("get", "users", "--keys", keys, "--request", "note=x", "--json")
expect(wrong.code == 1 and "'much' is not a field of the view's key" in wrong.err, wrong)
keys.write_text("user_id,amount\nu1,2.5\nu2,\n")
run = cluster.done("get", "users", "--features", "noted,ratio,mean_30d", "--keys", keys, "--request", "note=x",
                   "--request", "amount", "--as-of", rfc3339(AS_OF), "--json")
[one, two] = [answer["features"] for answer in run.objects()]
expect_equal((one["noted"], two["noted"], two["ratio"]), ("x", "x", None), "a value for every row")
expect_equal(one["ratio"], divided(2.5, one["mean_30d"]), "a value of the row")

# What is told of features.
listed = {f["name"]: f for f in cluster.done("list", "features", "--json").objects()
          if f["view"] == "users"}
expect_equal(listed["last"], {"view": "users", "name": "last", "type": "timestamp",
                              "description": "the latest", "owner": "shop", "tags": ["a", "b"]})
expect_equal(listed["by_merchant_24h"]["type"], "map<string,float64>")
expect_equal(listed["latest_at_30d"]["type"], "map<string,list<float64>>")
expect_equal(listed["spread_7d"]["type"], "map<int64,int64>")
expect_equal(listed["growth"]["owner"], "shop")
shown = cluster.done("show", "users").out
expect("shop   a, b  the latest" in shown, shown)
expect("advice" not in cluster.done("check", cluster.directory).err)
cluster.stop()
