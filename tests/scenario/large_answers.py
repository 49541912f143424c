"""One owner's answers for two partitions that are over the limit of a message together, and not each:
they come in several messages, and the query is complete."""
from cluster import Cluster, expect, expect_equal, now_us
from wire import Producer

TIME_LIMIT = 120
PAGES, USERS, ASKED = 1000, 40, 1000

DEFINITIONS = """
streams:
  visits:
    key: who
    time: ts
    fields: {who: string, page: string, ts: {type: timestamp, unit: us}}
views:
  browsing:
    from: visits
    features:
      n: count() over 1h
      pages: count() by page over 1d
"""

cluster = Cluster({"visits.yaml": DEFINITIONS}, partitions=2, speed_workers=1).start()
producer = Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])
now = now_us()
for user in range(USERS):
    producer.send("visits", ["who", "page", "ts"],
                  [[f"u{user}", f"/a/page/with/a/name/{i}", now - i] for i in range(PAGES)])
asked = [{"who": f"u{i % USERS}"} for i in range(ASKED)]
results = cluster.serving().get("browsing", asked, seconds=60, deadline_ms=10000, features=["n_1h"])
expect_equal(len(results), ASKED)
expect(len({p for r in results for p in r["positions"]}) == 2, "all users are in one partition")
for result in results:
    expect(result["complete"], "not complete:", result.get("incomplete"))
    expect_equal(result["features"]["n_1h"], PAGES)
cluster.stop()
