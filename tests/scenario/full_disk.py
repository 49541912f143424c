"""A full disk: events are refused with a clear reason and a time before a write fails, queries go
on all the while, every acknowledgement holds, and once there is room it goes on by itself: while
events are sent, during a recompute, and for a load. Then the disk is filled to the last byte at
once, so that writes do fail."""
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

from cluster import BIN, SLOWER, Cluster, expect, expect_equal, now_us, skip, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 400
RESERVE = 12 << 20

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
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "weir", disk]).returncode != 0:
    skip("this needs to mount a small tmpfs")

cluster = Cluster({"notes.yaml": DEFINITIONS}, partitions=1, speed_workers=1,
                  settings=f"data: {disk}/data\nlease: {3 * int(SLOWER)}s\n"
                           f"limits: {{disk_reserve: {RESERVE >> 20}MiB}}\n").start()
client = cluster.serving()
producer = Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])
ballast = disk / "ballast"


def free():
    space = os.statvfs(disk)
    return space.f_bavail * space.f_frsize


def fill(left):
    """Somebody else's bytes take the disk, but for `left`."""
    with open(ballast, "wb") as file:
        file.write(bytes(max(free() - left, 0)))


def batch():
    return [["a", os.urandom(500).hex(), now_us()] for _ in range(200)]


def send(rows, seconds=30):
    return producer.send("notes", ["author", "note", "ts"], rows, seconds=seconds)["accepted"]


def count(asked=client):
    """None when the answer is not complete."""
    [result] = asked.get("writing", [{"author": "a"}], deadline_ms=2000 * int(SLOWER), seconds=10 * SLOWER)
    return result["features"]["n"] if result["complete"] else None


def counted():
    return wait_for(count, 20, "a complete answer")


class Questions(threading.Thread):
    """Asks all the time; every answer must be complete and none may go back."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ended, self.asked, self.problem, self.slowest = threading.Event(), 0, None, 0
        self.start()

    def run(self):
        own, before = Client(f"tcp://127.0.0.1:{cluster.port + 1}"), 0
        while not self.ended.wait(0.02) and not self.problem:
            begun = time.monotonic()
            try:
                found = count(own)
                if found is None or found < before:
                    self.problem = f"{found} after {before}"
                before, self.asked = found, self.asked + 1
            except (Refused, Silent) as error:
                self.problem = error
            self.slowest = max(self.slowest, time.monotonic() - begun)
        own.close()

    def stop(self, what):
        self.ended.set()
        self.join()
        expect(not self.problem, "queries while", what, ":", self.problem)
        expect(self.asked > 0, "nothing was asked while", what)


def epochs():
    return [owner["epoch"] for owner in cluster.ask_coordinator("routes")["owners"]]


def refusal(seconds=10):
    """Sends until there is no room, coming back when it is only being looked at: what is
    acknowledged, and the refusal."""
    acked = 0
    asked = cluster.speed()
    deadline = time.monotonic() + seconds * SLOWER
    while time.monotonic() < deadline:
        producer.sequence += 1
        body = {"stream": "notes", "producer": producer.id, "sequence": producer.sequence,
                "oldest": producer.sequence, "columns": ["author", "note", "ts"], "rows": batch()}
        try:
            acked += asked.ask("send", body, 5)["accepted"]
        except Refused as error:
            producer.sequence -= 1
            if error.status != "busy":
                return acked, error
    raise AssertionError("the disk never became full")


# ---- it fills while events are sent ----
acked = send(batch())
owners = epochs()
questions = Questions()
fill(RESERVE + (2 << 20))
more, error = refusal()
acked += more
expect_equal(error.status, "no-space", str(error))
expect("MiB free, needs" in error.text and "disk_reserve" in error.text, error.text)
expect(error.body.get("retry_ms", 0) > 0, "no time to wait:", error.body)
fill(RESERVE - (1 << 20))
shown = cluster.done("status").out
expect("the disk is full" in shown, shown)
command = cluster.weir("load", "notes", "-", input="author,note,ts\na,b,2026-01-01T00:00:00Z\n")
expect(command.code == 1 and "is full" in command.err and "make room" in command.err, command)
expect(not list((disk / "data/incoming").iterdir()), "what was not loaded stays")
# who sends without a terminal is told why nothing goes on, once the owner has looked at the disk again
wait_for(lambda: cluster.speed().ask("metrics", {}, 5)["values"]["disk_free"] < RESERVE, 10,
         "the owner sees that the disk is full")
sender = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "send", "notes", "-"], stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
sender.stdin.write('{"author":"b","note":"b","ts":"2026-01-01T00:00:00Z"}\n')
sender.stdin.close()
line = sender.stderr.readline()
expect("no room, waiting" in line and "disk_reserve" in line, line)
sender.kill()
sender.wait()
# what could not be written whole is removed, but for a device
device = Path("device")
os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))  # /dev/full
command = cluster.weir("generate", "payments", "--output", device.absolute())
expect(command.code == 1 and "No space left" in command.err and device.is_char_device(), command)
# a recompute is what makes room, of the log: it may use half of what is reserved
cluster.recompute()
expect_equal(counted(), acked, "after a recompute on a full disk")
ballast.unlink()
room = time.monotonic()
acked += send(batch(), 10)
took = time.monotonic() - room
expect(took < 3 * SLOWER, f"it took {took:.1f} s to go on")
expect_equal(epochs(), owners, "a partition was given up")
questions.stop("the disk was full")

# ---- a recompute, and a load that is under way, wait for room ----
questions = Questions()
source = Path("more.csv")
source.write_text("author,note,ts\n" + "a,x,2026-01-01T00:00:00Z\n" * 20000)
worker = cluster["batch-worker-1"]
worker.pause()  # so that the disk can fill between the copy and the parsing
command = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "load", "notes", source],
                           stdin=subprocess.DEVNULL)


def loads():
    return cluster.ask_coordinator("loads")["loads"]


wait_for(loads, 20, "the load is known")
fill(RESERVE // 4)
worker.resume()
wait_for(lambda: "is full" in loads()[0].get("error", ""), 20, "the load says why it waits")
waiting = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "recompute", "--wait"], stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def recomputes():
    return cluster.ask_coordinator("recomputes")["recomputes"]


wait_for(lambda: any("is full" in r.get("error", "") for r in recomputes()), 20, "the recompute says why it waits")
# who waits for it without a terminal is told so
line = waiting.stderr.readline()
expect("waits: " in line and "is full" in line, line)
ballast.unlink()
expect_equal(waiting.wait(30 * SLOWER), 0, "the recompute goes on by itself")
wait_for(lambda: loads()[0]["state"] == "visible", 30, "the load goes on by itself")
expect_equal(command.wait(20 * SLOWER), 0, "weir load")
acked += 20000
acked += send(batch(), 10)
questions.stop("recompute and load waited")
expect_equal(counted(), acked, "acknowledged events")

# ---- all at once: writes fail, the owner gives up, and another takes it when there is room ----
fill(0)
failed = None
for _ in range(40):
    rows = batch()
    try:
        acked += send(rows, 2)
    except (AssertionError, Refused, Silent) as error:
        failed = error
        break
expect(failed, "events are taken on a disk without a byte")
ballast.unlink()
producer.sequence -= 1  # the batch that failed is sent again as it was: it counts once
acked += send(rows, 30)
expect_equal(counted(), acked, "acknowledged events")
cluster.recompute()
expect_equal(counted(), acked, "after a recompute")
cluster.stop()
