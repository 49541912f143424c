"""Owners and batch workers that are stopped at the worst moments, inside a write or a sync of the log, and
woken when others have taken over: they append, answer, confirm and publish nothing. A sync that fails ends
an ownership and loses nothing. WEIR_PAUSE is for how many seconds they are stopped (60 for a minute)."""
import os
import time

import msgpack

from cluster import SLOWER, Cluster, expect, skip, wait_for
from tally import COLUMNS, DEFINITIONS, Traffic
from wire import Client

TIME_LIMIT = 300
LEASE = 3  # seconds
PAUSE = float(os.environ.get("WEIR_PAUSE", "8"))
# where an owner is held: call, when, ending of the file's name
MOMENTS = [("fdatasync", "before", ".seg"), ("fdatasync", "after", ".seg"), ("pwrite", "before", ".seg"),
           ("pwrite", "half", ".seg"), ("pwrite", "after", ".seg"), (None, "anywhere", "")]

if os.environ.get("VARIANT") == "tsan":
    skip("a preloaded library would hide calls from ThreadSanitizer")
cluster = Cluster({"tally.yaml": DEFINITIONS}, batch_workers=2, settings=f"lease: {LEASE}s\n")
for node in cluster.nodes.values():
    node.may_fail()
cluster.start()
traffic = Traffic(cluster, loads=True)


