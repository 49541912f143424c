"""Chaos: processes of all kinds, several of each, on hosts of their own, under kill -9, SIGSTOP, cut and bad
links at random, with producers, loads, recomputes and readers all the time. Every complete answer is right; at
the end every key of every view is exactly what was acknowledged, also after a recompute and after kill -9 of
everything. WEIR_CHAOS_MINUTES says how long, WEIR_CHAOS_SEED which faults: `make chaos MINUTES=30 SEED=7`."""
import itertools
import os
import random
import re
import resource
import time
from collections import defaultdict

from cluster import SLOWER, expect, wait_for
from hosts import ALL, TESTER, Hosts
from tally import DEFINITIONS, Traffic

TIME_LIMIT = 300  # and the minutes
MINUTES = float(os.environ.get("WEIR_CHAOS_MINUTES", "1"))
SEED = int(os.environ.get("WEIR_CHAOS_SEED") or random.randrange(10**6))
LEASE = 3  # seconds
ROUND, HEALED = 20, 20  # seconds of faults; until all is as usual afterwards
AT_ONCE = 3  # faults

print(f"seed {SEED}, {MINUTES:g} minutes")
cluster = Hosts({"tally.yaml": DEFINITIONS}, seed=SEED, speed_workers=3, serving=2, batch_workers=2,
                coordinators=2, settings=f"lease: {LEASE}s\n")
for node in cluster.nodes.values():
    node.may_fail()
cluster.start()
nodes, hosts = list(cluster.nodes), cluster.links.names
leaders, speed, serving, batch = ([name for name in nodes if cluster[name].kind == kind]
                                  for kind in ("coordinator", "speed-worker", "serving", "batch-worker"))
talk = ([(leader, host) for leader in leaders for host in hosts if host not in leaders] + list(itertools.combinations(speed, 2)) +
        list(itertools.product([TESTER], serving)) + list(itertools.product([TESTER, *serving], speed)))
links = talk + [(b, a) for a, b in talk]  # between those who talk to each other
traffic = Traffic(cluster, seed=SEED, readers=2, loads=True, recompute=1.0, pace=0.05)
tally, done = traffic.tally, defaultdict(int)


# ---- faults: each is laid, and taken off by what laying it returned ----


def kill(name):
    cluster[name].kill()
    done[f"kill -9 of a {cluster[name].kind}"] += 1
    return cluster[name].start


def stop(name):
    cluster[name].pause()
    done[f"SIGSTOP of a {cluster[name].kind}"] += 1
    return cluster[name].resume


def stop_in_write(target):
    name, moment = target
    order = cluster[name].disk_fault(f"{moment} stop {'.seg' if name in speed else '.view'}")

    def take_off():
        order.unlink(missing_ok=True)
        cluster[name].resume()
        taken = order.with_name(order.name + ".taken")
        done[f"SIGSTOP of a {cluster[name].kind} in a write or sync"] += taken.exists()
        taken.unlink(missing_ok=True)

    return take_off


def fail_sync(name):
    order = cluster[name].disk_fault("fdatasync before eio .seg")

    def take_off():
        done["a sync of the log failed"] += not order.exists()
        order.unlink(missing_ok=True)

    return take_off


def kill_all(_):
    for name in nodes:
        cluster[name].kill()
    done["kill -9 of everything"] += 1
    return lambda: [cluster[name].start() for name in nodes]


def on_links(what, pairs, **fault):
    laid = [cluster.links.lay(a, b, **fault) for a, b in pairs]
    done[what] += 1
    return lambda: cluster.links.lift(*laid)


def cut(pair):
    return on_links("a link cut one way", [pair], loss=1.0)


def leave_alone(host):
    return on_links("a host alone", [(host, ALL), (ALL, host)], loss=1.0)


def worsen(fault):
    return on_links("bad links everywhere", [(ALL, ALL)], **fault)


WEIGHTS = {kill: 8, stop: 5, stop_in_write: 4, fail_sync: 2, cut: 6, leave_alone: 3, worsen: 3, kill_all: 0.4}
MOMENTS = ["fdatasync before", "fdatasync after", "pwrite before", "pwrite half", "pwrite after"]


