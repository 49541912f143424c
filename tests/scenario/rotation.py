"""All keys are changed while events and queries flow: a client's, then the nodes' own. No query fails, no
acknowledgement is lost, and at the end the old keys are good for nothing, over old connections too."""

import os
import signal
import subprocess
import threading

from cluster import BIN, SLOWER, Cluster, expect, expect_equal, now_us, wait_for
from definitions import CLICKS
from wire import Client, Keys, Producer, Refused, Silent

TIME_LIMIT = 120


cluster = Cluster({"clicks.yaml": CLICKS}, secured=True)
keys = cluster.keys
cluster.keygen("team", "reader")
cluster.keygen("feed", "producer")
old_node = Keys(keys / "client.secret").servers[0]
cluster.start()
SERVING = f"tcp://127.0.0.1:{cluster.port + 1}"
SPEED = [f"tcp://127.0.0.1:{cluster.port + at}" for at in (11, 12)]
NODES = {"coordinator": 0, "serving-1": 1, "speed-worker-1": 11, "speed-worker-2": 12}


class Flow(threading.Thread):
    """Calls `step` until told to stop; what it raises is a failure."""

    def __init__(self, name, step):
        super().__init__(daemon=True)
        self.what, self.step, self.steps, self.stop, self.error = name, step, 0, False, None
        self.start()

    def run(self):
        try:
            while not self.stop:
                self.step(self.steps)
                self.steps += 1
        except Exception as error:  # told by check()
            self.error = error

    def check(self):
        expect(self.error is None, self.what, self.error)
        return self.steps


# A producer and a reader that keep their connections, in Python: on silence they look at the files and
# try again, as docs/security.md asks of clients.
class Retrying(Client):
    def ask(self, kind, body=None, seconds=10):
        for attempt in range(10):
            try:
                return super().ask(kind, body, SLOWER)
            except Silent:
                self.keys.next()
            except Refused as error:
                if error.status != "denied" or attempt == 9:
                    raise
                self.close()
                self.keys.next()
        raise Silent(f"no answer to {kind} from {self.endpoint} in 10 attempts")


feed = Producer([])
feed.clients = [Retrying(endpoint, Keys(keys / "feed.secret")) for endpoint in SPEED]
reader = Retrying(SERVING, Keys(keys / "team.secret"))
acknowledged = 0


def send(step):
    global acknowledged
    reply = feed.send("clicks", ["user", "ts"], [[f"u{step % 7}", now_us()]])
    expect_equal(reply["accepted"], 1)
    acknowledged = step + 1


def ask(step):
    sure = acknowledged
    found = reader.get("per_user", [{"user": f"u{n}"} for n in range(7)], deadline_ms=5000 * int(SLOWER))
    expect(all(result["complete"] for result in found), found)
    total = sum(result["features"]["n"] or 0 for result in found)
    expect(total >= sure, f"{total} counted, {sure} acknowledged")


# The C client: `weir get` again and again, and one `weir send` for the whole of it.
def command(step):
    run = cluster.weir("get", "per_user", "user=u1", "--json", "--key", keys / "team.secret")
    expect_equal(run.code, 0, run)


pipe = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "send", "clicks", "-", "--key",
                         keys / "feed.secret"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True)


def feed_command(step):
    pipe.stdin.write('{"user": "piped", "ts": %d}\n' % now_us())
    pipe.stdin.flush()
    threading.Event().wait(0.002)  # a pace, not a wait for something


flows = [Flow("the producer", send), Flow("the reader", ask), Flow("weir get", command),
         Flow("weir send", feed_command)]


def progress(more=5):
    """All flows get on."""
    at = [flow.check() for flow in flows]
    wait_for(lambda: all(flow.check() >= then + more for flow, then in zip(flows, at)), 40,
             f"all get on from {at}; they are at {[flow.steps for flow in flows]}")


def metric(name, what):
    client = Client(f"tcp://127.0.0.1:{cluster.port + NODES[name]}", Keys(keys / "client.secret"))
    try:
        return client.ask("metrics", seconds=2)["values"][what]
    finally:
        client.close()


def everywhere(what, wanted):
    def all_have():
        return all(metric(name, what) == wanted for name in NODES)
    wait_for(all_have, 20, f"{what} is {wanted} at every node")


progress()

# ---- the clients' keys ----

clinging = Client(SERVING, Keys(keys / "team.secret"))  # keeps the old key, whatever comes
clinging_node = Client(SPEED[0], Keys(keys / "node.secret"))
expect(clinging.get("per_user", [{"user": "u1"}]), "before")
for name, role in (("team", "reader"), ("feed", "producer")):
    cluster.keygen(f"{name}2", role)
everywhere("keys_accepted", 6)
for name, role in (("team", "reader"), ("feed", "producer")):
    os.replace(keys / f"{name}2.secret", keys / f"{name}.secret")
progress()
for name, role in (("team", "reader"), ("feed", "producer")):
    (keys / "accepted" / f"{name}.{role}.pub").unlink()
everywhere("keys_accepted", 4)
try:
    raise AssertionError(f"the old key still has answers: {clinging.ask('ping')}")
except Refused as error:  # over the connection that it had
    expect_equal(error.status, "denied", error)
progress()

# ---- the nodes' key ----

expect_equal(clinging_node.ask("ping")["node"], "speed-worker-1")
cluster.keygen("node2", "node")
everywhere("keys_accepted", 5)
progress()
os.replace(keys / "node2.secret", keys / "node.secret")
for node in cluster.nodes.values():
    node.process.send_signal(signal.SIGHUP)


def new_key_listens(above):
    try_new = Keys(keys / "client.secret")
    try_new.servers = [server for server in try_new.servers if server != old_node]
    client = Client(f"tcp://127.0.0.1:{cluster.port + above}", try_new)
    try:
        return client.ask("ping", seconds=1)
    finally:
        client.close()


for above in NODES.values():
    wait_for(lambda: new_key_listens(above), 20, f"port + {above} has the new key")
progress()
(keys / "accepted" / "node.node.pub").unlink()
everywhere("keys_accepted", 4)
progress()

# The nodes' old key is neither accepted nor trusted any more.
stale = Keys(keys / "client.secret")
stale.servers = [old_node]
for client in (clinging_node, Client(SPEED[0], stale)):
    try:
        raise AssertionError(f"the nodes' old key is good for: {client.ask('ping', seconds=1)}")
    except (Silent, Refused) as error:
        expect(isinstance(error, Silent) or error.status == "denied", error)
    client.close()
Keys.default = Keys(keys / "client.secret")
cluster.recompute()  # every kind of node works with every other
progress()

# ---- nothing was lost, nothing counts twice ----

for flow in flows:
    flow.stop = True
for flow in flows:
    flow.join(30 * SLOWER)
    flow.check()
out, err = pipe.communicate(timeout=60 * SLOWER)
expect_equal(pipe.returncode, 0, err)
piped = flows[3].steps
[result] = Client(SERVING).get("per_user", [{"user": "piped"}])
expect_equal(result["features"]["n"], piped, "events of weir send")
found = Client(SERVING).get("per_user", [{"user": f"u{n}"} for n in range(7)])
expect_equal(sum(result["features"]["n"] for result in found), acknowledged, "acknowledged events")
print(f"{acknowledged} + {piped} events, {flows[1].steps} + {flows[2].steps} queries")
cluster.stop()