def is_stopped(node):
    with open(f"/proc/{node.pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def hold(name, call, when, ending):
    """Stops a node, there. When it stopped."""
    node = cluster[name]
    if call is None:
        node.pause()
    else:
        node.disk_fault(f"{call} {when} stop {ending}")
    wait_for(lambda: traffic.check() or is_stopped(node), 30, f"{name} is stopped {when} {call}")
    return time.monotonic()


def owners():
    return {o["partition"]: o["endpoint"] for o in cluster.ask_coordinator("routes")["owners"]}


def wait_usual(what, seconds=20):
    client = cluster.serving()
    wait_for(lambda: traffic.answered(client), seconds, f"every key is answered {what}")
    client.close()


def question(partition):
    """Asks for no key of a partition from a cut that there is: the status tells whether it would answer."""
    dataset = cluster.ask_coordinator("dataset", {"log": "hits/page"})
    [part] = [p for p in dataset["partitions"] if p["partition"] == partition]
    view = next(v for v in part["views"] if v["view"] == "pages")  # of any layer
    return {"questions": [{"id": 1, "view": "pages", "log": "hits/page", "plan": view["plan"],
                           "parts": [{"partition": partition, "cut": part["cut"], "keys": [], "as_of": []}]}]}


def answered_status(reply):
    return reply["answers"][0]["parts"][0]["status"]


def forged(partition):
    """A batch for its old owner alone, of a page of that partition. It is not in the books: were it taken,
    the sums would be wrong."""
    page = next(p for p, log in traffic.tally.partition_of.items() if log.endswith(f"/{partition}"))
    return {"stream": "hits", "partition": partition, "producer": (time.time_ns() // 1000).to_bytes(8, "big") +
            os.urandom(8), "sequence": 1, "oldest": 1, "columns": COLUMNS, "indexes": [0],
            "rows": [[page, None, 7, time.time_ns() // 1000]]}


def owner_is_fenced(number, moment):
    name, endpoint = f"speed-worker-{number}", cluster.endpoint(10 + number)
    mine = [p for p, owner in owners().items() if owner == endpoint]
    held, pages = mine, set(log.rpartition("/")[2] for log in traffic.tally.partition_of.values())
    partition = next(p for p in held if str(p) in pages)
    clients = [Client(endpoint), Client(endpoint)]
    for client in clients:
        client.ask("ping")

    def answered():
        """A question that it answers. The cut of one may be gone already: there are recomputes all the time."""
        found = question(partition)
        return found if answered_status(clients[0].ask("query", found)) == "ok" else None

    asked = wait_for(answered, 20, "the owner answers before")
    stopped = hold(name, *moment)
    messages = [("query", asked), ("append", forged(partition))]
    for client, (kind, body) in zip(clients, messages):
        client.send_bytes(msgpack.packb(["weir", 1, kind, 1000, body]))
    wait_usual(f"without {name}")
    without = time.monotonic() - stopped
    wait_for(lambda: traffic.check() or time.monotonic() > stopped + PAUSE, PAUSE + 1, "the pause")
    expect(all(owner != endpoint for owner in owners().values()), name, "is an owner still")
    cluster[name].resume()
    for client, (kind, _) in zip(clients, messages):
        _, _, kind_found, _, reply = client.receive(10 * SLOWER)
        status = answered_status(reply) if kind_found == "query.ok" else reply.get("status", "ok")
        expect(status in ("fenced", "stale", "unavailable", "timeout"), f"{kind}: the zombie said", reply)
        client.close()
    cluster.wait_ready()
    wait_usual(f"when {name} is back")
    wait_for(lambda: any(owner == endpoint for owner in owners().values()), 20, f"{name} is an owner again")
    print(f"{name} stopped {moment[1]} {moment[0] or ''}: others answered after {without:.1f} s")


def dataset_paths():
    """The files of the manifests that are current."""
    paths = set()
    for log in ("hits/page", "hits/shop", "hits/shop,page", "calls/shop", "calls/page"):
        for part in cluster.ask_coordinator("dataset", {"log": log})["partitions"]:
            paths |= {f["path"] for f in part["runs"] + part["views"]}
    return paths


def zombie_task_is_not_published(number, call, when, ending):
    name = f"batch-worker-{number}"
    stopped = hold(name, call, when, ending)
    data = cluster.directory / "data"
    opened = {os.readlink(f"/proc/{cluster[name].pid}/fd/{fd}") for fd in os.listdir(f"/proc/{cluster[name].pid}/fd")}
    held = {str(os.path.relpath(path, data)) for path in opened if path.endswith(ending)}
    expect(held, name, "has no such file:", opened)
    cluster.recompute()  # of all, by the other one
    wait_for(lambda: traffic.check() or time.monotonic() > stopped + PAUSE, PAUSE + 1, "the pause")
    expect(not held & dataset_paths(), "published while stopped:", held)
    cluster[name].resume()
    for _ in range(2):
        cluster.recompute()
        expect(not held & dataset_paths(), "a zombie's file was published:", held)
    wait_for(lambda: not any((data / path).exists() for path in held), 20, f"{held} are removed")
    print(f"{name} stopped {when} {call}: {', '.join(sorted(held))} was never published")


def failed_sync_ends_ownership(number):
    name = f"speed-worker-{number}"
    before = cluster.ask_coordinator("routes")["owners"]
    path = cluster[name].disk_fault("fdatasync before eio .seg")
    wait_for(lambda: traffic.check() or not path.exists(), 20, "a sync fails")
    epochs = {o["partition"]: o["epoch"] for o in before if o["endpoint"] == cluster.endpoint(10 + number)}

    def given_up():
        now = cluster.ask_coordinator("routes")["owners"]
        return any(o["epoch"] > epochs.get(o["partition"], o["epoch"]) for o in now)

    wait_for(given_up, 20, "a partition gets another epoch")
    cluster.wait_ready()
    wait_usual("after a sync that failed")
    expect("syncing" in cluster[name].log(), "nothing is said of it:", cluster[name].log()[-2000:])


try:
    cluster.recompute()
    for at, moment in enumerate(MOMENTS):
        owner_is_fenced(1 + at % 2, moment)
    zombie_task_is_not_published(1, "fdatasync", "before", ".view")
    zombie_task_is_not_published(2, "pwrite", "half", ".run")
    for number in (1, 2, 1):
        failed_sync_ends_ownership(number)
finally:
    traffic.ended.set()
    traffic.end()
client = cluster.serving()
traffic.check_all(client)
cluster.recompute()
traffic.check_all(client)
print(f"{dict(traffic.tally.counts)}\nlongest: {dict(traffic.tally.longest)}")
cluster.stop()
