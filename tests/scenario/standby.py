"""Two coordinators under a steady stream of events, queries and recomputes: kill -9 of the one that leads,
SIGSTOP for longer than a lease, SIGTERM, again and again. The other takes over in time for every owner to go on,
a leader that wakes stands by, and no acknowledged event is missing or counts twice."""
import random
import time

from cluster import SLOWER, Cluster, Threads, expect, expect_equal, now_us, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 300
LEASE, ROUNDS = 3, 3
GAP = 5  # seconds: the longest without a complete answer

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
PAGES = list(range(12))
KEYS = [{"page": p} for p in PAGES]

cluster = Cluster({"hits.yaml": DEFINITIONS}, settings=f"lease: {LEASE}s\n", coordinators=2).start()
names = dict(zip(cluster.coordinators, ("coordinator", "coordinator-2")))
speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
threads = Threads()
ended, failures = threads.ended, threads.failures
sent = {page: [0, 0] for page in PAGES}  # acknowledged: events, sum of their numbers
batches, answered, gaps, trimmed = [], [time.monotonic()], [], set()


def send_steadily():
    dice, producer, number = random.Random(1), Producer(speed), 0
    while not ended.is_set():
        rows = []
        for _ in range(10):
            number += 1
            rows.append([dice.choice(PAGES), number, now_us() - dice.randrange(10**9)])
        expect_equal(producer.send("hits", ["page", "number", "ts"], rows, 60 * SLOWER)["accepted"], len(rows))
        for page, value, _ in rows:
            sent[page] = [sent[page][0] + 1, sent[page][1] + value]
        batches.append(number)
        ended.wait(0.02)
    producer.close()


def query_steadily():
    client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
    while not ended.is_set():
        least = {page: sent[page][0] for page in PAGES}
        try:
            results = client.get("pages", KEYS, seconds=2, deadline_ms=1000)
        except (Silent, Refused):
            continue
        if all(r["complete"] for r in results):
            for r in results:
                expect(r["features"]["n"] >= least[r["key"]["page"]], "acknowledged and not in", r, least)
            gaps.append(time.monotonic() - answered[-1])
            answered.append(time.monotonic())
        ended.wait(0.02)
    client.close()


def recompute_steadily():
    while not ended.is_set():
        try:
            cluster.ask_coordinator("recompute", seconds=2)
            found = cluster.ask_coordinator("recomputes", seconds=2)["recomputes"]
            trimmed.update(r["id"] for r in found if r["state"] == "trimmed")
        except (Silent, Refused):
            pass
        ended.wait(0.3)


def leads(endpoint, seconds=1):
    """Does that coordinator say that it leads?"""
    client = Client(endpoint)
    try:
        return bool(client.ask("routes", seconds=seconds))
    except Silent:
        return False
    except Refused as error:
        expect(error.status == "unavailable", error)
        return False
    finally:
        client.close()


def leader():
    return next((e for e in cluster.coordinators if leads(e)), None)


def kept_out(node):
    """How often it told that one which is stopped within a transaction keeps it out of the catalog."""
    return node.log().count("in the middle of a transaction")


def upset(what):
    """Something happens to the leader: the other one takes over, the recomputes go on, and when the first is
    there again it stands by. One that was stopped within a transaction has the catalog to itself until it goes
    on: nobody takes over meanwhile."""
    first = wait_for(leader, 30, "somebody leads")
    [other] = [e for e in cluster.coordinators if e != first]
    node, before, since = cluster[names[first]], len(trimmed), time.monotonic()
    said = kept_out(cluster[names[other]])
    {"kill -9": node.kill, "SIGSTOP": node.pause, "SIGTERM": node.stop}[what]()
    is_kept_out = lambda: what == "SIGSTOP" and kept_out(cluster[names[other]]) > said
    wait_for(lambda: leads(other) or is_kept_out(), 30, f"{names[other]} takes over")
    took = time.monotonic() - since
    if is_kept_out():
        print(f"{what} of {names[first]} came within a transaction")
        expect(not leads(other), "two are in the catalog at once")
        node.resume()
        wait_for(lambda: len(trimmed) > before, 60, "a recompute is done when it goes on")
        return
    print(f"{what} of {names[first]}: {names[other]} leads after {took:.2f} s")
    expect(took < (0.5 if what == "SIGTERM" else LEASE) * SLOWER + 1, "that is too long")
    if what == "SIGSTOP":
        wait_for(lambda: time.monotonic() > since + LEASE + 1, LEASE + 3, "its lease runs out")
        node.resume()
    else:
        node.start()
    wait_for(lambda: len(trimmed) > before, 60, "a recompute is done under the new leader")
    expect(not failures, failures)
    client = Client(first)
    wait_for(lambda: client.ask("ping", seconds=1), 20, f"{names[first]} is there again")
    try:
        client.ask("routes", seconds=2)
        raise AssertionError(f"{names[first]} leads, and so does {names[other]}")
    except Refused as error:
        expect_equal(error.leader, other, "who stands by says who leads")
    client.close()


def shown():
    """What `weir status` says of coordinators."""
    rows = [line.split() for line in cluster.done("status").out.splitlines()]
    return sorted(" ".join(row[2:-1]) for row in rows if len(row) > 3 and row[1] == "coordinator")


for work in send_steadily, query_steadily, recompute_steadily:
    threads.start(work)
try:
    wait_for(lambda: trimmed, 60, "a first recompute")
    for _ in range(ROUNDS):
        for what in ("kill -9", "SIGSTOP", "SIGTERM"):
            upset(what)
    wait_for(lambda: shown() == ["leads", "stands by"], 20, "the status shows both")
finally:
    threads.end()
expect(not failures, failures)
print(f"{len(batches)} batches, {len(answered)} complete answers, {len(trimmed)} recomputes; "
      f"{max(gaps):.2f} s at most without a complete answer")
expect(max(gaps) < GAP * SLOWER, f"no complete answer for {max(gaps):.2f} s")


def totals():
    results = cluster.serving().get("pages", KEYS)
    return all(r["complete"] for r in results) and {
        r["key"]["page"]: [r["features"]["n"], r["features"]["total"] or 0] for r in results}


found = wait_for(totals, 20, "complete answers")
expect_equal(found, sent, "events at the end")
cluster.recompute()
expect_equal(wait_for(totals, 20, "complete answers"), sent, "after a last recompute")
cluster.stop()
