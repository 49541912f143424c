"""Backups while events flow, files are loaded, recomputes run and nodes are killed: each is restored into a
cluster of its own, which has exactly what was sent below the positions that the backup states, and goes on."""
import itertools
import json
import os
import random
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

from cluster import BIN, SLOWER, Cluster, Threads, expect, expect_equal, now_us, wait_for
from definitions import HITS
from wire import Producer, Refused, Silent

TIME_LIMIT = 300
LEASE = 3  # seconds

PAGES, SHOPS = list(range(16)), ["a", "b", "c", "d"]
FILE_PAGE, FILE_ROWS = 1000, 300  # what one file is about, which is sent before any backup
COLUMNS = ["page", "shop", "number", "ts"]

cluster = Cluster({"hits.yaml": HITS}, settings=f"lease: {LEASE}s\n").start()
speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
numbers = itertools.count(1)
acked = []  # (positions, rows)
loaded = {}  # load id -> rows
visible = set()  # ids that were told visible
lock, threads = threading.Lock(), Threads()
ended, failures = threads.ended, threads.failures


def send_steadily(seed):
    dice, producer = random.Random(seed), Producer(speed)
    while not ended.is_set():
        rows = [[dice.choice(PAGES), dice.choice(SHOPS), next(numbers), now_us() - dice.randrange(10**9)]
                for _ in range(20)]
        ack = producer.send("hits", COLUMNS, rows, seconds=60 * SLOWER)
        expect_equal(ack["accepted"], len(rows), ack)
        with lock:
            acked.append((ack["positions"], rows))
        ended.wait(0.01)
    producer.close()


def load_steadily(seed):
    dice = random.Random(seed)
    for number in itertools.count():
        if ended.wait(0.3):
            return
        rows = [[dice.choice(PAGES), dice.choice(SHOPS), next(numbers), now_us() - dice.randrange(10**9)]
                for _ in range(50)]
        file = cluster.directory / f"load-{number}.csv"
        file.write_text(",".join(COLUMNS) + "\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
        run = cluster.weir("load", "hits", file, "--json")
        found = [json.loads(line) for line in run.out.splitlines() if line.startswith("{")]
        for load in found:
            with lock:
                loaded[load["id"]] = rows
                if load.get("state") == "visible":
                    visible.add(load["id"])


def recompute_steadily():
    while not ended.is_set():
        try:
            cluster.ask_coordinator("recompute", seconds=1)
        except (Silent, Refused):
            pass
        ended.wait(0.4)


def take(name, *more, during=None):
    """A backup, with something done meanwhile; what was acknowledged and told before it."""
    with lock:
        before, told = len(acked), set(visible)
    target = cluster.directory / name
    process = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "backup", *more, target],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if during:
        during()
    out, err = process.communicate(timeout=120 * SLOWER)
    expect(process.returncode == 0, "weir backup:", out, err)
    expect(not failures, failures)
    print(out.strip().replace(str(cluster.directory), "…"))
    return target, before, told


def send_file():
    file = cluster.directory / "sent.csv"
    file.write_text(",".join(COLUMNS) + "\n" +
                    "".join(f"{FILE_PAGE},file,{n},{now_us() - 1000}\n" for n in range(FILE_ROWS)))
    cluster.done("send", "hits", file)
    return file


def check_file_is_not_sent_twice(again):
    run = again.done("send", "hits", sent_file)
    expect("--again" in run.out + run.err, "it does not say that the file was sent:", run)
    client = again.serving()
    [found] = client.get("pages", [{"page": FILE_PAGE}], seconds=5, deadline_ms=2000)
    client.close()
    expect(found["complete"] and found["features"]["n"] == FILE_ROWS, "the file is not in it once:", found)


def positions_of(backup):
    found = {}
    for line in (backup / "BACKUP").read_text().splitlines():
        words = line.split(" ")
        if words[0] == "position":
            found[f"{words[3]}/{words[2]}"] = int(words[1])
    return found


def sums(rows, column):
    found = defaultdict(lambda: (0, 0))
    for row in rows:
        count, total = found[row[column]]
        found[row[column]] = (count + 1, total + row[2])
    return found


def log_of_page():
    """page -> the log of its partition, from acknowledgements of one."""
    client = cluster.serving()
    results = client.get("pages", [{"page": p} for p in PAGES], seconds=5)
    client.close()
    if not all(r["complete"] for r in results):
        return None
    return {r["key"]["page"]: next(iter(r["positions"])) for r in results}


