#!/usr/bin/python3
"""online.py [--smoke] [--build DIR] [--out DIR] [--only PART,PART] [--rounds N] [--keep] - ingest and
queries of a cluster of the real programs on loopback, beside what they are compared with in the same
rounds: ZeroMQ echoes, raw fdatasync, memcpy, and Redis with weir's own answers.

online.py --report FILE... --out DIR - one report of several results.json.

All load comes from the C programs beside this file, which take turns in slices. docs/benchmarks.md
says what the figures mean."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import online_report
from figures import (DEFINITIONS, WIDE, Awake, Figures, Floor, cpu_seconds, free_ports,
                     machine_line, wait_open, write_csv)

PARTS = ["memory", "ingest", "query"]
KEYS = [1, 10, 100, 1000]
MANY = [1, 100]  # keys of the questions that many clients ask


class Sizes:
    """How much of everything."""

    def __init__(self, smoke, rounds):
        self.rounds = rounds or (1 if smoke else 5)
        self.query_rounds = rounds or (1 if smoke else 9)  # bars hold the largest of many ratios
        self.users = 1000 if smoke else 100000
        self.load_events = 5000 if smoke else 1000000
        self.recent = "500:16:20" if smoke else "500:16:500"  # sent after the load, each round
        self.many_users = 5000 if smoke else 1000000  # each with ten events
        self.many_batch = 500 if smoke else 5000
        self.ingest = "1:64:50,50:64:20,500:16:20,5000:16:4,500:1:5" if smoke else \
            "1:64:2000,50:64:1000,500:16:500,5000:16:50,500:1:200"
        self.slice_ms = 20 if smoke else 200
        self.clients = "1,2" if smoke else "1,2,4,8,16,32,64"
        self.open_rate = 200 if smoke else 500
        self.mixed_rate = 200 if smoke else 1000
        self.mixed_events = 5000 if smoke else 20000  # a second, beside the queries
        self.rest_s = 0.5 if smoke else 3
        self.replays = 1 if smoke else 3


class Bench:
    """What every part needs."""

    def __init__(self, options, directory):
        build = Path(options.build).absolute()
        self.programs, self.directory = build / "bench", directory
        self.out = Path(options.out).absolute()
        self.sizes, self.figures = Sizes(options.smoke, options.rounds), Figures()
        os.environ["WEIR_BIN"] = str(build / "bin")
        self.ports = None

    def cluster(self, name, definitions):
        self.ports = free_ports()
        os.environ["WEIR_SCENARIO_PORT"] = str(self.ports)
        from cluster import Cluster
        return Cluster({"bench.yaml": definitions}, speed_workers=1, name="bench",
                       directory=self.directory / name, settings="limits: {speed_memory: 8GiB}\n")

    def start(self, cluster):
        """All of it; it takes events when this returns."""
        cluster.start()
        wait_open(cluster["speed-worker-1"], cluster.partitions)

    def run(self, program, *options, prefix=""):
        self.figures.of_program([self.programs / program, *options], prefix)


def speed_of(cluster):
    return [f"--speed=tcp://127.0.0.1:{cluster.port + 11}",
            f"--speed-pids={cluster['speed-worker-1'].pid}"]


def get_of(cluster):
    return [f"--get=tcp://127.0.0.1:{cluster.port + 1}",
            f"--get-pids={cluster['serving-1'].pid},{cluster['speed-worker-1'].pid}"]


# ---- many keys: memory, replay, queries while a recompute runs ----

def resident(pid):
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def hold_recomputes(cluster):
    """One recompute that has begun and waits for a batch worker, so that no other begins: what is sent
    from now on stays in one epoch of the real-time views."""
    from cluster import wait_for
    cluster["batch-worker-1"].stop()
    cluster["batch-worker-1"].process = None
    ids = wait_for(lambda: cluster.ask_coordinator("recompute"), 20, "recompute")["ids"]
    wait_for(lambda: state_of(cluster, ids) == "building", 20, "the recompute has cut")
    return ids


def bench_memory(bench, cluster):
    """Events of many keys, ten each. Returns how many."""
    sizes, figures, worker = bench.sizes, bench.figures, cluster["speed-worker-1"]
    before = resident(worker.pid)
    events = 10 * sizes.many_users
    in_all = events // (sizes.many_batch * 20)
    bench.run("ingest", *speed_of(cluster), f"--sizes={sizes.many_batch}:16:{in_all}", "--rounds=20",
              f"--users={sizes.many_users}", "--in-turn=yes", prefix="fill_")
    views = cluster.speed().ask("metrics")["values"]["memory_views"]
    figures.add("memory_events", events)
    figures.add("memory_keys", sizes.many_users)
    figures.add("memory_views", views)
    figures.add("memory_resident", resident(worker.pid) - before)
    return events


def bench_replay(bench, cluster, events):
    """The speed worker is killed and started again; `events` are in its logs."""
    worker = cluster["speed-worker-1"]
    for _ in range(bench.sizes.replays):
        already = len(worker.log())
        worker.kill()
        worker.start()
        began, found = wait_open(worker, cluster.partitions, already)
        used = cpu_seconds(worker.pid)
        replayed = sum(count for _, count in found)
        if replayed != events:
            sys.exit(f"{replayed} events were replayed of {events}")
        bench.figures.add("replay_per_s", events / max(max(at for at, _ in found) - began, 1e-3))
        bench.figures.add("replay_per_cpu_s", events / max(used, 0.01))
        cluster.wait_ready()
    bench.figures.add("memory_resident_replayed", resident(worker.pid))


def state_of(cluster, ids):
    found = cluster.ask_coordinator("recomputes", {"ids": ids})["recomputes"]
    failed = [one for one in found if one["state"] == "failed"]
    if failed:
        sys.exit(f"a recompute failed: {failed}")
    states = [one["state"] for one in found]
    return states[0] if len(states) == 1 else None


class Mixed:
    """Queries on schedule (mixed.c) and a stream of events, until it ends."""

    def __init__(self, bench, cluster, seconds):
        sizes = bench.sizes
        self.stream = subprocess.Popen(
            [bench.programs / "ingest", *speed_of(cluster), f"--seconds={seconds}",
             f"--rate={sizes.mixed_events}", "--sizes=500:16:1", f"--users={sizes.many_users}"],
            stdout=subprocess.PIPE, text=True)
        self.queries = subprocess.Popen(
            [bench.programs / "mixed", get_of(cluster)[0], f"--rate={sizes.mixed_rate}",
             f"--users={sizes.many_users}", f"--histograms={bench.out}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.queries.stdout.readline() != "ready 1\n":
            sys.exit("mixed did not begin")

    def say(self, word):
        if self.stream.poll() is not None:
            sys.exit("the stream of events ended before the recomputes")
        self.queries.stdin.write(word + "\n")
        self.queries.stdin.flush()

    def end(self, figures):
        self.say("end")
        told, _ = self.queries.communicate()
        if self.queries.returncode != 0:
            sys.exit("mixed failed")
        figures.take("mixed", told, "mixed_")
        self.stop()

    def stop(self):
        for process in (self.stream, self.queries):
            if process.poll() is None:
                process.kill()
            process.wait()


def follow(cluster, mixed, ids):
    """Says what a recompute is at, until it is trimmed; seconds that it took."""
    begun, said = time.monotonic(), "recompute"
    while True:
        state = state_of(cluster, ids)
        if state in ("published", "trimmed") and said == "recompute":
            said = "publish"
            mixed.say(said)
        if state == "trimmed":
            return time.monotonic() - begun
        if time.monotonic() - begun > 120:
            sys.exit(f"the recompute is {state} after two minutes")
        time.sleep(0.02)


def dataset_of(cluster):
    """The partitions of the latest one, none before the first."""
    [log] = cluster.ask_coordinator("status")["logs"]
    return cluster.ask_coordinator("dataset", {"log": log["log"]})["partitions"] if log["manifest"] else []


def await_trim(cluster, before):
    """Until the owner has dropped what lies between the cuts before and those of now, which it does some time after
    serving nodes have told that they stand on these: it then answers no question from the earlier ones."""
    from cluster import wait_for
    owner = cluster.speed()
    [log] = cluster.ask_coordinator("status")["logs"]
    for part in dataset_of(cluster):
        number, view = part["partition"], part["views"][0]
        question = {"id": 1, "view": view["view"], "log": log["log"], "plan": view["plan"],
                    "parts": [{"partition": number, "cut": before.get(number, 0), "keys": [], "as_of": []}]}

        def is_trimmed():
            [answer] = owner.ask("query", {"questions": [question]})["answers"]
            return answer["parts"][0]["status"] == "stale"

        if before.get(number, 0) < part["cut"]:
            wait_for(is_trimmed, 60, f"partition {number} is trimmed")


def bench_mixed(bench, cluster, events, held):
    """Queries at rest and beside recomputes, with some events coming in all the time. The first one takes
    all that was held up to here, the others are of everything."""
    sizes, figures = bench.sizes, bench.figures
    mixed = Mixed(bench, cluster, 600)
    try:
        for number in range(sizes.query_rounds + 1):
            mixed.say("rest")
            time.sleep(sizes.rest_s)
            mixed.say("recompute")
            if number == 0:
                cluster["batch-worker-1"].start()
                follow_held(cluster, held)
            before = {part["partition"]: part["cut"] for part in dataset_of(cluster)}
            ids = cluster.ask_coordinator("recompute", {"full": number > 0})["ids"]
            took = follow(cluster, mixed, ids)
            await_trim(cluster, before)
            mixed.say("rest")
            mixed.say("round")
            figures.add("first_recompute_s" if number == 0 else "full_recompute_s", took)
        figures.add("first_recompute_per_s", events / figures.median("first_recompute_s"))
        mixed.end(figures)
    finally:
        mixed.stop()


def follow_held(cluster, ids):
    from cluster import wait_for
    wait_for(lambda: state_of(cluster, ids) in ("published", "trimmed"), 60,
             "the recompute that waited is published")


def part_memory(bench):
    cluster = bench.cluster("memory", DEFINITIONS)
    try:
        bench.start(cluster)
        bench.run("ingest", *speed_of(cluster), "--sizes=500:1:4", "--rounds=1",
                  f"--users={bench.sizes.many_users}", prefix="before_")
        held = hold_recomputes(cluster)
        events = bench_memory(bench, cluster)
        bench_replay(bench, cluster, events + 2000)
        bench_mixed(bench, cluster, events, held)
        cluster.stop()
    finally:
        cluster.end()


# ---- ingest ----

def part_ingest(bench):
    cluster = bench.cluster("ingest", DEFINITIONS)
    try:
        bench.start(cluster)
        bench.run("ingest", *speed_of(cluster), f"--sizes={bench.sizes.ingest}",
                  f"--rounds={bench.sizes.rounds}", f"--users={bench.sizes.users}",
                  f"--file={bench.directory / 'raw-fdatasync'}", f"--histograms={bench.out}")
        cluster.stop()
    finally:
        cluster.end()


# ---- queries ----

class Redis:
    """A Redis of our own: nothing is kept on the disk."""

    def __init__(self, port, directory):
        program = shutil.which("redis-server")
        if program is None:
            sys.exit("redis-server is missing: apt-get install redis-server")
        directory.mkdir()
        self.end_point = f"tcp://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no",
             "--dir", str(directory), "--daemonize", "no", "--loglevel", "warning"],
            stdout=subprocess.DEVNULL)

    def wait_ready(self):
        from cluster import wait_for
        import socket

        def listens():
            if self.process.poll() is not None:
                sys.exit("redis-server ended")
            try:
                with socket.create_connection(self.end_point[len("tcp://"):].split(":"), 1) as to:
                    to.sendall(b"PING\r\n")
                    return to.recv(16) == b"+PONG\r\n"
            except OSError:
                return False

        wait_for(listens, 20, "Redis listens")

    def end(self):
        self.process.terminate()
        self.process.wait()


def fill(bench, cluster):
    """A load that batch views cover, and events since that real-time views do."""
    path = bench.directory / "events.csv"
    write_csv(path, bench.sizes.load_events, bench.sizes.users)
    start = time.monotonic()
    cluster.done("load", "payments", path)
    bench.figures.add("load_per_s", bench.sizes.load_events / (time.monotonic() - start))
    path.unlink()
    bench.run("ingest", *speed_of(cluster), f"--sizes={bench.sizes.recent}", "--rounds=5",
              f"--users={bench.sizes.users}", prefix="recent_")


def stored(bench, cluster, redis, as_of, *more):
    """Redis has what weir answers as of then."""
    for view in ("spend", "wide"):
        bench.run("stored", get_of(cluster)[0], f"--redis={redis.end_point}", f"--view={view}",
                  f"--users={bench.sizes.users}", f"--as-of={as_of}", *more)


SERVING = ["incomplete", "slow_keys"]  # of its metrics: what would make figures mean something else


def serving_told(cluster):
    told = cluster.serving().ask("metrics")["values"]
    return {name: told[name] for name in SERVING}


def part_query(bench):
    sizes = bench.sizes
    cluster = bench.cluster("query", DEFINITIONS + WIDE)
    floor = Floor(bench.programs, cluster.port + 30, bench.directory)
    redis = Redis(cluster.port + 35, bench.directory / "redis")
    try:
        bench.start(cluster)
        fill(bench, cluster)
        redis.wait_ready()
        as_of = time.time_ns() // 1000
        stored(bench, cluster, redis, as_of)
        before = serving_told(cluster)
        cases = [f"{view}:{features}:{keys}" + (":many" if features == 12 and keys in MANY else "")
                 for view, features in (("spend", 12), ("wide", 60)) for keys in KEYS]
        bench.run("query", *get_of(cluster), *floor.options(), f"--redis={redis.end_point}",
                  f"--redis-pids={redis.process.pid}", f"--cases={','.join(cases)}",
                  f"--users={sizes.users}", f"--clients={sizes.clients}",
                  f"--open-rate={sizes.open_rate}", f"--slice-ms={sizes.slice_ms}",
                  f"--rounds={sizes.query_rounds}", f"--histograms={bench.out}")
        with Awake():
            bench.run("query", *get_of(cluster), *floor.options("relay-tcp"), "--cases=spend:12:1",
                      f"--users={sizes.users}", f"--slice-ms={sizes.slice_ms}",
                      f"--rounds={2 * sizes.query_rounds}", prefix="awake_")
        for name, count in serving_told(cluster).items():
            bench.figures.add(f"serving_{name}", count - before[name])
        stored(bench, cluster, redis, as_of, "--compare=yes")
        cluster.stop()
    finally:
        cluster.end()
        floor.end()
        redis.end()


def measure(options):
    found = {"machine": machine_line(), "figures": {}}
    directory = Path(tempfile.mkdtemp(prefix="weir-online-", dir=options.directory))
    try:
        bench = Bench(options, directory)
        for part in options.only.split(",") if options.only else PARTS:
            if part not in PARTS:
                sys.exit(f"--only={part}: the parts are {', '.join(PARTS)}")
            print(f"{part} …", flush=True)
            begun = time.monotonic()
            {"memory": part_memory, "ingest": part_ingest, "query": part_query}[part](bench)
            bench.figures.add(f"took_{part}_s", time.monotonic() - begun)
        found["figures"] = bench.figures.values
    finally:
        if options.keep:
            print(f"left: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--build", default="build/release", help="where programs were built")
    parser.add_argument("--out", default="build/bench-online", help="report.md, histograms, curves")
    parser.add_argument("--only", help=f"parts, with commas between: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="instead of five")
    parser.add_argument("--directory", help="where to work (default: a temporary directory)")
    parser.add_argument("--keep", action="store_true", help="leave the directory as it is")
    parser.add_argument("--report", nargs="+", metavar="FILE",
                        help="measure nothing; put several results.json together")
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    for path in options.report or []:
        for text in Path(path).parent.glob("*.hgrm"):
            if text.parent.absolute() != out.absolute():
                shutil.copy(text, out)
    found = online_report.together(options.report) if options.report else measure(options)
    (out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    online_report.report(found, out, options.smoke)


if __name__ == "__main__":
    main()
