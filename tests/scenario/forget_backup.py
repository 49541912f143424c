"""Backups and erased entities: a backup from before has the entity whole, one during which it is being erased has it
whole, too, one from after has nothing of it; and after a restore it can be erased again, for good."""
import random
import signal
import string
import subprocess
import time
from collections import defaultdict

from cluster import BIN, SLOWER, Cluster, expect, expect_equal, now_us, wait_for
from wire import Client, Producer

TIME_LIMIT = 240
SETTINGS = "lease: 3s\n"
STREAM = """
streams:
  hits:
    key: user
    time: ts
    fields: {user: string, shop: string, number: int64, ts: {type: timestamp, unit: us}}
views:
  users: {from: hits, features: {n: count(), total: sum(number)}}
  shops: {from: hits, key: shop, features: {n: count(), total: sum(number)}}
"""
COLUMNS = ["user", "shop", "number", "ts"]
SHOPS = ["a", "b", "c"]
ROWS = 60_000  # of the file that is loaded: so that a copy of the history takes a moment
dice = random.Random(11)
USERS = ["".join(dice.choice(string.ascii_letters) for _ in range(48)) for _ in range(8)]  # not to be compressed
FIRST, SECOND, THIRD = USERS[:3]  # are erased, one after the other

events = []  # (user, shop, number) that must be answered


def send(cluster, users, count):
    producer = Producer([cluster.endpoint(11), cluster.endpoint(12)])
    rows = [[dice.choice(users), dice.choice(SHOPS), dice.randrange(1000), now_us() - dice.randrange(10**9)]
            for _ in range(count)]
    ack = producer.send("hits", COLUMNS, rows, seconds=30 * SLOWER)
    expect_equal(ack["accepted"], count, ack)
    producer.close()
    return [tuple(row[:3]) for row in rows]


def load(cluster):
    rows = [(dice.choice(USERS), dice.choice(SHOPS), dice.randrange(1000)) for _ in range(ROWS)]
    text = ",".join(COLUMNS) + "\n" + "".join(f"{u},{s},{n},{now_us() - 10**10 - i}\n" for i, (u, s, n) in enumerate(rows))
    cluster.done("load", "hits", "-", "--format", "csv", input=text)
    return rows


def check(cluster, rows, what):
    """All answers are complete, and exactly those of the rows."""
    wanted = defaultdict(lambda: [0, 0])
    for user, shop, number in rows:
        for key in ("users", user), ("shops", shop):
            wanted[key][0] += 1
            wanted[key][1] += number
    client = Client(cluster.endpoint(1))

    def right():
        for view, field, keys in ("users", "user", USERS), ("shops", "shop", SHOPS):
            results = client.get(view, [{field: key} for key in keys], seconds=5)
            if not all(r["complete"] for r in results):
                return None
            for key, r in zip(keys, results):
                expect_equal([r["features"]["n"], r["features"]["total"] or 0], wanted[view, key], f"{what}: {view} {key}")
        return True

    wait_for(right, 60, f"{what}: answers are complete")
    client.close()


def holders(cluster, text):
    return [path for path in (cluster.directory / "data").rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def forgets(cluster):
    return {f["id"]: f for f in cluster.ask_coordinator("forgets")["forgets"]}


def forget(cluster, user, state):
    """Asks for it, and waits until it has come that far."""
    id = cluster.done("forget", "hits", f"user={user}", "--yes", "--no-wait", "--json").objects()[0]["id"]
    wait_for(lambda: forgets(cluster)[id]["state"] == state, 60, f"{id} is {state}")
    return id


def without(rows, *users):
    return [row for row in rows if row[0] not in users]


def erase(cluster, user, rows, what):
    """Erases it, and says which rows there are then."""
    expect(holders(cluster, user), what, "has nothing of", user)
    forget(cluster, user, "erased")
    expect_equal(holders(cluster, user), [], f"{what}: files that have something of {user}")
    check(cluster, without(rows, user), f"{what}, without {user}")
    return without(rows, user)


def backup_with(cluster, number, meanwhile):
    """A backup that is stopped when it has its catalog and copies the history, while `meanwhile` is done; None when it
    was too fast to be stopped there."""
    target = cluster.directory / f"meanwhile-{number}"
    process = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "backup", "--copy", target],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60 * SLOWER
    while process.poll() is None and not (target / "data/history").exists():
        expect(time.monotonic() < deadline, "no history is copied")
    process.send_signal(signal.SIGSTOP)
    in_time = not (target / "data/log/hits/shop").exists()
    if in_time:
        meanwhile()
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120 * SLOWER)
    expect(process.returncode == 0, "weir backup:", out, err)
    return target if in_time else None


