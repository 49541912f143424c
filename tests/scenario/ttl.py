"""A view's ttl: a key without events for longer has null, or what stands for it, over HTTP and by `weir get`, by the speed layer and by a batch
view, in a service, and in a training set at each row's own time; what is of the request alone has its value."""

import os

from cluster import SECURED, Cluster, expect, expect_equal, now_us, skip, wait_for
from definitions import SHOP_PAYMENTS
from feature_http import Endpoint, listens, rfc3339

TIME_LIMIT = 60

if SECURED:
    skip("it speaks HTTP without TLS")

DEFINITIONS = SHOP_PAYMENTS + """
views:
  spend:
    from: payments
    features:
      n: count() over 1h, lifetime
  brief:
    from: payments
    ttl: 1h
    request: {limit: float64}
    features:
      n: count()
      total: sum(amount)
      kept: {expr: sum(amount), default: -1}
    derived:
      large: limit > 100
services:
  both:
    views:
      buyer: {view: brief, key: {user_id: buyer_id}}
      seller: {view: spend, key: {user_id: seller_id}}
    request: {limit: float64}
    features: ["buyer:n", "seller:n_lifetime", "buyer:large", sum]
    derived: {sum: buyer.n + seller.n_lifetime}
"""

PORT = int(os.environ.get("WEIR_SCENARIO_PORT", "17600")) + 50
COLUMNS = ["user_id", "shop", "amount", "price", "ok", "ts"]
cluster = Cluster({"payments.yaml": DEFINITIONS}, settings=f"http: {{serving: '127.0.0.1:{PORT}'}}\n").start()
server = Endpoint(PORT)
features = server.features
wait_for(lambda: listens(PORT) and server.ask("GET", "/health")[0] == 200, 20, "it is healthy")
NOW = now_us()
YOUNG = [["u1", i % 3, i * 0.5, None, None, NOW - 1_000_000 * i] for i in range(29)]
OLD = NOW - 2 * 3_600_000_000
expect_equal(server.push("payments", COLUMNS, [*YOUNG, ["old", 1, 4.0, None, None, OLD]])[0], 200)
(cluster.directory / "spine.csv").write_text(f"user_id,ts\nold,{rfc3339(OLD + 3_600_000_000)}\nold,{rfc3339(OLD + 3_600_000_001)}\n")


def check_ttl():
    got, _ = features(["brief:n", "brief:total", "brief:kept", "spend:n_lifetime"], {"user_id": ["old", "u1", "nobody"]})
    expect_equal([got[name]["values"] for name in ("n", "total", "kept")], [[None, 29, None], [None, got["total"]["values"][1],
                                                                           None], [-1.0, got["total"]["values"][1], -1.0]])
    expect_equal(got["n"]["statuses"], ["OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND"])
    alone, _ = features(["brief:large"], {"user_id": ["old", "u1", "nobody"], "limit": [1.0, 200.0, 300.0]})
    expect_equal(alone["large"], {"values": [False, True, True], "statuses": ["PRESENT"] * 3,
                                  "event_timestamps": ["1970-01-01T00:00:00Z"] * 3}, "of the request alone")
    shared, _ = features([], {"buyer_id": ["old", "u1"], "seller_id": ["u1", "nobody"], "limit": [1.0, 200.0]}, feature_service="both")
    expect_equal([shared[name]["statuses"] for name in ("n", "n_lifetime", "large", "sum")],
                 [["OUTSIDE_MAX_AGE", "PRESENT"], ["PRESENT", "NOT_FOUND"], ["PRESENT"] * 2, ["NULL_VALUE", "PRESENT"]])
    expect_equal(shared["sum"]["event_timestamps"][0], got["n"]["event_timestamps"][1], "the latest of both")
    expect_equal(got["n"]["event_timestamps"][0], rfc3339(OLD))
    expect_equal((got["n_lifetime"]["values"][0], got["n_lifetime"]["statuses"][0]), (1, "PRESENT"), "the other view has none")
    run = cluster.done("get", "brief", "user_id=old")
    expect("expired: brief: the latest event, of 20" in run.out and "is older than the view's ttl" in run.out, run)
    expect("never seen: brief has no event of this key by then" in cluster.done("get", "brief", "user_id=nobody").out)
    [row] = cluster.done("get", "brief", "user_id=old", "--json").objects()
    expect_equal((row["features"]["n"], row["expired"]), (None, ["brief"]))


check_ttl()
cluster.recompute()
check_ttl()
cluster.done("training-set", "brief", "--spine", cluster.directory / "spine.csv", "--time", "ts", "--out",
             cluster.directory / "train.csv")
rows = [line.split(",") for line in (cluster.directory / "train.csv").read_text().splitlines()]
expect_equal([row[2:] for row in rows], [["n", "total", "kept", "large"], ["1", "4.0", "4.0", ""], ["", "", "-1.0", ""]])
[batch] = cluster.done("get", "brief", "user_id=old", "--part", "batch", "--json").objects()
[live] = cluster.done("get", "brief", "user_id=old", "--part", "realtime", "--json").objects()
expect_equal((batch["features"]["n"], live["features"]["n"], live["latest"]), (1, 0, {}), "what each layer holds, without the ttl")
cluster.stop()
