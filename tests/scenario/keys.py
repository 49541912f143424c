"""Several keys of one stream under a steady stream and kill -9: what is acknowledged is in the views by
every key, once; and a key that is new to the stream gets all of its history."""
import itertools
import random
import threading
import time
from collections import defaultdict

from cluster import SLOWER, Cluster, Threads, expect, expect_equal, now_us, wait_for
from definitions import HITS
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 400
LEASE = 3  # seconds

STREAM = HITS + """
  both:
    from: hits
    key: [shop, page]
    features: {n: count(), total: sum(number)}
"""
LATE = """
views:
  all: {from: hits, key: [], features: {n: count(), total: sum(number)}}
"""
PAGES, SHOPS = list(range(12)), ["", "a", "b", "c", "d"]
KEYS = {
    "pages": [{"page": p} for p in PAGES],
    "shops": [{"shop": s} for s in SHOPS],
    "both": [{"shop": s, "page": p} for s in SHOPS for p in PAGES],
    "all": [{}],
}

cluster = Cluster({"hits.yaml": STREAM}, settings=f"lease: {LEASE}s\n").start()
speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
numbers = itertools.count(1)
sums = {view: defaultdict(lambda: (0, 0)) for view in KEYS}  # acknowledged: key -> (events, sum)
lock, threads = threading.Lock(), Threads()
ended, failures = threads.ended, threads.failures


def keys_of(page, shop):
    """The event's key in each view, None when it is in none of it."""
    yield "pages", (page,)
    yield "all", ()
    if shop is not None:
        yield "shops", (shop,)
        yield "both", (shop, page)


def send_steadily(seed):
    dice, producer = random.Random(seed), Producer(speed)
    while not ended.is_set():
        rows = [[dice.choice(PAGES), dice.choice(SHOPS + [None]), next(numbers), now_us() - dice.randrange(10**9)]
                for _ in range(20)]
        ack = producer.send("hits", ["page", "shop", "number", "ts"], rows, seconds=60 * SLOWER)
        expect_equal(ack["accepted"], len(rows), ack)
        with lock:
            for page, shop, number, _ in rows:
                for view, key in keys_of(page, shop):
                    events, total = sums[view][key]
                    sums[view][key] = events + 1, total + number
        time.sleep(0.01)
    producer.close()


def known():
    with lock:
        return {view: dict(of_view) for view, of_view in sums.items()}


def look(client, view, exactly=False):
    """Complete answers have all that was acknowledged before they were asked, or exactly that; how many were complete."""
    before = known()[view]
    complete = 0
    for result in client.get(view, KEYS[view], seconds=2, deadline_ms=500):
        key = tuple(result["key"][field] for field in KEYS[view][0])
        events, total = before.get(key, (0, 0))
        found = result["features"]["n"], result["features"]["total"] or 0
        if result["complete"]:
            complete += 1
            expect(found[0] >= events and found[1] >= total, view, result, "lacks", events, total)
            if exactly:
                expect_equal(found, (events, total), f"{view} {result}")
    return complete


rounds = [0]  # of questions about every view


def query_steadily():
    client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
    while not ended.is_set():
        for view in ("pages", "shops", "both"):
            try:
                look(client, view)
            except (Silent, Refused):
                continue
        rounds[0] += 1
        time.sleep(0.01)
    client.close()


def wait_complete(view, what, exactly=False):
    client = cluster.serving()

    def complete():
        expect(not failures, failures)
        try:
            return look(client, view, exactly) == len(KEYS[view])
        except (Silent, Refused):
            return False

    wait_for(complete, 60, f"{view} is answered completely {what}")
    client.close()


def wait_asked(what):
    """Until every view has been asked for since."""
    before = rounds[0]
    wait_for(lambda: rounds[0] > before + 1, 30, f"every view is asked for {what}")


for work in *((send_steadily, i) for i in range(3)), (query_steadily,):
    threads.start(*work)
try:
    for view in ("pages", "shops", "both"):
        wait_complete(view, "at the start")
    for round in range(2):
        for name in ("speed-worker-1", "speed-worker-2"):
            cluster[name].kill()
            wait_asked(f"without {name}")
            cluster[name].start()
            cluster.wait_ready()
            for view in ("pages", "shops", "both"):
                wait_complete(view, f"after kill -9 of {name}")
        cluster.recompute()
    cluster.write({"late.yaml": LATE})
    cluster.done("apply", "--yes")
    cluster["speed-worker-1"].kill()
    cluster["batch-worker-1"].kill()
    cluster["speed-worker-1"].start()
    cluster["batch-worker-1"].start()
    wait_complete("all", "by its new key")
    cluster.recompute()
finally:
    threads.end()
expect(not failures, failures)
for after in ("the last event", "a last recompute"):
    for view in KEYS:
        wait_complete(view, f"after {after}", exactly=True)
    cluster.recompute()
print(f"{known()['all'][()][0]} events by {len(KEYS)} keys")
cluster.stop()
