"""Views and a service get other meanings under a steady stream, with recomputes and kill -9: the versions
before answer as ever, the new ones only when they are complete, and each exactly its own meaning; and a service whose numbers
were fitted is answered with them, and never with nulls, until its next version is fitted."""
import bisect
import itertools
import json
import random
from collections import defaultdict

from cluster import SLOWER, Cluster, Threads, expect, expect_equal, now_us, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 240

TEXT = """
streams:
  hits:
    key: page
    time: ts
    fields: {page: int64, number: int64, ts: {type: timestamp, unit: us}}
views:
  pages:
    from: hits%s
    features: {n: count(), total: "%s"}
services:
  model:
    views: pages
    features: ["pages:n", "pages:total"]
  scaled:
    views: pages
    features: ["pages:total"]
    preprocess: {"pages:total": {scale: standard}}
"""
MEANINGS = [("", "sum(number)"), ("\n    where: number % 2 = 0", "sum(number)"),
            ("\n    where: number % 2 = 0", "max(number)")]
TAKES = [lambda number: True, lambda number: number % 2 == 0, lambda number: number % 2 == 0]
TOTALS = [lambda a, b: a + b, lambda a, b: a + b, max]
PAGES = list(range(24))
KEYS = [{"page": p} for p in PAGES]

cluster = Cluster({"hits.yaml": TEXT % MEANINGS[0]}, settings="lease: 3s\n").start()
speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
acked, answers, refused = [], [], []  # (positions, [(page, number)]); (asked, reply); version
scaled = []  # replies about the service `scaled`
threads = Threads()
ended, failures = threads.ended, threads.failures
ready = {1}  # versions that were told to be complete


def send_steadily():
    dice, producer, numbers = random.Random(3), Producer(speed), itertools.count(1)
    while not ended.is_set():
        rows = [[dice.choice(PAGES), next(numbers), now_us() - dice.randrange(10**9)] for _ in range(20)]
        ack = producer.send("hits", ["page", "number", "ts"], rows, seconds=60 * SLOWER)
        acked.append((ack["positions"], [(page, number) for page, number, _ in rows]))
        ended.wait(0.01)
    producer.close()


def query_steadily():
    client, dice = Client(f"tcp://127.0.0.1:{cluster.port + 1}"), random.Random(4)
    while not ended.is_set():
        name = dice.choice(["pages", "model", "scaled"])
        version = dice.choice([None, 1, 2, 3]) if name != "scaled" else None
        asked = name if version is None else f"{name}@v{version}"
        complete = set(ready)  # as told before it is asked
        try:
            reply = client.ask("get", {"view": asked, "keys": KEYS, "deadline_ms": 500}, 3)
        except Silent:
            continue
        except Refused as error:
            expect(version is not None, asked, error)  # something is always active
            expect(version not in complete or error.status != "not_found", asked, error)
            refused.append(version)
            continue
        expect(version is None or reply["version"] == f"v{version}", asked, reply["version"])
        if name == "scaled":
            scaled.append(reply)
        else:
            answers.append((asked, reply))
    client.close()


def disturb_steadily():
    while not ended.is_set():
        try:
            cluster.ask_coordinator("recompute", seconds=1)
        except (Silent, Refused):
            pass
        ended.wait(1.5)


def versions(name):
    return {v["version"]: v for v in cluster.ask_coordinator("versions", {"name": name})["versions"]}


def become(number):
    """Applies the meaning of that number (from 1), and waits until it is active."""
    cluster.write({"hits.yaml": TEXT % MEANINGS[number - 1]})
    run = cluster.done("apply", "--yes", "-m", f"meaning {number}",
                       environment={"WEIR_AUTHOR": "scenario", "PATH": "/usr/bin:/bin"}
                       if not cluster.secured else None)
    expect(f"version {number} follows {number - 1}" in run.out, run)
    expect("\n  - " in run.out and "\n  + " in run.out, "how it was and how it is to be", run)
    expect(f"pages v{number} instead of v{number - 1}" in run.out, run)
    cluster["speed-worker-1"].kill()
    cluster["speed-worker-1"].start()

    def active():
        expect(not failures, failures)
        return all(versions(name)[number]["state"] == "active" for name in ("pages", "model"))

    wait_for(active, 90, f"version {number} is active")
    ready.add(number)
    count = len(answers)
    wait_for(lambda: failures or len(answers) > count + 60, 60, "answers of all versions")


def wanted_of(meaning, events):
    taken = [number for number in events if TAKES[meaning](number)]
    return len(taken), list(itertools.accumulate(taken, TOTALS[meaning]))[-1] if taken else None


