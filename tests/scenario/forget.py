"""Entities are erased under a steady stream, loads and kill -9: nothing of them is left in any file, new events of
them count, and everybody else's answers are exactly what was sent."""
import itertools
import os
import random
import string
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

from cluster import BIN, SLOWER, Cluster, expect, expect_equal, now_us, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 300
LEASE = 3  # seconds

STREAM = """
streams:
  hits:
    key: user
    time: ts
    fields: {user: string, shop: string, note: string, number: int64, ts: {type: timestamp, unit: us}}
views:
  users: {from: hits, features: {n: count(), total: sum(number), note: last(note)}}
  shops: {from: hits, key: shop, features: {n: count(), total: sum(number), who: count_distinct(user), note: last(note)}}
"""
LATE = """
views:
  notes: {from: hits, key: note, features: {n: count(), total: sum(number)}}
"""
dice = random.Random(7)


def name():
    """Nothing that compression could take apart."""
    return "".join(dice.choice(string.ascii_letters + string.digits) for _ in range(48))


USERS = [name() for _ in range(12)]
NOTES = {user: name() for user in USERS}
SHOPS = ["a", "b", "c", "d"]
cluster = Cluster({"hits.yaml": STREAM}, settings=f"lease: {LEASE}s\n").start()
speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
numbers = itertools.count(1)
events = []  # (user, shop, number), acknowledged or loaded
silent = set()  # users whose events nobody sends
lock, ended, failures = threading.Lock(), threading.Event(), []


def send(producer, users, count):
    rows = [[user := dice.choice(users), dice.choice(SHOPS), NOTES[user], next(numbers), now_us() - dice.randrange(10**9)]
            for _ in range(count)]
    ack = producer.send("hits", ["user", "shop", "note", "number", "ts"], rows, seconds=60 * SLOWER)
    expect_equal(ack["accepted"], len(rows), ack)
    events.extend((row[0], row[1], row[3]) for row in rows)


def send_steadily():
    producer = Producer(speed)
    try:
        while not ended.is_set():
            with lock:
                send(producer, [u for u in USERS if u not in silent], 20)
            time.sleep(0.02)
    except BaseException as error:
        failures.append(error)
    producer.close()


def load(users, again=False):
    rows = [(dice.choice(users), dice.choice(SHOPS), next(numbers)) for _ in range(400)]
    text = "user,shop,note,number,ts\n" + "".join(
        f"{user},{shop},{NOTES[user]},{number},{now_us() - 10**10 - i}\n" for i, (user, shop, number) in enumerate(rows))
    text += "".join(f"{user},a,{NOTES[user]},no number,0\n" for user in users)  # refused, and kept as rejects
    cluster.done("load", "hits", "-", "--format", "csv", "--on-error", "skip", input=text)
    events.extend(rows)


def expected():
    users, shops = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for user, shop, number in events:
        for of in (users[user], shops[shop]):
            of[0] += 1
            of[1] += number
    return {"users": users, "shops": shops}


def check(what):
    """Nobody sends meanwhile: all answers are exactly those of what there must be."""
    wanted = expected()
    for view, field, keys in ("users", "user", USERS), ("shops", "shop", SHOPS):
        def right():
            client = cluster.serving()
            try:
                results = client.get(view, [{field: key} for key in keys], seconds=5)
            finally:
                client.close()
            if not all(result["complete"] for result in results):
                return None
            for key, result in zip(keys, results):
                found = [result["features"]["n"], result["features"]["total"] or 0]
                expect_equal(found, list(wanted[view][key]), f"{what}: {view} {key}")
            return True

        wait_for(right, 30, f"{view} is answered completely {what}")


def holders(text):
    """Files below the project that hold the text."""
    found = []
    for path in Path(cluster.directory).rglob("*"):
        try:
            if path.is_file() and text.encode() in path.read_bytes():
                found.append(str(path.relative_to(cluster.directory)))
        except FileNotFoundError:
            pass  # removed meanwhile
    return found