def plan(dice):
    """One round: [(second, fault, target, for how long)]. Nothing but `dice` decides it."""
    found, second, until = [], 0.0, []
    busy = set()
    while (second := second + dice.uniform(0.3, 2.5)) < ROUND:
        until = [end for end in until if end > second]
        fault = dice.choices(list(WEIGHTS), WEIGHTS.values())[0]
        lasts = min(dice.choice([dice.uniform(0, 1), dice.uniform(1, LEASE), dice.uniform(LEASE, 9)]), ROUND - second)
        target = {kill: lambda: dice.choice(nodes), stop: lambda: dice.choice(nodes),
                  cut: lambda: dice.choice(links), kill_all: lambda: None,
                  stop_in_write: lambda: (dice.choice(speed + batch), dice.choice(MOMENTS)),
                  fail_sync: lambda: dice.choice(speed),
                  leave_alone: lambda: dice.choice([h for h in hosts if h != TESTER]),
                  worsen: lambda: {"delay": dice.uniform(0, 0.05), "loss": dice.uniform(0, 0.05),
                                   "duplicate": dice.uniform(0, 0.1), "overtake": dice.uniform(0, 0.1)}}[fault]()
        touched = set()  # nodes: each is upset once a round
        if fault in (kill, stop, fail_sync, stop_in_write, kill_all):
            touched = set(nodes) if fault is kill_all else {target[0] if fault is stop_in_write else target}
        if len(until) < AT_ONCE and not touched & busy:
            busy |= touched
            until.append(second + lasts)
            found.append((second, fault, target, lasts))
    return found


def play(faults):
    """Lays the faults of a round and takes them off, each in its time."""
    began, taking_off = time.monotonic(), []

    def pass_until(second):
        while True:
            due = [entry for entry in taking_off if entry[0] <= second]
            at, take_off = min(due, default=(second, None), key=lambda entry: entry[0])
            wait_for(lambda: traffic.check() or time.monotonic() >= began + at, ROUND, "its time")
            if take_off is None:
                return
            taking_off.remove((at, take_off))
            take_off()

    try:
        for second, fault, target, lasts in faults:
            pass_until(second)
            taking_off.append((second + lasts, fault(target)))
        pass_until(ROUND)
    finally:
        for _, take_off in taking_off:
            take_off()


def wait_usual():
    since, client = time.monotonic(), cluster.serving()
    wait_for(lambda: traffic.answered(client), HEALED, "every key is answered")
    client.close()
    before = tally.counts["batches acknowledged"]
    wait_for(lambda: traffic.check() or tally.counts["batches acknowledged"] > before + 6, HEALED,
             "batches are acknowledged")
    cluster.wait_ready(HEALED)
    tally.waited("until all was as usual after a round of faults", time.monotonic() - since)
    for name, node in cluster.nodes.items():
        expect(node.alive(), name, "ended by itself:", node.log()[-3000:])


def table():
    """What happened, as docs/reliability.md shows it."""
    rows = dict(tally.counts)
    rows |= {f"fault: {what}": n for what, n in sorted(done.items())}
    rows |= {f"packets {what}": n for what, n in cluster.links.counts().items()}
    rows["recomputes published"] = sum(len(re.findall(r": manifest \d+", cluster[name].log())) for name in leaders)
    rows["datasets that answers stood on"] = len(tally.datasets)
    rows |= {f"longest {what}": f"{s:.1f} s" for what, s in sorted(tally.longest.items())}
    rows["memory of the checker"] = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    return "\n".join(["| what | how many |", "|---|---|", *(f"| {what} | {n} |" for what, n in rows.items())])


try:
    wait_usual()
    ends, number = time.monotonic() + 60 * MINUTES, 0
    while time.monotonic() < ends:
        faults = plan(random.Random(SEED * 100_000 + number))
        print(f"round {number}: " + "; ".join(f"{second:.1f}+{lasts:.1f} {fault.__name__} {target or ''}"
                                               for second, fault, target, lasts in faults))
        play(faults)
        wait_usual()
        number += 1
finally:
    traffic.ended.set()
    traffic.end()
client = cluster.serving()
traffic.check_all(client)
cluster.recompute(120)
traffic.check_all(client)
kill_all(None)()
cluster.wait_ready()
wait_for(lambda: traffic.answered(client), HEALED * SLOWER, "every key is answered after kill -9 of everything")
traffic.check_all(client)
expect(tally.counts["answers checked by position"] > 100 * MINUTES, "few answers were checked")
print(table())
cluster.stop()
