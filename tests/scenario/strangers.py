"""Who has no business here: no key, a wrong key, a key whose role may not, and bytes of every kind on
every port. All of it is refused and counted, and the cluster answers all the time."""

import os
import socket
import struct
import threading
from pathlib import Path

import msgpack
import zmq

from cluster import SLOWER, Cluster, expect, expect_equal, now_us, wait_for
from definitions import CLICKS
from wire import Client, Keys, Producer, Refused, Silent

TIME_LIMIT = 300


cluster = Cluster({"clicks.yaml": CLICKS}, secured=True)
reader, producer = cluster.keygen("team", "reader"), cluster.keygen("feed", "producer")
cluster.start()
PORTS = {"coordinator": 0, "serving-1": 1, "speed-worker-1": 11, "speed-worker-2": 12}


def metrics(name):
    client = Client(f"tcp://127.0.0.1:{cluster.port + PORTS[name]}")
    try:
        return client.ask("metrics")["values"]
    finally:
        client.close()


def total(what):
    return sum(metrics(name)[what] for name in PORTS)


def refused(status, ask):
    try:
        answer = ask()
    except Refused as error:
        expect_equal(error.status, status, error)
        return
    raise AssertionError(f"not refused: {answer}")


def silent(client):
    try:
        answer = client.ask("ping", seconds=1)
    except Silent:
        return
    finally:
        client.close()
    raise AssertionError(f"let in: {answer}")


# ---- the steady part: a query and a batch, again and again, by those who may ----

