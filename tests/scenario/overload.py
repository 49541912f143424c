"""Twice what a speed worker can keep up with, from several producers that do not wait for one
another: memory stays under its limit, producers are told when to come back, queries go on, what is
taken in does not collapse, and nothing that was acknowledged is missing.

OVERLOAD_MINUTES=10 for as long as that; by default half a minute, which is three recomputes."""
import multiprocessing
import os
import random
import threading
import time

import msgpack
import zmq

from cluster import Cluster, SLOWER, expect, expect_equal, now_us
from wire import Client, Refused, Silent

MINUTES = float(os.environ.get("OVERLOAD_MINUTES", "0.5"))
TIME_LIMIT = 1000
ALONE = True  # it compares rates that it measures one after the other
LIMIT = 96 << 20  # bytes, of the speed worker
# What a process takes beside what it counts: code, sockets, messages being read, the allocator.
BESIDE = 64 << 20
PRODUCERS, ROWS, KEYS = 4, 200, 200_000
WINDOW = 64  # batches of a producer that may be unacknowledged
WARM, MEASURE = 10, 15  # seconds: memory that is still free is taken first, which says nothing

DEFINITIONS = """
streams:
  clicks:
    key: user
    time: ts
    fields: {user: string, page: string, amount: int64, ts: {type: timestamp, unit: us}}
views:
  browsing:
    from: clicks
    features:
      n: count() over 1h, lifetime
      spent: sum(amount) over 1h
"""
COLUMNS = ["user", "page", "amount", "ts"]


