"""A client on another host: a network namespace with an address of its own, no data directory, and of the
cluster's keys only the nodes' public one. Without security, nothing listens where it could be reached."""
import ctypes
import os
import socket
import subprocess

from cluster import BIN, Cluster, expect, expect_equal, skip, wait_for
from definitions import CLICKS

TIME_LIMIT = 120
NEW_NETWORK = 0x40000000  # CLONE_NEWNET
HERE, THERE = "10.77.0.1", "10.77.0.2"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


# This process moves to a network of its own, so that nothing of the machine's is touched; another one
# behind a cable is the other host.
if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
    skip("this needs to make network namespaces")
there = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
own = os.stat("/proc/self/ns/net").st_ino
wait_for(lambda: os.stat(f"/proc/{there.pid}/ns/net").st_ino != own, 10, "the other host is there")
on_there = ["nsenter", f"--net=/proc/{there.pid}/ns/net", "--"]
try:
    ip("link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(there.pid))
except (OSError, subprocess.CalledProcessError):
    skip("this needs ip (iproute2) and veth devices")
for name, address, before in (("cable0", HERE, []), ("cable1", THERE, on_there)):
    for words in (["addr", "add", f"{address}/24", "dev", name], ["link", "set", name, "up"],
                  ["link", "set", "lo", "up"]):
        subprocess.run([*before, "ip", *words], check=True)


class Reachable(Cluster):
    def endpoint(self, above):
        return f"tcp://{HERE}:{self.port + above}"


# ---- without security: refused, with what to do ----

bare = Reachable({"clicks.yaml": CLICKS}, directory="bare", secured=False)
run = bare.weir("check")
expect(run.code == 1 and "weir keygen" in run.err and "open: true" in run.err, run)
bare["serving-1"].start()
expect_equal(bare["serving-1"].process.wait(10), 1, bare["serving-1"].log())
expect("beyond this machine" in bare["serving-1"].log(), bare["serving-1"].log())

# ---- with keys: from the other host ----

cluster = Reachable({"clicks.yaml": CLICKS}, secured=True).start()
client = cluster.directory.parent / "client"
(client / "keys/accepted").mkdir(parents=True)
(client / "weir.yaml").write_text((cluster.directory / "weir.yaml").read_text())
(client / "keys/accepted/node.node.pub").write_text((cluster.keys / "accepted/node.node.pub").read_text())


def remotely(*words, input=None):
    return subprocess.run([*on_there, BIN / "weir", "-C", client, *words], input=input, text=True,
                          capture_output=True, timeout=30)


run = remotely("get", "per_user", "user=u1")
expect(run.returncode == 1 and "weir keygen client" in run.stderr, run)
for name, role in (("client", "admin"), ("feed", "producer"), ("team", "reader")):
    expect_equal(remotely("keygen", name, "--role", role).returncode, 0)
run = remotely("get", "per_user", "user=u1")
expect(run.returncode == 1 and "does not accept this key" in run.stderr, run)
for name, role in (("feed", "producer"), ("team", "reader")):  # the operator is sent two of them
    public = f"accepted/{name}.{role}.pub"
    (cluster.keys / public).write_text((client / "keys" / public).read_text())


def sent():
    run = remotely("send", "clicks", "-", "--key", str(client / "keys/feed.secret"),
                   input='{"user": "u1", "ts": "2025-03-01T12:00:00Z"}\n')
    return run.returncode == 0 or run.stderr


wait_for(lambda: sent() is True, 10, "the new key sends")
run = remotely("get", "per_user", "user=u1", "--json", "--key", str(client / "keys/team.secret"))
expect(run.returncode == 0 and '"n":1' in run.stdout, run)
run = remotely("apply", "--yes", "--key", str(client / "keys/team.secret"))
expect(run.returncode == 1 and "reader may not" in run.stderr, run)

# What goes over the cable cannot be read there: the name of the view is in every question.
cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
cable.bind(("cable0", 0))
cable.settimeout(0.2)
run = remotely("get", "per_user", "user=u1", "--key", str(client / "keys/team.secret"))
expect_equal(run.returncode, 0, run)
seen = b""
try:
    while True:
        seen += cable.recv(1 << 16)
except TimeoutError:
    pass
cable.close()
expect(b"CURVE" in seen and len(seen) > 1000, len(seen), "bytes on the cable")
expect(b"per_user" not in seen and b"user" not in seen, "a question in plain text")

cluster.stop()
there.stdin.close()
there.wait()
