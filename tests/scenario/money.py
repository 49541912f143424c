"""Exact money: decimals by load, by send and by message, in features, keys, maps and answers,
against Python's Decimal by ==."""

import time
from decimal import Decimal, getcontext

from cluster import Cluster, expect, expect_equal

TIME_LIMIT = 120

DEFINITIONS = """
streams:
  payments:
    key: user_id
    time: ts
    fields:
      user_id: {type: string, required: true}
      amount: decimal(12,2)
      fee: decimal(38,6)
      ts: {type: timestamp, unit: ms}
      net: {expr: amount - fee}
  prices:
    key: price
    time: ts
    fields:
      price: decimal(9,2)
      ts: timestamp
views:
  spend:
    from: payments
    request: {price: "decimal(9,2)"}
    features:
      n: count() where amount > 10.10
      total: sum(amount) over 1d, lifetime
      fees: sum(fee)
      net: sum(net) default 0
      tax: sum(amount * 0.19)
      average: mean(amount)
      spread: range(amount)
      least: min(amount)
      first: first(amount)
      by_amount: count() by amount
      largest: max_k(amount, 2)
    derived:
      share: total_1d / total_lifetime
      rest: total_lifetime - net
      left: least - price
      rounded: cast(total_lifetime as decimal(12,0))
  seen:
    from: prices
    features:
      n: count()
"""

getcontext().prec = 100
cluster = Cluster({"payments.yaml": DEFINITIONS}).start()
history, live = cluster.directory / "history.csv", cluster.directory / "live.ndjson"
rows = [("10.10", "0.000001"), ("10.1", "0.1"), ("0.20", "31234567890123456789012345678901.5"),
        ("-3", "0"), ("9999999999.99", "-31234567890123456789012345678901.500001"), ("1.05e1", "2e0")]
history.write_text("user_id,amount,fee,ts\n" + "".join(
    f"u1,{amount},{fee},2025-03-01T1{i}:00:00Z\n" for i, (amount, fee) in enumerate(rows[:3])))
# A number of JSON keeps every digit.
live.write_text("".join(
    f'{{"user_id": "u1", "amount": {amount}, "fee": {fee}, "ts": "2025-03-01T1{i + 3}:00:00Z"}}\n'
    for i, (amount, fee) in enumerate(rows[3:])))
cluster.done("load", "payments", history)
cluster.done("recompute", "--wait")
cluster.done("send", "payments", live)


def get(view, *what):
    run = cluster.weir("get", view, *what, "--as-of", "2025-03-02T12:30:00Z", "--json")
    expect(run.code == 0, run)
    return run.objects()[0]


def clock_bytes():
    return (time.time_ns() // 1000).to_bytes(8, "big")


def cents(number, digits=2):
    return str(number.quantize(Decimal(1).scaleb(-digits)))


amounts = [Decimal(amount) for amount, _ in rows]
fees = [Decimal(fee) for _, fee in rows]
total, fee = sum(amounts), sum(fees)
day = sum(amounts[3:])  # (12:30 the day before, 12:30]
answer = get("spend", "user_id=u1")["features"]
by_amount = answer.pop("by_amount")
expect_equal(answer, {
    "n": 2, "total_1d": cents(day), "total_lifetime": cents(total), "fees": cents(fee, 6),
    "net": cents(total - fee, 6), "tax": cents(total * Decimal("0.19"), 4),
    "average": float(total / len(rows)), "spread": cents(max(amounts) - min(amounts)),
    "least": "-3.00", "first": "10.10", "largest": ["9999999999.99", "10.50"],
    "share": float(day) / float(total), "rest": cents(fee, 6),
    "left": None, "rounded": cents(total, 0)}, "u1")
expect_equal(by_amount, {"-3.00": 1, "0.20": 1, "10.10": 2, "10.50": 1, "9999999999.99": 1}, "by")
expect_equal(get("spend", "user_id=nobody")["features"]["net"], "0.000000", "a default")

# What would lose a digit is refused with the reason.
live.write_text('{"user_id": "u1", "amount": 10.005, "ts": 1741000000000}\n'
                '{"user_id": "u1", "amount": 12345678901, "ts": 1741000000000}\n'
                '{"user_id": "u1", "amount": true, "ts": 1741000000000}\n')
run = cluster.weir("send", "payments", live)
expect(run.code != 0, run)
for reason in ["'10.005' has more than the 2 digits after the point of a decimal(12,2)",
               "has more than the 10 digits before the point of a decimal(12,2)",
               "true is not a decimal(12,2)"]:
    expect(reason in run.out + run.err, reason, run)

# As a key, 10.5 and 10.50 are one.
live.write_text('{"price": "10.5", "ts": 1740830400000}\n{"price": 10.50, "ts": 1740830400001}\n')
cluster.done("send", "prices", live)
for key in ["10.5", "10.50", "1.05e1"]:
    expect_equal(get("seen", f"price={key}")["features"]["n"], 2, key)
expect_equal(get("seen", "price=10.5")["key"], {"price": "10.50"})

# A message has them as str, an int is one too, and types say the scale.
speed = cluster.speed()
reply = speed.ask("send", {"stream": "prices", "producer": clock_bytes() + bytes(8), "sequence": 1,
                           "oldest": 1, "columns": ["price", "ts"],
                           "rows": [[7, 1740830400000], ["7.00", 1740830400000], [7.0, 1740830400000]]})
expect_equal((reply["accepted"], reply["refused_count"]), (2, 1))
expect("is a float64, which is not exact" in reply["refused"][0]["reason"], reply)
reply = cluster.serving().ask("get", {"view": "seen", "keys": [{"price": 7}, {"price": "7.000"}]})
expect_equal([result["values"] for result in reply["results"]], [[2], [2]])
reply = cluster.serving().ask("get", {"view": "spend", "keys": [{"user_id": "u1"}],
                                      "features": ["total_lifetime", "by_amount", "largest", "left"],
                                      "request": [{"price": "0.5"}]})
expect_equal(reply["types"], ["decimal(38,2)", "map<decimal(38,2),int64>", "list<decimal(38,2)>",
                              "decimal(38,2)"])
expect_equal(reply["results"][0]["values"][3], "-3.50")
expect_equal(reply["results"][0]["values"][0], cents(total))
cluster.stop()
