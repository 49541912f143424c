"""The SDK of Feast, unchanged, reads features from serving nodes: over HTTP, and over TLS with a token. Needs
FEAST_PYTHON, a Python that has it: `make test-feast`."""

import json
import os
import subprocess
from pathlib import Path

from cluster import SECURED, Cluster, expect, expect_equal, now_us, skip, wait_for
from definitions import SHOP_PAYMENTS

TIME_LIMIT = 300

PYTHON = os.environ.get("FEAST_PYTHON")
if not PYTHON or SECURED:
    skip("make test-feast")

DEFINITIONS = SHOP_PAYMENTS + """
views:
  spend:
    from: payments
    features:
      n: count()
      total: sum(amount) over 7d
      ratio: mean(amount)
      most: max(price)
      all_ok: last(ok)
      seen: last(ts)
      newest: last_k(amount, 3)
  shops:
    from: payments
    key: shop
    features:
      n_shop: count()
      mean_shop: mean(amount)
services:
  model:
    views:
      spend:
    features:
      - spend:n
      - spend:total_7d
"""
READS = Path(__file__).parents[1] / "feast/reads.py"
PORT = int(os.environ.get("WEIR_SCENARIO_PORT", "17600")) + 50
TOKEN = "a-token-of-the-readers-0123456789"
NOW = now_us()
EVENTS = "".join(json.dumps({"user_id": f"u{i % 5}", "shop": i % 3, "amount": i * 0.1, "price": f"{i}.50", "ok": i % 2 == 0,
                             "ts": NOW - i * 1_000_000}) + "\n" for i in range(100))


def store(cluster, online, more=""):
    """A directory with a feature_store.yaml."""
    place = cluster.directory / "feast"
    place.mkdir(exist_ok=True)
    (place / "feature_store.yaml").write_text(
        f"project: shop\nregistry: registry.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"online_store:\n  type: remote\n{online}{more}")
    return place


def reads(place, features, rows, **more):
    run = subprocess.run([PYTHON, READS, json.dumps({"features": features, "rows": rows, **more})], cwd=place,
                         text=True, capture_output=True, env={**os.environ, "FEAST_USAGE": "False",
                                                              "PYTHONWARNINGS": "ignore"})
    expect(run.returncode == 0, run.stderr[-4000:], run.stdout[-500:])
    return json.loads(run.stdout.splitlines()[-1])


def fill(cluster):
    events = cluster.directory / "events.ndjson"
    events.write_text(EVENTS)
    cluster.done("send", "payments", events)
    wait_for(lambda: cluster.weir("get", "spend", "user_id=u1", "--json").code == 0, 20, "the views are served")


def check(cluster, place):
    users, shops = ["u1", "u4", "nobody"], [0, 2, 7]
    got = reads(place, [f"spend:{name}" for name in ("n", "total_7d", "ratio", "all_ok", "most", "newest", "seen")] +
                ["shops:mean_shop", "shops:n_shop"],
                [{"user_id": user, "shop": shop} for user, shop in zip(users, shops)])
    answer = got["answer"]
    for i, user in enumerate(users):
        [row] = cluster.done("get", "spend", f"user_id={user}", "--json").objects()
        for name in ("n", "total_7d", "ratio", "all_ok", "most", "newest"):
            expect_equal(answer[name][i], row["features"][name], f"{user} {name}")
        [row] = cluster.done("get", "shops", f"shop={shops[i]}", "--json").objects()
        for name in ("mean_shop", "n_shop"):
            expect_equal(answer[name][i], row["features"][name], f"{shops[i]} {name}")
        [row] = cluster.done("get", "spend", f"user_id={user}", "--json").objects()
        if user != "nobody":
            expect_equal(got["rows"][i]["n"], row["features"]["n"])
            expect_equal(got["rows"][i]["total_7d"], row["features"]["total_7d"])
            expect_equal(got["rows"][i]["newest"], row["features"]["newest"])
            expect(got["rows"][i]["ts"].startswith("20"), got["rows"][i])
    full = reads(place, ["spend:n", "shops:n_shop"], [{"user_id": user, "shop": shop} for user, shop in zip(users, shops)], full=True)["answer"]
    expect_equal((full["spend__n"], full["shops__n_shop"]), (answer["n"], answer["n_shop"]), "full names")
    expect_equal(got["service"], {"user_id": users, "n": answer["n"], "total_7d": answer["total_7d"]})
    expect_equal(answer["seen"][0], (NOW - 1_000_000) // 1_000_000)
    expect_equal(got["rows"][2]["n"], None, "what is not found has no value where the SDK looks at statuses")
    expect_equal(got["errors"], ["FeatureViewNotFoundException", "FeastObjectNotFoundException"])


cluster = Cluster({"payments.yaml": DEFINITIONS}, settings=f"http: {{serving: '127.0.0.1:{PORT}'}}\n").start()
fill(cluster)
place = store(cluster, f"  path: http://127.0.0.1:{PORT}\n")
check(cluster, place)
cluster.recompute()
check(cluster, place)
cluster.stop()

secured = Cluster({"payments.yaml": DEFINITIONS}, directory="secured", name="safe", secured=True,
                  settings=f"http: {{serving: '127.0.0.1:{PORT}', certificate: tls.crt, private_key: tls.key, tokens: tokens}}\n")
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", secured.directory / "tls.key", "-out",
                secured.directory / "tls.crt", "-days", "2", "-subj", "/CN=weir", "-addext",
                "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
(secured.directory / "tls.key").chmod(0o600)
(secured.directory / "tokens").write_text(f"reader {TOKEN}\n")
(secured.directory / "tokens").chmod(0o600)
secured.keygen("http", "reader")
secured.start()
fill(secured)
check(secured, store(secured, f"  path: https://127.0.0.1:{PORT}\n  cert: {secured.directory / 'tls.crt'}\n",
                     f"auth:\n  type: oidc\n  token: {TOKEN}\n"))
secured.stop()