class Steady(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.stop, self.sent, self.asked, self.error = False, 0, 0, None

    def run(self):
        speed = [f"tcp://127.0.0.1:{cluster.port + at}" for at in (11, 12)]
        feed = Producer(speed, producer)
        client = Client(f"tcp://127.0.0.1:{cluster.port + 1}", reader)
        try:
            while not self.stop:
                feed.send("clicks", ["user", "ts"], [["steady", now_us()]])
                self.sent += 1
                [result] = client.get("per_user", [{"user": "steady"}], seconds=5)
                expect(result["complete"], result)
                expect_equal(result["features"]["n"], self.sent)
                self.asked += 1
        except Exception as error:  # told at the end
            self.error = error


steady = Steady()
steady.start()
wait_for(lambda: steady.asked > 0 or steady.error, 10, "the first answer")
expect(steady.error is None, "the steady client:", steady.error)

# ---- no key, a wrong key, the wrong server ----

at = f"tcp://127.0.0.1:{cluster.port + 1}"
before = metrics("serving-1")
nobody = Client(at)
nobody.keys = None
silent(nobody)
wait_for(lambda: metrics("serving-1")["handshakes_failed"] +
         metrics("serving-1")["handshakes_broken_off"] >
         before["handshakes_failed"] + before["handshakes_broken_off"], 5, "no key is counted")
# the command is told which setting it lacks, whatever it wants
unset = cluster.directory.parent / "unset"
(unset / "features").mkdir(parents=True)
(unset / "weir.yaml").write_text((cluster.directory / "weir.yaml").read_text().replace("security: {keys: ./keys}\n", ""))
for words in (["status"], ["get", "per_user", "user=steady"], ["send", "clicks", "-"], ["apply", "--yes"]):
    run = cluster.weir(*words, "-C", unset, input='{"user": "x", "ts": "2025-03-01T12:00:00Z"}\n')
    expect(run.code == 1 and "wants a key" in run.err and "security: {keys: DIR}" in run.err, words, run)
stray = cluster.keygen("stray", "admin")
(cluster.keys / "accepted" / "stray.admin.pub").unlink()
wait_for(lambda: metrics("serving-1")["keys_accepted"] == 4, 10, "the stray key is not accepted")
before = metrics("serving-1")
silent(Client(at, stray))
wait_for(lambda: metrics("serving-1")["handshakes_refused"] > before["handshakes_refused"], 5,
         "a key that is not accepted is counted")
before = metrics("serving-1")
mistaken = Keys(cluster.keys / "team.secret")
mistaken.servers = [stray.own[0]]
silent(Client(at, mistaken))
wait_for(lambda: metrics("serving-1")["handshakes_failed"] > before["handshakes_failed"], 5,
         "another server in mind is counted")
expect_equal(cluster.weir("get", "per_user", "user=steady", "--key", cluster.keys / "stray.secret").code,
             1, "the command, with a stray key")
run = cluster.weir("get", "per_user", "user=steady", "--key", cluster.keys / "none.secret")
expect(run.code == 1 and "weir keygen" in run.err, run)

# ---- roles ----

coordinator = f"tcp://127.0.0.1:{cluster.port}"
speed = f"tcp://127.0.0.1:{cluster.port + 11}"
denied = total("messages_denied")
batch = {"stream": "clicks", "producer": bytes(16), "sequence": 1, "oldest": 1, "columns": ["user", "ts"],
         "rows": [["x", now_us()]]}
as_reader, as_producer = Client(speed, reader), Client(at, producer)
refused("denied", lambda: as_reader.ask("send", batch))
refused("denied", lambda: as_producer.ask("get", {"view": "per_user", "keys": [{"user": "steady"}]}))
at_coordinator = {role: Client(coordinator, keys) for role, keys in
                  (("reader", reader), ("producer", producer), ("admin", None))}
for kind, body in (("apply", {"files": []}), ("delete", {"name": "clicks"}), ("recompute", {}),
                   ("unload", {"id": "x"})):
    refused("denied", lambda: at_coordinator["reader"].ask(kind, body))
    refused("denied", lambda: at_coordinator["producer"].ask(kind, body))
refused("denied", lambda: at_coordinator["producer"].ask("status"))
beat = {"node": "speed-worker-1", "kind": "speed-worker", "incarnation": 7, "cluster": "scenario",
        "definitions": 0}
for role in at_coordinator:  # not even an admin is a node
    refused("denied", lambda: at_coordinator[role].ask("beat", beat))
refused("denied", lambda: Client(speed).ask("append", {
    "stream": "clicks", "partition": 0, "producer": bytes(16), "sequence": 1, "oldest": 1,
    "columns": ["user", "ts"], "indexes": [0], "rows": [["x", now_us()]]}))
expect_equal(at_coordinator["reader"].ask("routes")["partitions"], 4)
expect_equal(total("messages_denied") - denied, 15, "each of them is counted")
run = cluster.weir("apply", "--yes", "--key", cluster.keys / "team.secret")
expect(run.code == 1 and "reader may not" in run.err, run)
for client in [as_reader, as_producer, *at_coordinator.values()]:
    client.close()

# ---- bytes ----

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00"


def greeting(mechanism, server=0):
    return GREETING + mechanism.ljust(20, b"\0") + bytes([server]) + bytes(31)


def command(name, body):
    payload = bytes([len(name)]) + name + body
    return b"\x06" + struct.pack(">Q", len(payload)) + payload


def junk(number):
    """Bytes of one kind or another, different each time."""
    noise = os.urandom(200)
    return [
        noise, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + noise, b"",
        GREETING[:number % 12], greeting(b"NULL"), greeting(b"PLAIN") + command(b"HELLO", b"\1a\1b"),
        greeting(b"CURVE"), greeting(b"CURVE")[:40], greeting(b"GSSAPI"),
        greeting(b"NULL") + command(b"READY", b"\x0bSocket-Type\0\0\0\6DEALER"),
        greeting(b"CURVE") + command(b"HELLO", b"\1\0" + bytes(70) + noise[:114]),
        greeting(b"CURVE") + command(b"INITIATE", noise), greeting(b"CURVE") + noise,
        greeting(b"CURVE") + b"\x06" + struct.pack(">Q", 1 << 62) + noise,
        greeting(b"CURVE") + b"\x06" + struct.pack(">Q", 15 << 20) + noise,
        greeting(b"CURVE") + b"\x02" + struct.pack(">Q", 100) + bytes(100),
    ][number % 17]


def throw(port, number):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        try:
            s.sendall(junk(number))
            if number % 3 == 0:
                s.settimeout(0.02)
                s.recv(100)
        except OSError:
            pass  # it hung up, or had nothing to say


def memory(name):
    text = Path(f"/proc/{cluster[name].pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) << 10


def bombard(rounds):
    for number in range(rounds):
        for above in PORTS.values():
            throw(cluster.port + above, number)


bombard(17 * 4)
held = {name: memory(name) for name in PORTS}
before = {name: metrics(name) for name in PORTS}
asked = steady.asked
bombard(17 * 30)
for name in PORTS:
    now = metrics(name)
    expect(now["connections_accepted"] - before[name]["connections_accepted"] >= 510, name, now)
    expect(now["handshakes_failed"] - before[name]["handshakes_failed"] >= 100, name, now)
    # those who did get in since are the ones who ask for the metrics, and the nodes themselves
    expect(now["handshakes_succeeded"] - before[name]["handshakes_succeeded"] <= 5, name, now)
wait_for(lambda: steady.asked > asked + 10 or steady.error, 20, "answers while strangers knock")

# Half a handshake, held open by many at once, is closed after its time.
held_open = []
for above in PORTS.values():
    for number in range(50):
        s = socket.create_connection(("127.0.0.1", cluster.port + above), timeout=5)
        s.sendall(greeting(b"CURVE"))
        held_open.append(s)


def all_closed():
    held_open[:] = [s for s in held_open if not is_closed(s)]
    return not held_open


def is_closed(s):
    try:
        s.settimeout(0.001)
        while s.recv(4096):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


wait_for(all_closed, 30, "half handshakes are closed")

# Whoever is accepted may send bytes that are no message; each is refused or dropped, and counted.
context = zmq.Context.instance()
for above in PORTS.values():
    s = context.socket(zmq.DEALER)
    s.linger = 0
    reader.use(s)
    s.connect(f"tcp://127.0.0.1:{cluster.port + above}")
    for number in range(200):
        s.send_multipart([
            [os.urandom(50)], [b""], [b"", b""], [b"x" * 255, b"y"], [b"x"] * 300,
            [msgpack.packb(["weir", 1, "get", number, {"view": 1}])],
            [msgpack.packb(["weir", 1, "get.ok", number, {}])],
            [msgpack.packb(["weir", 9, "ping", number, {}])],
            [msgpack.packb(["weir", 1, "poke", 0, {}])],
            [msgpack.packb(["weir", 1, "no such kind", number, {}])],
            [os.urandom(1 << 20)]][number % 11])
    s.send(msgpack.packb(["weir", 1, "ping", 77777, {}]))

    def answered():
        return s.poll(100) and msgpack.unpackb(s.recv_multipart()[-1])[3] == 77777

    wait_for(answered, 20, "an answer after all of that")
    s.close()
for name in PORTS:
    now = metrics(name)
    expect(now["messages_refused"] - before[name]["messages_refused"] >= 80, name, now)
    expect(now["messages_stray"] - before[name]["messages_stray"] >= 30, name, now)
    grown = memory(name) - held[name]
    # freed memory stays with AddressSanitizer for a while
    expect(grown < 24 << 20 or SLOWER > 1, name, f"has grown by {grown >> 10} KiB")

steady.stop = True
steady.join(20)
expect(steady.error is None, "the steady client:", steady.error)
expect(steady.asked > 50, steady.asked)
print(f"{steady.asked} answers meanwhile")
cluster.stop()
