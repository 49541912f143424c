"""A batch worker that is stopped holds a recompute up for some seconds, not for its lease; a run that is
damaged is told with its place and holds nothing up at all."""
import re
import time

from cluster import SLOWER, Cluster, expect, expect_equal, now_us, wait_for
from wire import Producer

TIME_LIMIT = 60
LEASE = int(25 * SLOWER)  # seconds

DEFINITIONS = """
streams:
  hits:
    key: page
    time: ts
    fields: {page: int64, number: int64, ts: {type: timestamp, unit: us}}
views:
  pages:
    from: hits
    features: {n: count(), total: sum(number)}
"""
PAGES = range(40)
cluster = Cluster({"hits.yaml": DEFINITIONS}, partitions=8, speed_workers=1, batch_workers=2,
                  settings=f"lease: {LEASE}s\n").start()
producer = Producer([cluster.endpoint(11)])
sent = {page: (0, 0) for page in PAGES}


def send(rounds):
    for _ in range(rounds):
        rows = [[page, page * 7 + rounds, now_us() - 10**9] for page in PAGES]
        producer.send("hits", ["page", "number", "ts"], rows)
        for page, number, _ in rows:
            sent[page] = (sent[page][0] + 1, sent[page][1] + number)


def expect_answers():
    client = cluster.serving()

    def complete():
        results = client.get("pages", [{"page": page} for page in PAGES])
        return results if all(r["complete"] for r in results) else None

    for page, result in zip(PAGES, wait_for(complete, 10 * SLOWER, "complete answers")):
        expect_equal(tuple(result["values"]), sent[page], page)


def log_status():
    return cluster.ask_coordinator("status")["logs"][0]


# what tasks usually take
send(20)
cluster.recompute()
expect_answers()

# one of two workers is stopped, and has a good lease all the while
slow = cluster["batch-worker-2"]
slow.pause()
send(20)
began = time.monotonic()
cluster.recompute()
took = time.monotonic() - began
expect(took < LEASE / 2, "the recompute waited for the stopped worker:", took, "s")
copied = cluster.ask_coordinator("metrics")["values"]["tasks_copied"]
expect(copied > 0, "no task was given to the other worker:", copied)
expect_answers()
slow.resume()
send(1)
cluster.recompute()
expect_answers()
print(f"with a worker stopped, and a lease of {LEASE} s: {took:.1f} s, {copied} tasks copied")

# a run is damaged
run = max((cluster.directory / "data/history").rglob("*.run"), key=lambda path: path.stat().st_size)
place = run.relative_to(cluster.directory / "data")
partition = run.parent.name
good = run.read_bytes()
bad = bytearray(good)
bad[len(bad) // 3] ^= 4
run.write_bytes(bad)
send(5)
done = cluster.weir("recompute", "--full", "--wait")
expect_equal(done.code, 1, done)
expect(re.search(f"partition {partition} gets what is new and keeps the rest: run {place}, block \\d+", done.err),
       done)
status = cluster.done("status").out
expect(f"hits/page/{partition} cannot be built" in status and str(place) in status, status)
log = log_status()
expect_equal([part["events"] for part in log["partitions"]], [0] * 8, "all that is new is covered")
expect_equal([(s["partition"], s["path"]) for s in log["stuck"]], [(int(partition), str(place))])
expect_answers()
send(5)
expect_equal(cluster.weir("recompute", "--wait").code, 1)
expect_answers()

# it is whole again
run.write_bytes(good)
cluster.done("recompute", "--full", "--wait")
expect("stuck" not in log_status(), "it is told no more")
expect_answers()
producer.close()
cluster.stop()
