"""Hosts whose links are cut one way, slow and lossy, under steady traffic: what was acknowledged is in every
complete answer, once; the cluster does without a host that it cannot reach, and all heals by itself."""
import time

from cluster import SLOWER, expect, wait_for
from hosts import ALL, TESTER, Hosts
from tally import DEADLINE_MS, DEFINITIONS, PATIENCE, Traffic

TIME_LIMIT = 400
LEASE = 3  # seconds
WITHOUT = 20  # until the others have taken over what a cut host did
HEALED = 10  # until everything is as before, from when the links are good again
CUT = {"loss": 1.0}
LONG = {"loss": 1.0, "hold": 25}  # seconds: by then a kernel would wait long before it connects again


def both(a, b, **fault):
    return [(a, b, fault), (b, a, fault)]


# what, faults, does the cluster go on answering and acknowledging meanwhile?
CASES = [
    ("answers to the beats of an owner are lost", [("coordinator", "speed-worker-1", CUT)], True),
    ("the beats of an owner are lost", [("speed-worker-1", "coordinator", CUT)], True),
    ("owners do not hear each other", both("speed-worker-1", "speed-worker-2", **CUT), False),
    ("one owner does not hear the other", [("speed-worker-1", "speed-worker-2", CUT)], False),
    ("serving does not hear an owner for long", [("speed-worker-1", "serving-1", LONG)], False),
    ("an owner does not hear serving", [("serving-1", "speed-worker-1", CUT)], False),
    ("acknowledgements of an owner are lost", [("speed-worker-1", TESTER, CUT)], True),
    ("an owner does not hear producers", [(TESTER, "speed-worker-1", CUT)], True),
    ("an owner is alone for longer than its lease",
     [("speed-worker-2", ALL, CUT), (ALL, "speed-worker-2", CUT)], True),
    ("the coordinator is alone", [("coordinator", ALL, CUT), (ALL, "coordinator", CUT)], False),
    ("a batch worker is alone", [("batch-worker-1", ALL, CUT), (ALL, "batch-worker-1", CUT)], True),
    ("200 ms and 5 % of loss everywhere", [(ALL, ALL, {"delay": 0.2, "loss": 0.05})], True),
    ("packets twice and out of order", [(ALL, ALL, {"duplicate": 0.2, "overtake": 0.2})], True),
]

cluster = Hosts({"tally.yaml": DEFINITIONS}, settings=f"lease: {LEASE}s\n").start()
traffic = Traffic(cluster, loads=True)
tally = traffic.tally


def wait_usual(seconds, what):
    """Until every key is answered completely and batches are acknowledged; the seconds it took."""
    since, client = time.monotonic(), cluster.serving()
    wait_for(lambda: traffic.answered(client), seconds, f"every key is answered {what}")
    client.close()
    before = tally.counts["batches acknowledged"]
    wait_for(lambda: traffic.check() or tally.counts["batches acknowledged"] > before + 6, seconds,
             f"batches are acknowledged {what}")
    return time.monotonic() - since


try:
    wait_usual(20, "at the start")
    for what, faults, goes_on in CASES:
        began = time.monotonic()
        slow = any("delay" in fault for _, _, fault in faults)
        traffic.patience, traffic.deadline_ms = (10, 5000) if slow else (PATIENCE, DEADLINE_MS)
        hold = max(fault.get("hold", LEASE + 5) for _, _, fault in faults)
        laid = [cluster.links.lay(source, target, **{k: v for k, v in fault.items() if k != "hold"})
                for source, target, fault in faults]
        meanwhile = "not awaited"
        if goes_on:
            wait_for(lambda: time.monotonic() > began + LEASE, LEASE + 1, "the lease")
            wait_usual(WITHOUT, f"although {what}")
            meanwhile = f"after {time.monotonic() - began:.1f} s"
        wait_for(lambda: traffic.check() or time.monotonic() > began + hold, hold + 1, "the cut")
        cluster.links.lift(*laid)
        healed = wait_usual(HEALED, f"after {what}")
        cluster.wait_ready()
        print(f"{what}: goes on {meanwhile}; as usual {healed:.1f} s after it")
finally:
    traffic.ended.set()
    traffic.end()
client = cluster.serving()
traffic.check_all(client)
cluster.recompute()
traffic.check_all(client)
counts = cluster.links.counts()
expect(all(counts.values()), "the links did nothing:", counts)
print(f"{dict(tally.counts)}\nlongest: {dict(tally.longest)}\npackets: {counts}")
cluster.stop()