class Load(multiprocessing.Process):
    """A producer in a process of its own. `rate` batches a second, whatever comes of them; 0: as
    fast as they are acknowledged. What finds the window full is not sent: it is counted as lost
    by the load and not by weir."""

    def __init__(self, endpoint, number, rate, seconds, results):
        super().__init__(daemon=True)
        self.endpoint, self.number, self.rate = endpoint, number, rate
        self.seconds, self.results = seconds, results

    def rows(self):
        now = now_us()
        return [[f"u{self.random.randrange(KEYS)}", "/a/page/of/some/length", 1, now + i]
                for i in range(ROWS)]

    def transmit(self, sequence):
        self.waits.add(sequence)
        self.socket.send(self.open[sequence])

    def take(self, message):
        _, _, kind, sequence, body = msgpack.unpackb(message)
        if sequence not in self.waits:
            return
        self.waits.remove(sequence)
        if kind == "send.ok":
            self.accepted += body["accepted"]
            del self.open[sequence]
            return
        self.told[body["status"]] = self.told.get(body["status"], 0) + 1
        if body["status"] not in ("busy", "no-space", "unavailable", "timeout", "fenced"):
            raise AssertionError(body)
        self.without_time += body["status"] == "busy" and "retry_ms" not in body
        wait = body.get("retry_ms", 100) / 1000
        self.longest = max(self.longest, wait)
        self.again.append((time.monotonic() + wait * random.uniform(1, 1.5), sequence))

    def step(self, wait_ms):
        if self.socket.poll(wait_ms):
            try:
                while True:
                    self.take(self.socket.recv_multipart(zmq.NOBLOCK)[-1])
            except zmq.Again:
                pass
        now = time.monotonic()
        due = [s for at, s in self.again if at <= now]
        self.again = [(at, s) for at, s in self.again if at > now]
        for sequence in due:
            if sequence in self.open:
                self.transmit(sequence)

    def run(self):
        os.nice(10)  # producers are elsewhere: what they do not send is not work that the cluster does
        self.random = random.Random(self.number)
        self.socket = zmq.Context().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(self.endpoint)
        producer = (time.time_ns() // 1000).to_bytes(8, "big") + os.urandom(8)
        self.open, self.waits, self.accepted = {}, set(), 0  # messages, and those not answered
        self.told, self.again, self.longest, self.without_time = {}, [], 0, 0
        sequence, skipped = 0, 0
        begun = time.monotonic()
        end, due = begun + WARM + self.seconds, begun
        counted = None  # what was accepted when it was warm
        ready = [self.rows() for _ in range(8)]
        while (now := time.monotonic()) < end:
            if counted is None and now - begun >= WARM:
                counted = self.accepted
            if self.rate and now < due:
                self.step(int((due - now) * 1000))
                continue
            due += 1 / self.rate if self.rate else 0
            full = len(self.open) >= (WINDOW if self.rate else 8) or (
                self.open and sequence + 1 - min(self.open) >= WINDOW)
            if full:
                skipped += self.rate > 0
                self.step(0 if self.rate else 10)
                continue
            sequence += 1
            rows = ready[sequence % 8]
            now = now_us()
            for i, row in enumerate(rows):  # other users each time
                row[0], row[3] = f"u{self.random.randrange(KEYS)}", now + i
            self.open[sequence] = msgpack.packb(
                ["weir", 1, "send", sequence,
                 {"stream": "clicks", "producer": producer, "sequence": sequence,
                  "oldest": min(self.open, default=sequence), "columns": COLUMNS, "rows": rows}])
            self.transmit(sequence)
            self.step(0)
        took = time.monotonic() - begun - WARM
        in_time = self.accepted - (counted or 0)
        patience = time.monotonic() + 60 * SLOWER  # the rest comes through when there is room again
        while self.open and time.monotonic() < patience:
            self.step(50)
        self.results.put({"accepted": self.accepted, "in_time": in_time, "seconds": took,
                          "open": len(self.open), "told": self.told, "skipped": skipped,
                          "offered": sequence * ROWS, "longest": self.longest,
                          "without_time": self.without_time})


def run_load(endpoint, rate, seconds, numbers):
    """All producers together: the sums of what they say."""
    results = multiprocessing.Queue()
    loads = [Load(endpoint, n, rate, seconds, results) for n in numbers]
    for load in loads:
        load.start()
    found = [results.get(timeout=WARM + seconds + 120 * SLOWER) for _ in loads]
    for load in loads:
        load.join()
    told = {}
    for one in found:
        for status, count in one["told"].items():
            told[status] = told.get(status, 0) + count
    sums = {name: sum(one[name] for one in found)
            for name in ("accepted", "in_time", "open", "skipped", "offered", "without_time")}
    sums["rate"] = sum(one["in_time"] / one["seconds"] for one in found)
    return dict(sums, told=told, longest=max(one["longest"] for one in found))


class Watch(threading.Thread):
    """What the nodes take of memory, and how long a query takes, while something goes on."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.ended = cluster, threading.Event()
        self.high, self.times, self.late, self.problem = {}, [], 0, None

    def rss(self, node):
        with open(f"/proc/{node.pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmRSS"].split()[0]) << 10

    def run(self):
        client = Client(f"tcp://127.0.0.1:{self.cluster.port + 1}")
        try:
            while not self.ended.wait(0.2):
                for node in self.cluster.nodes.values():
                    self.high[node.name] = max(self.high.get(node.name, 0), self.rss(node))
                asked = time.monotonic()
                try:
                    client.get("browsing", [{"user": f"u{random.randrange(KEYS)}"}], seconds=10)
                    self.times.append(time.monotonic() - asked)
                except (Refused, Silent):
                    self.late += 1
        except Exception as error:  # told by the scenario
            self.problem = error
        client.close()

    def stop(self):
        self.ended.set()
        self.join()
        if self.problem:
            raise self.problem


def total(cluster):
    """Events in the answers of all users."""
    client, count = cluster.serving(), 0
    for at in range(0, KEYS, 4000):
        keys = [{"user": f"u{i}"} for i in range(at, min(at + 4000, KEYS))]
        for result in client.get("browsing", keys, seconds=60, deadline_ms=20000,
                                 features=["n_lifetime"]):
            expect(result["complete"], "not complete:", result)
            count += result["features"]["n_lifetime"]
    return count


def main():
    cluster = Cluster({"clicks.yaml": DEFINITIONS}, partitions=4, speed_workers=1, every="10s",
                      settings=f"limits: {{speed_memory: {LIMIT >> 20}MiB}}\n").start()
    endpoint = f"tcp://127.0.0.1:{cluster.port + 11}"
    # What it sustains: as fast as it acknowledges, recomputes included.
    sustained = run_load(endpoint, 0, MEASURE, range(PRODUCERS))
    seconds = MINUTES * 60
    offered = 2 * sustained["rate"]
    watch = Watch(cluster)
    watch.start()
    over = run_load(endpoint, offered / ROWS / PRODUCERS, seconds,
                    range(PRODUCERS, 2 * PRODUCERS))
    watch.stop()
    # and again: history has grown, and a recompute takes as long as that is
    after = run_load(endpoint, 0, MEASURE, range(2 * PRODUCERS, 3 * PRODUCERS))
    sustained_least = min(sustained["rate"], after["rate"])
    metrics = cluster.speed().ask("metrics")["values"]
    times = sorted(watch.times)
    p99 = times[int(len(times) * 0.99)] if times else None
    print(f"sustained {sustained['rate']:,.0f} events/s before and {after['rate']:,.0f} after; offered {offered:,.0f}/s for "
          f"{seconds:.0f} s: taken in {over['rate']:,.0f}/s "
          f"({over['rate'] / sustained_least:.0%}), told to wait {over['told']}, "
          f"longest {over['longest']:.2f} s; {over['skipped']} batches were not sent")
    print("highest RSS, MiB:", {name: high >> 20 for name, high in watch.high.items()},
          "limit", LIMIT >> 20)
    print({name: f"{value / 2**20:.1f}" for name, value in metrics.items() if "memory" in name})
    print(f"{len(times)} queries, p50 {times[len(times) // 2] * 1000:.1f} ms, "
          f"p99 {p99 * 1000:.1f} ms, {watch.late} not answered")
    expect(watch.high["speed-worker-1"] < LIMIT + BESIDE, "RSS is over the limit")
    expect_equal(over["open"] + sustained["open"] + after["open"], 0, "batches that were never acknowledged")
    expect_equal(over["without_time"], 0, "told to wait, but not how long")
    expect(watch.late == 0 and p99 < 2 * SLOWER, "queries are held up")
    expect_equal(total(cluster), sustained["accepted"] + over["accepted"] + after["accepted"],
                 "acknowledged events")
    # A fall to a half or less is a collapse; producers, which weigh less, still take of the same processors.
    expect(over["rate"] >= 0.6 * sustained_least, "what is taken in collapses")
    cluster.stop()


if __name__ == "__main__":
    main()