def check_answers(port, rows, what):
    """Both views, completely, equal to these rows."""
    from wire import Client
    client = Client(f"tcp://127.0.0.1:{port + 1}")

    def answered():
        for view, field, column, keys in (("pages", "page", 0, PAGES), ("shops", "shop", 1, SHOPS)):
            results = client.get(view, [{field: k} for k in keys], seconds=5, deadline_ms=2000)
            if not all(r["complete"] for r in results):
                return None
            wanted = sums(rows, column)
            for r in results:
                got = (r["features"]["n"], r["features"]["total"] or 0)
                expect_equal(got, wanted[r["key"][field]], f"{what}: {view} {r['key']}")
        return True

    wait_for(answered, 60, f"{what}: every answer is complete")
    client.close()


def check_that_mistakes_touch_nothing(stopped):
    """What cannot begin leaves the directories of others alone, the empty ones, too."""
    others = stopped.directory / "others"
    (others / "empty").mkdir(parents=True)
    for mistake in ("restore", stopped.directory / "no-backup", others), ("backup", others):
        run = stopped.weir(*mistake)
        expect(run.code != 0 and (others / "empty").is_dir(), mistake, run)


def restore_and_check(backup, before, told, pages):
    """The backup in a cluster of its own, some ports above."""
    what, positions = backup.name, positions_of(backup)
    run = cluster.weir("backup", "--verify", backup)
    expect(run.code == 0, what, run)
    run = cluster.weir("fsck", backup)
    expect(run.code == 1 and "weir backup --verify" in run.err, what, run)
    os.environ["WEIR_SCENARIO_PORT"] = str(cluster.port + 40)
    again = Cluster({}, settings=f"lease: {LEASE}s\n", directory=f"restored-{what}")
    os.environ["WEIR_SCENARIO_PORT"] = str(cluster.port)
    check_that_mistakes_touch_nothing(again)
    run = again.done("restore", backup)
    expect(again.weir("restore", backup).code == 1, "a directory in use was restored into")
    run = again.weir("fsck")
    expect(run.code == 0, what, run)
    again.start(apply=False)
    rows = []
    for at, (held, batch) in enumerate(acked):
        whole = all(held[log] <= positions[log] for log in held)
        expect(whole or at >= before, what, "lacks what was acknowledged before it began:", held, positions)
        rows += [r for r in batch if held[pages[r[0]]] <= positions[pages[r[0]]]]

    def settled():
        loads = again.ask_coordinator("loads")["loads"]
        return loads or None if all(l["state"] in ("visible", "failed") for l in loads) else None

    loads = wait_for(settled, 60, f"{what}: its loads are visible") if told else []
    there = {l["id"] for l in loads if l["state"] == "visible"}
    expect(told <= there, what, "lacks loads:", told - there)
    rows += [r for i in there for r in loaded[i]]
    check_answers(again.port, rows, what)
    producer = Producer([f"tcp://127.0.0.1:{again.port + 11 + i}" for i in range(2)])
    check_file_is_not_sent_twice(again)
    more = [[p, "a", next(numbers), now_us() - 1000] for p in PAGES]
    producer.send("hits", COLUMNS, more, seconds=30)
    producer.close()
    check_answers(again.port, rows + more, f"{what}, with what was sent after")
    again.recompute()
    check_answers(again.port, rows + more, f"{what}, after a recompute")
    again.stop()
    run = again.weir("fsck")
    expect(run.code == 0, what, run)
    print(f"{what}: {len(rows)} events of {sum(len(b) for _, b in acked)} sent and {len(there)} loads, exactly")


def kill(name):
    def upset():
        cluster[name].kill()
        cluster[name].start()

    return upset


sent_file = send_file()
for work in (send_steadily, 1), (send_steadily, 2), (load_steadily, 3), (recompute_steadily,):
    threads.start(*work)
wait_for(lambda: failures or (len(acked) > 100 and visible), 60, "events and loads are there")
pages = wait_for(log_of_page, 20, "where pages are")
taken = [take("one"), take("two", "--base", cluster.directory / "one")]
taken.append(take("copied", "--copy", during=kill("coordinator")))
taken.append(take("killed", during=kill("speed-worker-1")))
cluster.wait_ready()
taken.append(take("after"))
interrupted = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "backup", cluster.directory / "none"])
interrupted.send_signal(2)
interrupted.wait(60 * SLOWER)
if interrupted.returncode != 0:
    expect(not (cluster.directory / "none" / "BACKUP").exists(), "an interrupted backup is there")
threads.end()
expect(not failures, failures)
cluster.stop()
run = cluster.weir("fsck")
expect(run.code == 0, run)
for backup, before, told in taken:
    restore_and_check(Path(backup), before, told, pages)
