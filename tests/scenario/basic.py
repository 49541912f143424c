"""The main job through the weir command: raw events, load, recompute, live events, an answer."""

import re

from cluster import Cluster, expect, expect_equal, wait_for
from definitions import PAYMENTS

TIME_LIMIT = 120

DEFINITIONS = PAYMENTS + """
views:
  user_spend:
    from: payments
    where: status is distinct from 'declined'
    features:
      txn_count: count() over 1h, 24h, lifetime
      spend: sum(amount) over 24h, 7d
      avg_amount: mean(amount) over 7d
      largest: max(amount)
      last_seen: last(ts)
"""

HISTORY = """payment_id,user_id,amount,status,ts
a1,u1,10.5,,2025-03-01T10:00:00Z
a2,u1,0.1,ok,2025-03-01T11:00:00Z
a3,u1,0.2,ok,2025-03-01T11:30:00Z
a4,u1,99,declined,2025-03-01T11:31:00Z
b1,u2,7,"",1740830400000
"""

LIVE = """{"payment_id": "a5", "user_id": "u1", "amount": 0.3, "ts": "2025-03-01T12:00:00Z"}
{"payment_id": "a6", "user_id": "u1", "amount": 1000, "ts": 1741000000000}
{"payment_id": "c1", "user_id": "u3", "amount": null, "status": "ok", "ts": "2025-03-01 12:00:00"}
"""

cluster = Cluster({"payments.yaml": DEFINITIONS}).start()
history, live = cluster.directory / "history.csv", cluster.directory / "live.ndjson"
history.write_text(HISTORY)
live.write_text(LIVE)


def get(*what):
    run = cluster.weir("get", "user_spend", *what, "--as-of", "2025-03-01T12:00:00Z", "--json")
    expect(run.code == 0, run)
    return run.objects()[0]


cluster.done("load", "payments", history)
cluster.done("recompute", "--wait")
loaded = get("user_id=u1")["features"]
expect_equal(loaded["txn_count_lifetime"], 3, "of the load")
cluster.done("send", "payments", live)

answer = get("user_id=u1")
expect_equal(answer["key"], {"user_id": "u1"})
expect_equal(answer["features"], {
    "txn_count_1h": 2,  # (11:00, 12:00]: the payment at 11:00 is out, that at 12:00 in
    "txn_count_24h": 4, "txn_count_lifetime": 4,
    "spend_24h": 11.1, "spend_7d": 11.1, "avg_amount_7d": 2.775, "largest": 10.5,
    "last_seen": "2025-03-01T12:00:00.000000Z"}, "u1")
expect_equal(answer["as_of"], "2025-03-01T12:00:00.000000Z")
expect_equal(answer["complete"], True)
expect_equal(answer["versions"], {"user_spend": "v1"})
expect(isinstance(answer["dataset"], str) and answer["dataset"], answer)
[(log, position)] = answer["positions"].items()
expect(log.startswith("payments/user_id/") and position > 0, answer)
expect("errors" not in answer and "incomplete" not in answer, answer)

nothing = {"txn_count_1h": 0, "txn_count_24h": 0, "txn_count_lifetime": 0, "spend_24h": None,
           "spend_7d": None, "avg_amount_7d": None, "largest": None, "last_seen": None}
expect_equal(get("user_id=u3")["features"], nothing | {
    "txn_count_1h": 1, "txn_count_24h": 1, "txn_count_lifetime": 1,
    "last_seen": "2025-03-01T12:00:00.000000Z"}, "u3, whose amount is null")
expect_equal(get("user_id=nobody")["features"], nothing, "a user that never was")

def explained():
    return cluster.done("explain", "user_spend", "--json").objects()[0]


# What keys have is asked of the cluster; it is told with the next beat.
wait_for(lambda: "cluster" in explained()["assumed"]["events_of"], 20, "explain knows the keys")
plan = explained()
expect_equal(plan["assumed"]["events_per_key"], 1.5, "3 events of 2 users")
expect_equal((plan["features"], plan["cells"], len(plan["states"])), (8, 7, 4), "shared states")

keys = cluster.directory / "keys.csv"
keys.write_text("user_id\nu2\nu1\n")
run = cluster.done("get", "user_spend", "--keys", keys, "--as-of", "2025-03-01T12:00:00Z", "--json")
expect_equal([o["key"]["user_id"] for o in run.objects()], ["u2", "u1"])
expect_equal(run.objects()[1]["features"], answer["features"])

# A file that was loaded or sent before counts once.
again = cluster.weir("load", "payments", history)
expect(again.code == 1 and "--again" in again.err, again)
cluster.done("send", "payments", live)
expect_equal(get("user_id=u1")["features"], answer["features"], "after sending the file again")

# Nor does it count twice when hardly anything is remembered of how far it was sent: batches so far back that
# owners cannot tell them apart any more are acknowledged to who goes on.
many = cluster.directory / "many.csv"
many.write_text("payment_id,user_id,amount,status,ts\n" + "".join(
    f"m{n},u7,1,ok,2025-03-01T10:{n // 60:02}:{n % 60:02}Z\n" for n in range(150)))
cluster.done("send", "payments", many, "--batch", "1")
expect_equal(get("user_id=u7")["features"]["txn_count_lifetime"], 150, "one event a batch")
(state,) = [path for path in cluster.directory.glob("**/producers/payments-*") if "batch 1\n" in path.read_text()]
state.write_text(re.sub(r"(acknowledged|accepted|done) \d+", r"\1 0", state.read_text()))
run = cluster.done("send", "payments", many)
expect("86 more were acknowledged before" in run.err, run)
expect_equal(get("user_id=u7")["features"]["txn_count_lifetime"], 150, "after sending all of it again")
cluster.done("load", "payments", history, "--again")
cluster.done("recompute", "--wait")
expect_equal(get("user_id=u1")["features"]["txn_count_lifetime"], 7, "loaded once more")

# Exit statuses: wrong usage, and a cluster that is not there.
expect_equal(cluster.weir("get").code, 2, "weir get without a view")
expect_equal(cluster.weir("frobnicate").code, 2, "an unknown command")
for command in ("get", "load", "send", "apply", "recompute", "status"):
    help_text = cluster.done(command, "--help").out
    expect("xample" in help_text, command, "--help has no example:", help_text)
cluster.stop()
expect_equal(cluster.weir("get", "user_spend", "user_id=u1").code, 3, "without a cluster")
expect_equal(explained()["assumed"]["events_of"], "assumed", "explain needs no cluster")
