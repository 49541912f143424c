"""kill -9 of each program in turn, then SIGSTOP for longer than a lease, under a steady stream: no
acknowledged event is missing, none counts twice, and what says it is complete is right."""
import bisect
import itertools
import math
import random
import time
from collections import defaultdict

from cluster import SLOWER, Cluster, Threads, expect, expect_equal, now_us, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 300
LEASE, AGAIN = 3, 5  # seconds: a lease; until queries are answered again

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
PAGES = list(range(24))
KEYS = [{"page": p} for p in PAGES]

cluster = Cluster({"hits.yaml": DEFINITIONS}, settings=f"lease: {LEASE}s\n").start()
speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
numbers = itertools.count(1)
acked = []  # (positions, {page: (events, sum of their numbers)})
answers = []  # (events acknowledged before it was asked, result)
incomplete, threads = [], Threads()
ended, failures = threads.ended, threads.failures


def send_steadily(seed):
    dice, producer = random.Random(seed), Producer(speed)
    while not ended.is_set():
        rows = [[dice.choice(PAGES), next(numbers), now_us() - dice.randrange(10**9)]
                for _ in range(20)]
        ack = producer.send("hits", ["page", "number", "ts"], rows, seconds=60 * SLOWER)
        expect_equal(ack["accepted"], len(rows), ack)
        events = defaultdict(lambda: (0, 0))
        for page, number, _ in rows:
            events[page] = (events[page][0] + 1, events[page][1] + number)
        acked.append((ack["positions"], events))
        time.sleep(0.01)
    producer.close()


def query_steadily():
    client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
    while not ended.is_set():
        known = len(acked)
        try:
            results = client.get("pages", KEYS, seconds=2, deadline_ms=300)
        except (Silent, Refused):
            continue
        for result in results:
            if result["complete"]:
                answers.append((known, result))
            else:
                expect(result["incomplete"] and result["incomplete"][0]["reason"], result)
                incomplete.append(result)
        time.sleep(0.01)
    client.close()


def recompute_steadily():
    """So that something dies in every phase of it. What fails is tried again."""
    while not ended.is_set():
        try:
            cluster.ask_coordinator("recompute", seconds=1)
        except (Silent, Refused):
            pass
        ended.wait(0.5)


def wait_answered(client, since, what):
    """Every key, completely, at the latest AGAIN seconds after `since`."""

    def complete():
        expect(not failures, failures)
        results = client.get("pages", KEYS, seconds=1, deadline_ms=500)
        return all(r["complete"] for r in results)

    wait_for(complete, 60, f"queries are answered after {what}")
    seconds = time.monotonic() - since
    print(f"{what}: answered again after {seconds:.1f} s")
    expect(seconds < AGAIN * SLOWER, f"{what}: answered again only after {seconds:.1f} s")


def upset(name, pause):
    """Kills or pauses a node, waits until queries are answered and brings it back."""
    node, client = cluster[name], cluster.serving()
    what, before, since = f"{'SIGSTOP' if pause else 'kill -9'} of {name}", len(incomplete), time.monotonic()
    (node.pause if pause else node.kill)()
    alone = name.startswith(("speed", "batch"))  # the cluster must do without it
    if alone:
        wait_answered(client, since, what)
    if pause:
        wait_for(lambda: time.monotonic() > since + LEASE + 2, LEASE + 3, "its lease runs out")
        node.resume()
    else:
        node.start()
    wait_answered(client, time.monotonic(), f"return of {name}")
    cluster.wait_ready()
    client.close()
    if name.startswith("speed"):
        expect(len(incomplete) > before, what, "was not noticed by any answer")


def totals(events):
    """[(where, events so far, sum so far)] of [(where, events, sum)], in order."""
    return list(itertools.accumulate(sorted(events), lambda a, b: (b[0], a[1] + b[1], a[2] + b[2])))


def check(results):
    """Each is exactly what was acknowledged below the position that it reports, and that holds all
    that was acknowledged before it was asked."""
    log_of = {r["key"]["page"]: log for _, r in results for log in r["positions"]}
    by_position, by_time = defaultdict(list), defaultdict(list)
    for at, (positions, events) in enumerate(acked):
        for page, (count, total) in events.items():
            by_position[page].append((positions[log_of[page]], count, total))
            by_time[page].append((at, count, total))
    by_position = {page: totals(events) for page, events in by_position.items()}
    by_time = {page: totals(events) for page, events in by_time.items()}
    for known, result in results:
        page = result["key"]["page"]
        [position] = result["positions"].values()
        at = bisect.bisect_right(by_position[page], (position, math.inf))
        wanted = by_position[page][at - 1][1:] if at else (0, 0)
        found = (result["features"]["n"], result["features"]["total"] or 0)
        expect_equal(found, wanted, f"page {page} at {position}, {result}")
        at = bisect.bisect_left(by_time[page], (known,))
        least = by_time[page][at - 1][1] if at else 0
        expect(found[0] >= least, f"{result}: {least} events of it were acknowledged before")


for work in *((send_steadily, i) for i in range(3)), (query_steadily,), (recompute_steadily,):
    threads.start(*work)
try:
    wait_answered(cluster.serving(), time.monotonic(), "the start")
    for pause in (False, True):
        for name in ("speed-worker-1", "speed-worker-2", "serving-1", "coordinator", "batch-worker-1"):
            upset(name, pause)
finally:
    threads.end()
expect(not failures, failures)
client = cluster.serving()


def whole():
    """All keys, when all are answered completely."""
    results = client.get("pages", KEYS)
    return results if all(r["complete"] for r in results) else None


last = wait_for(whole, 20, "complete answers at the end")
check(answers + [(len(acked), r) for r in last])
expect_equal(sum(r["features"]["n"] for r in last), 20 * len(acked), "events at the end")
expect_equal(sum(r["features"]["total"] for r in last), sum(range(1, next(numbers))), "their sum")
cluster.recompute()
expect_equal([r["features"] for r in wait_for(whole, 20, "complete answers after a recompute")],
             [r["features"] for r in last], "after a last recompute")
expect(len({r["dataset"] for _, r in answers}) >= 10, "few datasets were met")
print(f"{len(acked)} batches, {len(answers)} complete answers, {len(incomplete)} incomplete ones")
cluster.stop()
