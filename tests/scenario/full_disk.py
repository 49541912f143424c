"""A full disk: nothing is acknowledged that is not durable, the reason is told, and once there is
room it goes on by itself."""
import os
import subprocess
import sys
from pathlib import Path

from cluster import Cluster, expect, expect_equal, now_us, skip, wait_for
from wire import Producer, Refused

TIME_LIMIT = 120

DEFINITIONS = """
streams:
  notes:
    key: author
    time: ts
    fields: {author: string, note: string, ts: {type: timestamp, unit: us}}
views:
  writing:
    from: notes
    features: {n: count()}
"""

# In a mount namespace of its own: the small disk goes away with this process.
if "WEIR_OWN_MOUNTS" not in os.environ:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        skip("this needs to mount a small tmpfs")
    os.environ["WEIR_OWN_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
disk = Path("disk").absolute()
disk.mkdir()
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "weir", disk]).returncode != 0:
    skip("this needs to mount a small tmpfs")

cluster = Cluster({"notes.yaml": DEFINITIONS}, partitions=1, speed_workers=1,
                  settings=f"data: {disk}/data\nlease: 1s\n").start()
client = cluster.serving()
producer = Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])


def batch():
    return [["a", os.urandom(500).hex(), now_us()] for _ in range(200)]


def send(rows, seconds):
    return producer.send("notes", ["author", "note", "ts"], rows, seconds=seconds)["accepted"]


def count():
    [result] = client.get("writing", [{"author": "a"}], deadline_ms=500)
    return result["features"]["n"] if result["complete"] else None


acked, full = send(batch(), 10), None
ballast = disk / "ballast"
left = os.statvfs(disk)
with open(ballast, "wb") as file:
    file.write(bytes(left.f_bavail * left.f_frsize - (2 << 20)))
for _ in range(40):
    rows = batch()
    try:
        acked += send(rows, 3)
    except (AssertionError, Refused) as error:
        full = error
        break
expect(full, "the disk never became full")
log = cluster["speed-worker-1"].log()
expect("the disk is full" in log or "No space left" in log, "nothing is said of it:", log[-2000:])

ballast.unlink()
producer.sequence -= 1  # the batch that failed is sent again as it was: it counts once
acked += send(rows, 30)
wait_for(lambda: count() is not None, 20, "queries are complete again")
expect_equal(count(), acked, "acknowledged events")
acked += send(batch(), 10)
expect_equal(count(), acked, "acknowledged events")
cluster.recompute()
expect_equal(count(), acked, "after a recompute")
cluster.stop()