def restored(backup):
    """A cluster of the backup, where the other one was."""
    cluster = Cluster({}, settings=SETTINGS, directory=f"restored-{backup.name}")
    told = cluster.done("restore", backup).out
    expect("erased" in told, "nobody was told what comes back:", told)
    cluster.done("fsck")
    return cluster.start(apply=False)


def leave(cluster, what):
    cluster.stop()
    run = cluster.weir("fsck")
    expect(run.code == 0, what, run)


cluster = Cluster({"hits.yaml": STREAM}, settings=SETTINGS).start()
events += load(cluster)
events += send(cluster, USERS, 500)
cluster.recompute()
events += send(cluster, USERS, 500)
before = cluster.directory / "before"
cluster.done("backup", before)

# Its record is in the logs, its key in a file that no backup has; and no batch worker goes on with it.
cluster["batch-worker-1"].pause()
pending = forget(cluster, FIRST, "erasing")
during = cluster.directory / "during"
cluster.done("backup", during)
cluster["batch-worker-1"].resume()
wait_for(lambda: forgets(cluster)[pending]["state"] == "erased", 90, "the first is erased")
expect_equal(holders(cluster, FIRST), [], "files that have something of the first")

# The record comes into logs that are copied after a catalog that does not know it.
for number in range(20):
    ids = []
    target = backup_with(cluster, number, lambda: ids.append(forget(cluster, SECOND, "erasing")))
    if target:
        break
expect(target, "no backup could be stopped in time")
wait_for(lambda: forgets(cluster)[ids[0]]["state"] == "erased", 90, "the second is erased")
after = cluster.directory / "after"
cluster.done("backup", after)
check(cluster, without(events, FIRST, SECOND), "two are erased")
leave(cluster, "the cluster")

again = restored(before)
check(again, events, "before")
expect_equal(forgets(again), {}, "forgets of a backup from before")
erase(again, FIRST, events, "before")
leave(again, "before")

again = restored(during)
check(again, events, "during")
state = wait_for(lambda: forgets(again)[pending]["state"] == "failed" and forgets(again)[pending], 30, "what was under way has failed")
expect("restore" in state["error"], state)
rows = events + send(again, USERS, 300)
again.recompute()
check(again, rows, "during, after a recompute")
erase(again, FIRST, rows, "during")
leave(again, "during")

again = restored(target)
rows = without(events, FIRST)
check(again, rows, "meanwhile")
rows += send(again, USERS[1:], 300)
again.recompute()
check(again, rows, "meanwhile, after a recompute")
rows = erase(again, SECOND, rows, "meanwhile")
again["speed-worker-1"].kill()
again["speed-worker-1"].start()
again.wait_ready()
check(again, rows, "meanwhile, after an owner was killed")
leave(again, "meanwhile")

again = restored(after)
check(again, without(events, FIRST, SECOND), "after")
for user in FIRST, SECOND:
    expect_equal(holders(again, user), [], f"files of a backup from after that have something of {user}")
erase(again, THIRD, without(events, FIRST, SECOND), "after")
leave(again, "after")
print(f"{len(events)} events, four backups: each has those who were not erased when it began, whole")