def check():
    """Each is of one version alone, and exactly what was acknowledged below its position."""
    places, numbers = defaultdict(list), defaultdict(list)
    log_of = {r["key"]["page"]: log for _, reply in answers for r in reply["results"]
              if r["complete"] for log in r["positions"]}
    for positions, events in acked:
        for page, number in events:
            places[page].append(positions[log_of[page]])
            numbers[page].append(number)
    seen = defaultdict(int)
    for asked, reply in answers:
        names, version = reply["features"], int(reply["version"][1:])
        expect(set(reply["versions"].values()) == {f"v{version}"}, asked, reply["versions"])
        for result in reply["results"]:
            if not result["complete"]:
                continue
            page = result["key"]["page"]
            [position] = result["positions"].values()
            at = bisect.bisect_right(places[page], position)
            found = dict(zip((n.removeprefix("pages:") for n in names), result["values"]))
            expect_equal((found["n"], found["total"]), wanted_of(version - 1, numbers[page][:at]),
                         f"{asked} answered with v{version}: page {page} at {position}")
            seen[asked, version] += 1
    return seen


def fit():
    """The service gets numbers by which a total is answered less one."""
    path = cluster.directory / "totals.csv"
    path.write_text("pages:total\n0\n2\n")
    cluster.done("fit", "scaled", "--on", path, "--yes")


def check_scaled():
    """All are of the version that was fitted first, though the view has had two others since: exactly its numbers."""
    places, numbers = defaultdict(list), defaultdict(list)
    log_of = {r["key"]["page"]: log for reply in scaled for r in reply["results"] if r["complete"] for log in r["positions"]}
    for positions, events in acked:
        for page, number in events:
            places[page].append(positions[log_of[page]])
            numbers[page].append(number)
    for reply in scaled:
        expect_equal(reply["versions"], {"scaled": "v2", "pages": "v1"})
        for result in reply["results"]:
            if not result["complete"]:
                continue
            page = result["key"]["page"]
            [position] = result["positions"].values()
            events = numbers[page][:bisect.bisect_right(places[page], position)]
            expect_equal(result["values"], [sum(events) - 1.0] if events else [None], page)
            expect("errors" not in result, result)


fit()
wait_for(lambda: versions("scaled")[2]["state"] == "active", 20, "the fitted version")


def is_fitted():
    client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
    try:
        return client.ask("get", {"view": "scaled", "keys": KEYS}, 3)["version"] == "v2"
    finally:
        client.close()


wait_for(is_fitted, 20, "the fitted version is answered")
for work in send_steadily, query_steadily, disturb_steadily:
    threads.start(work)
try:
    wait_for(lambda: failures or len(answers) > 50, 30, "answers")
    become(2)
    become(3)
    run = cluster.weir("retire", "pages@v1")
    expect(run.code == 1 and "model@v1 needs pages@v1" in run.err, run)
    cluster.done("promote", "pages@v1")
    expect_equal(versions("pages")[1]["state"], "active")
    count = len(answers)
    wait_for(lambda: failures or len(answers) > count + 30, 60, "answers after a promote")
finally:
    threads.end()
expect(not failures, failures)
seen = check()
check_scaled()
expect_equal([v["state"] for v in versions("scaled").values()], ["live", "active", "live", "live"])
waits = "scaled@v4 waits for the numbers of 1 feature: weir fit scaled --on TRAINING_SET"
expect(waits in cluster.done("versions", "scaled").out, "what it waits for")
expect(len(scaled) > 30, len(scaled), "answers of fitted numbers")
print(len(scaled), "answers of fitted numbers;", dict(seen), f"{len(refused)} asks of versions that were not there yet")
for name in "pages", "model":
    for version in (1, 2, 3):
        expect(seen[f"{name}@v{version}", version] > 0, f"{name}@v{version} was never answered", seen)
expect(all(seen["pages", version] > 0 for version in (1, 2, 3)), "each was the active one once", seen)
expect(refused, "nobody asked for a version before it was there")

diff = cluster.done("diff", "pages@v1", "pages@v2").out
expect("+     where: number % 2 = 0" in diff, diff)
cluster.done("annotate", "model@v3", "accuracy=0.89", "note=of May")
shown = json.loads(cluster.done("versions", "model", "--json").out)["versions"]
expect_equal([v["state"] for v in shown], ["live", "live", "active"])
expect_equal(shown[2]["message"], "meaning 3")
expect_equal({a["name"]: a["value"] for a in shown[2]["annotations"]}, {"accuracy": "0.89", "note": "of May"})
cluster.done("retire", "model@v1")
cluster.done("promote", "pages@v3")
run = cluster.weir("promote", "scaled@v4")
expect(run.code == 1 and "scaled@v4 lacks the numbers of 1 of its features" in run.err, run)
fit()
expect_equal(versions("scaled")[5]["state"], "active")
for number in (1, 2):
    cluster.done("retire", f"scaled@v{number}")
cluster.done("retire", "pages@v1")
run = cluster.weir("get", "pages@v1", "page=1")
expect(run.code == 1 and "has version v2, v3, not v1; `weir versions pages` tells" in run.err, run)
run = cluster.weir("annotate", "pagse@v2", "note=x")
expect(run.code == 1 and "did you mean pages?" in run.err, run)
for node in cluster.nodes.values():
    node.stop()
for node in cluster.nodes.values():
    node.start()
cluster.wait_ready()
expect_equal({v: t["state"] for v, t in versions("pages").items()}, {1: "retired", 2: "live", 3: "active"})
client = cluster.serving()
expect(all(r["complete"] for r in client.get("pages@v2", KEYS, deadline_ms=20000)), "after a restart")
cluster.stop()
