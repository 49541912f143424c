"""Clients that would hold a node's memory, or its time, for themselves: one that never reads its
answers, one whose message never ends, one that sends a byte a second, thousands that say nothing,
and one that asks for the most expensive answer again and again. The nodes' memory stays bounded,
and others are answered within a bound all the while."""
import os
import socket
import threading
import time

import msgpack
import zmq

from cluster import SLOWER, Cluster, expect, now_us, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 400
MIB = 1 << 20
CROWD = int(os.environ.get("STUCK_CONNECTIONS", "6000"))
BESIDE = 330 * MIB  # of a node: what connections may hold (256 MiB), and the process itself
AT_ONCE = 8  # queries of one client that owners are asked for

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
      n: count() over 1h, lifetime
      pages: count() by page over 1d
"""

cluster = Cluster({"visits.yaml": DEFINITIONS}, partitions=2, speed_workers=1).start()
producer = Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])
now = now_us()
for start in range(0, 4000, 500):
    producer.send("visits", ["who", "page", "ts"],
                  [[f"u{i}", f"/page/{i % 400}", now - i] for i in range(start, start + 500)])
    producer.send("visits", ["who", "page", "ts"],
                  [["heavy", f"/page/{i}", now - i] for i in range(start, start + 500)])


def rss(name):
    with open(f"/proc/{cluster[name].pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) << 10


class Others(threading.Thread):
    """Somebody who asks for one answer after the other, and how long the slowest took."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ended, self.slowest, self.count, self.problem = threading.Event(), 0, 0, None
        self.high = {"serving-1": 0, "speed-worker-1": 0}
        self.start()

    def run(self):
        client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
        while not self.ended.wait(0.02) and not self.problem:
            begun = time.monotonic()
            try:
                client.get("browsing", [{"who": f"u{self.count % 4000}"}], seconds=10 * SLOWER,
                           features=["n_1h"])
            except (Refused, Silent) as error:
                self.problem = error
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.count += 1
            for name in self.high:
                self.high[name] = max(self.high[name], rss(name))
        client.close()

    def stop(self, what):
        before = self.count  # the node may still be at what was sent to it
        wait_for(lambda: self.problem or self.count >= before + 50, 60, "others are answered")
        self.ended.set()
        self.join()
        print(f"{what}: {self.count} other queries, the slowest {self.slowest * 1000:.0f} ms;",
              "anonymous RSS, MiB:", {name: high // MIB for name, high in self.high.items()})
        expect(not self.problem, "others while", what, ":", self.problem)
        expect(self.count > 0 and self.slowest < BOUND, "others waited while", what,
               "longer than", BOUND)
        for name, high in self.high.items():
            expect(high < BESIDE, name, "holds too much memory while", what)


def connect(above):
    """A connection that has shaken hands: bytes of ZMTP 3 without security."""
    raw = socket.create_connection(("127.0.0.1", cluster.port + above))
    raw.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 32))
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    raw.sendall(b"\x04" + bytes([len(ready)]) + ready)
    raw.settimeout(10 * SLOWER)
    got = b""
    while len(got) < 64 + 43:
        more = raw.recv(4096)
        expect(more, "the node hung up during the handshake")
        got += more
    return raw


def frame(body):
    return b"\x02" + len(body).to_bytes(8, "big") + body


def get(number, keys, features=None):
    body = {"view": "browsing", "keys": keys}
    return msgpack.packb(["weir", 1, "get", number, dict(body, features=features)
                          if features else body])


HEAVY = [{"who": "heavy"}] * 60
begun = time.monotonic()
cluster.serving().get("browsing", HEAVY)
# Others wait for no more than a client's share of expensive ones; on a machine that does more besides.
BOUND = max(5.0, 3 * AT_ONCE * (time.monotonic() - begun))

# ---- answers that are never read ----
others = Others()
stuck = connect(1)
stuck.setblocking(False)
question = frame(get(1, HEAVY))
deadline = time.monotonic() + 15 * SLOWER
sent = 0
while sent < 2000 and time.monotonic() < deadline:
    try:
        stuck.sendall(question)
        sent += 1
    except BlockingIOError:
        time.sleep(0.01)  # the node takes no more for the moment, which is as well
others.stop(f"{sent} answers are not read")
stuck.close()

# ---- a message that never ends ----
others = Others()
endless = connect(1)
piece = b"\x03" + MIB.to_bytes(8, "big") + bytes(MIB)
sent = 0
try:
    while sent < 2048:
        endless.sendall(piece)
        sent += 1
except OSError:
    pass
others.stop(f"a message of {sent} MiB has no end")
expect(sent < 1024, "it was never cut off")
endless.close()

# ---- a byte a second, and connections that say nothing ----
others = Others()
slow = connect(1)
head = b"\x02" + (16 * MIB - 100).to_bytes(8, "big")
slow.sendall(head)
crowd = []
try:
    for i in range(CROWD):
        crowd.append(socket.create_connection(("127.0.0.1", cluster.port + 1), 10 * SLOWER))
        if i % 500 == 0:
            slow.sendall(b"x")
except OSError as error:
    print(f"{len(crowd)} connections: {error}")
others.stop(f"{len(crowd)} connections say nothing")
wait_for(lambda: len(os.listdir(f"/proc/{cluster['serving-1'].pid}/fd")) < 500, 30,
         "silent connections are ended")
for one in crowd:
    one.close()
slow.close()

# ---- the most expensive question, as fast as it is answered ----
others = Others()
greedy = zmq.Context.instance().socket(zmq.DEALER)
greedy.linger = 0
greedy.connect(f"tcp://127.0.0.1:{cluster.port + 1}")
deadline = time.monotonic() + 6
asked = answered = told = 0
while time.monotonic() < deadline:
    while asked - answered < 100:
        asked += 1
        greedy.send(get(asked, HEAVY))
    if greedy.poll(100):
        kind = msgpack.unpackb(greedy.recv())[2]
        told += kind == "error"
        answered += 1
greedy.close()
others.stop(f"{answered} expensive questions ({told} refused)")
cluster.stop()