def forget(user, crash=()):
    """Erases one who sends no more; kills nodes on the way."""
    expect(holders(user), user, "is in no file before")
    id = cluster.done("forget", "hits", f"user={user}", "--yes", "--no-wait", "--json").objects()[0]["id"]
    for node in crash:
        cluster[node].kill()
        cluster[node].start()
        cluster.wait_ready()

    def erased():
        expect(not failures, failures)
        found = cluster.ask_coordinator("forgets", {"id": id})["forgets"]
        return found[0] if found and found[0]["state"] == "erased" else None

    record = wait_for(erased, 90, f"{id} is erased")
    expect("key" not in record, record)
    with lock:
        wanted = sum(1 for event in events if event[0] == user)
        events[:] = [event for event in events if event[0] != user]
    expect_equal(record["rows"], wanted, f"events that were erased: {record}")
    expect(record["files"] > 0 and record["scanned"] > 0, record)
    expect_equal(len(record["datasets"]), 2 + late, record)
    for text in (user, NOTES[user]):
        expect_equal(holders(text), [], f"{text} after it was erased")
    expect(user not in cluster.done("forgets").out, "the entity is listed")
    return id


def at_a_terminal(answer, *arguments):
    """The weir command with a terminal, at which its first question gets the answer: exit status, what was shown."""
    ours, its = os.openpty()
    process = subprocess.Popen([BIN / "weir", "-C", cluster.directory, *arguments], stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break  # it has ended
        if not part:
            break
        if b"[y/N]" not in shown and b"[y/N]" in shown + part:
            os.write(ours, answer)
        shown += part
    os.close(ours)
    return process.wait(60 * SLOWER), shown.decode()


late = 0
load(USERS)
thread = threading.Thread(target=send_steadily)
thread.start()
try:
    time_before = len(events)
    wait_for(lambda: len(events) > time_before + 200, 30, "some are sent")
    cluster.recompute()
    crashes = [(), ("coordinator",), ("speed-worker-1", "batch-worker-1"), ("speed-worker-2",)]
    for user, crash in zip(USERS, crashes):
        with lock:
            silent.add(user)
        forget(user, crash)
    load(USERS)  # these are new: they stay, of those that were erased as well
    with lock:
        check("after four were erased, and loaded again")
    # a key that is new to the stream has nothing of them in its history
    with lock:
        silent.add(USERS[4])
    forget(USERS[4])
    cluster.write({"late.yaml": LATE})
    cluster.done("apply", "--yes")
    late = 1
    with lock:
        silent.add(USERS[5])
    forget(USERS[5], ("coordinator",))
finally:
    ended.set()
    thread.join()
expect(not failures, failures)
check("at the end")
cluster.recompute()
check("after a last recompute")
client = cluster.serving()
for user in USERS:
    def counted():
        [result] = client.get("notes", [{"note": NOTES[user]}], seconds=10)
        return result if result["complete"] else None

    count = wait_for(counted, 30, "a complete answer by the new key")
    expect_equal(count["features"]["n"], expected()["users"][user][0], f"by the new key: {user}")
client.close()
for wrong, code in ((("forget", "hits", "shop=a", "--yes"), 1), (("forget", "hit", "user=a", "--yes"), 1),
                    (("forget", "hits", "user"), 2), (("forget", "hits", "user=a", "--before", "x"), 2), (("forgets", "0"), 1)):
    expect_equal(cluster.weir(*wrong).code, code, wrong)
# it asks, and nothing happens unless the answer is yes; where there is nobody to ask, it says what is needed
records = cluster.done("forgets").out
run = cluster.weir("forget", "hits", f"user={USERS[6]}")
expect(run.code == 1 and "--yes" in run.err and "nothing was erased" in run.err, run)
for answer in (b"\n", b"n\n", b"yess\n", b"\x04"):
    code, shown = at_a_terminal(answer, "forget", "hits", f"user={USERS[6]}", "--before", "2001-01-01")
    expect(code == 1 and "nothing was erased" in shown, answer, code, shown)
    expect(f"user={USERS[6]}" in shown and "of hits" in shown and "2001-01-01" in shown, shown)
expect_equal(cluster.done("forgets").out, records, "after nothing was agreed to")
code, shown = at_a_terminal(b"y\n", "forget", "hits", f"user={USERS[6]}", "--before", "2001-01-01", "--no-wait")
expect(code == 0 and "is taken" in shown, code, shown)
wait_for(lambda: cluster.done("forgets").out.count("erased") == records.count("erased") + 1, 60, "the seventh is erased")
print(f"{len(events)} events, 6 of {len(USERS)} entities erased")
cluster.stop()
