#!/usr/bin/python3
"""bench.py [--smoke] [--build DIR] [--only PART] [--keep] [--minutes N] - figures of this machine, beside what they
are compared with in the same run. Starts a cluster of the real programs on ports of its own; all
load comes from the C programs beside this file. docs/benchmarks.md says what the figures mean."""
import argparse
import datetime
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soak

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/scenario"))

FIRST_USER = 100000  # as in talk.h
HERTZ = os.sysconf("SC_CLK_TCK")
PORTS = 40

DEFINITIONS = """
streams:
  payments:
    key: user_id
    time: ts
    fields:
      user_id: {type: int64, required: true}
      amount: float64
      ts: {type: timestamp, unit: us}
      merchant: string
      status: string
      memo: string
views:
  spend:
    from: payments
    key: user_id
    features:
      n: count() over 1h, 24h, 7d
      total: sum(amount) over 1h, 24h, 7d
      least: min(amount) over 1h, 24h, 7d
      most: max(amount) over 1h, 24h, 7d
"""


class Sizes:
    """How much of everything."""

    def __init__(self, smoke):
        self.rounds = 1 if smoke else 5
        self.users = 1000 if smoke else 100000
        self.recompute_events = 20000 if smoke else 2000000
        self.recompute_keys = 1000 if smoke else 100000
        self.speed_events = 50000 if smoke else 1000000
        self.load_events = 5000 if smoke else 1000000
        self.ingest_batches = 20 if smoke else 500
        self.slice_ms = 50 if smoke else 250
        self.open_rate = 200 if smoke else 500


class Figures:
    """Figures by name, several of each: one of every round."""

    def __init__(self):
        self.values = {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(float(value))

    def median(self, name):
        return statistics.median(self.values[name])

    def of_program(self, command, prefix="", **more):
        """Runs a program that prints "name value" lines."""
        done = subprocess.run(list(map(str, command)), text=True, capture_output=True, **more)
        if done.returncode != 0:
            sys.exit(f"{Path(command[0]).name} failed: {done.stderr}")
        for line in done.stdout.splitlines():
            name, value = line.split()
            self.add(prefix + name, value)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def free_ports():
    """A base port with room above it."""
    for _ in range(100):
        base = random.randrange(20000, 30000, PORTS)
        try:
            for port in range(base, base + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    sys.exit("no free ports")


def machine_line():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"machine: {model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux "
            f"{platform.release()}, load {os.getloadavg()[0]:.1f} at the start")


# ---- parts ----

def bench_recompute(figures, sizes, programs, directory):
    place = directory / "recompute"
    place.mkdir()
    figures.of_program([programs / "recompute", f"--events={sizes.recompute_events}",
                        f"--keys={sizes.recompute_keys}", f"--rounds={sizes.rounds}",
                        f"--directory={place}"])
    shutil.rmtree(place)


def bench_speed(figures, sizes, programs):
    figures.of_program([programs / "speed", f"--events={sizes.speed_events}",
                        f"--keys={sizes.speed_events // 10}", f"--rounds={sizes.rounds}"])


def write_csv(path, sizes):
    """Events of the last ten days, not in order of time."""
    draw = random.Random(1)
    now = time.time_ns() // 1000 - 7200 * 10**6
    with open(path, "w") as out:
        out.write("user_id,amount,ts,merchant,status,memo\n")
        for i in range(sizes.load_events):
            user = FIRST_USER + draw.randrange(sizes.users)
            at = now - draw.randrange(10 * 86400 * 10**6)
            out.write(f"{user},{draw.randrange(100000) / 100},{at},merchant-{i % 997:010d},"
                      f"status-{i % 3},{i:044d}\n")


def bench_load(figures, sizes, cluster, directory):
    path = directory / "events.csv"
    write_csv(path, sizes)
    start = time.monotonic()
    cluster.done("load", "payments", path)
    figures.add("load_per_s", sizes.load_events / (time.monotonic() - start))
    path.unlink()


def bench_cluster_recompute(figures, sizes, cluster, events):
    start = time.monotonic()
    cluster.recompute(120)
    figures.add("cluster_recompute_per_s", events / (time.monotonic() - start))


def bench_ingest(figures, sizes, cluster, programs, directory):
    worker = cluster["speed-worker-1"]
    events = sizes.ingest_batches * 500 * sizes.rounds
    before = cpu_seconds(worker.pid)
    figures.of_program([programs / "ingest", f"--speed=tcp://127.0.0.1:{cluster.port + 11}",
                        f"--batches={sizes.ingest_batches}", f"--rounds={sizes.rounds}",
                        f"--users={sizes.users}", f"--file={directory / 'raw-fdatasync'}"])
    figures.add("ingest_per_cpu_s", events / max(cpu_seconds(worker.pid) - before, 1 / HERTZ))
    return events


def clock_of(line):
    return datetime.datetime.fromisoformat(line.split("Z ", 1)[0]).timestamp()


def openings(text):
    """Of a speed worker's log: when it got the definitions and could open, and for each partition
    that was opened, when and with how many events."""
    began, found = 0, []
    for line in text.splitlines():
        if ": definitions version" in line:
            began = clock_of(line)
        if " events in real-time views" in line:
            count = line.split(" events in real-time views")[0].rsplit(" ", 1)[1]
            found.append((clock_of(line), int(count)))
    return began, found


def bench_replay(figures, sizes, cluster, events):
    from cluster import wait_for
    worker = cluster["speed-worker-1"]
    for _ in range(min(sizes.rounds, 3)):
        already = len(worker.log())
        worker.kill()
        worker.start()

        def reopened():
            began, found = openings(worker.log()[already:])
            return (began, found) if len(found) == cluster.partitions else None

        began, found = wait_for(reopened, 60, "the speed worker has replayed its logs")
        used = cpu_seconds(worker.pid)
        replayed = sum(count for _, count in found)
        if replayed != events:
            sys.exit(f"{replayed} events were replayed of {events}")
        figures.add("replay_per_s", events / max(max(at for at, _ in found) - began, 1e-3))
        figures.add("replay_per_cpu_s", events / max(used, 1 / HERTZ))
        cluster.wait_ready()


def bench_query(figures, sizes, cluster, programs, keys, prefix, floor_port):
    figures.of_program([programs / "query", f"--serving=tcp://127.0.0.1:{cluster.port + 1}",
                        f"--floor=tcp://127.0.0.1:{floor_port}", f"--users={sizes.users}",
                        f"--keys={keys}", f"--rounds={sizes.rounds}",
                        f"--window={32 if keys == 1 else 4}", f"--slice-ms={sizes.slice_ms}",
                        f"--open-rate={sizes.open_rate if keys == 1 else 0}"], prefix)


class Floor:
    """The relay and the echo behind it."""

    def __init__(self, programs, port):
        self.port = port
        ends = [f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{port + 1}"]
        self.nodes = [subprocess.Popen([programs / "floor", f"--listen={ends[1]}"]),
                      subprocess.Popen([programs / "floor", f"--listen={ends[0]}",
                                        f"--to={ends[1]}"])]

    def end(self):
        for node in self.nodes:
            node.kill()
            node.wait()


def bench_cluster(figures, sizes, programs, directory, binaries):
    os.environ["WEIR_BIN"] = str(binaries)
    os.environ["WEIR_SCENARIO_PORT"] = str(free_ports())
    from cluster import Cluster
    cluster = Cluster({"bench.yaml": DEFINITIONS}, speed_workers=1, directory=directory / "project",
                      settings="limits: {speed_memory: 8GiB}\n", name="bench")
    floor = Floor(programs, cluster.port + 30)
    try:
        cluster.start()
        bench_load(figures, sizes, cluster, directory)
        events = bench_ingest(figures, sizes, cluster, programs, directory)
        bench_query(figures, sizes, cluster, programs, 1, "one_", floor.port)
        bench_query(figures, sizes, cluster, programs, 100, "hundred_", floor.port)
        bench_replay(figures, sizes, cluster, events)
        bench_cluster_recompute(figures, sizes, cluster, events + sizes.load_events)
        cluster.stop()
    finally:
        cluster.end()
        floor.end()


def bench_security(figures, sizes, programs, directory, binaries):
    """A cluster with keys and one without, in turn. Names of figures with keys begin with key_."""
    os.environ["WEIR_BIN"] = str(binaries)
    from cluster import Cluster
    clusters = {}
    floor = Floor(programs, free_ports() + 30)
    try:
        for prefix in ("", "key_"):
            os.environ["WEIR_SCENARIO_PORT"] = str(free_ports())
            place = directory / f"project-{prefix}"
            clusters[prefix] = Cluster({"bench.yaml": DEFINITIONS}, speed_workers=1, name="bench",
                                       settings="limits: {speed_memory: 8GiB}\n", directory=place,
                                       secured=bool(prefix)).start()
        for number in range(sizes.rounds):
            for prefix, cluster in sorted(clusters.items(), reverse=number % 2 == 1):
                bench_with_keys(figures, sizes, programs, directory, cluster, prefix, floor.port)
    finally:
        for cluster in clusters.values():
            cluster.end()
        floor.end()


def bench_with_keys(figures, sizes, programs, directory, cluster, prefix, floor_port):
    environment = dict(os.environ)
    if cluster.secured:
        environment |= {"WEIR_BENCH_KEY": str(cluster.keys / "client.secret"),
                        "WEIR_BENCH_SERVER": str(cluster.keys / "accepted/node.node.pub")}
    worker = cluster["speed-worker-1"]
    before = cpu_seconds(worker.pid)
    figures.of_program([programs / "ingest", f"--speed=tcp://127.0.0.1:{cluster.port + 11}",
                        f"--batches={sizes.ingest_batches}", "--rounds=1", f"--users={sizes.users}",
                        f"--file={directory / 'raw-fdatasync'}"], prefix, env=environment)
    figures.add(prefix + "ingest_per_cpu_s", sizes.ingest_batches * 500 /
                max(cpu_seconds(worker.pid) - before, 1 / HERTZ))
    for keys in (1, 100):
        figures.of_program([programs / "query", f"--serving=tcp://127.0.0.1:{cluster.port + 1}",
                            f"--floor=tcp://127.0.0.1:{floor_port}", f"--users={sizes.users}",
                            f"--keys={keys}", "--rounds=1", f"--window={32 if keys == 1 else 4}",
                            f"--slice-ms={sizes.slice_ms * 4}", "--open-rate=0"],
                           f"{prefix}{'one' if keys == 1 else 'hundred'}_", env=environment)


# ---- the report ----

def per_s(value):
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"


def us(value):
    return f"{value:.0f} µs"


def ratio_of(figures, over, under):
    """The median of the rounds' ratios: what is compared ran side by side."""
    return statistics.median(a / b for a, b in zip(figures.values[over], figures.values[under]))


def bar(name, ratio, limit, is_at_most):
    good = ratio <= limit if is_at_most else ratio >= limit
    print(f"BAR {name} ratio={ratio:.2f} bar={limit:g} {'ok' if good else 'short'}")


def report_rows(figures):
    """(what, ours, beside it) of what was measured."""
    median = figures.median
    if "recompute_per_s" in figures.values:
        yield "recompute, history sorted, 1 core", per_s(median("recompute_per_s")), ""
        yield ("first recompute, from the log, 1 core", per_s(median("first_recompute_per_s")),
               f"history {median('history_bytes_per_event'):.1f} and view "
               f"{median('view_bytes_per_event'):.1f} bytes an event")
    if "speed_event_ns" in figures.values:
        yield ("an event through 40 features × 4 windows", f"{median('speed_event_ns'):.0f} ns",
               f"{median('speed_bytes_per_event'):.0f} bytes an event, "
               f"{median('speed_events_per_key'):.1f} events a key")
        yield ("  of the median key", f"{median('speed_event_median_key_ns'):.0f} ns",
               f"its 160 answers {median('speed_answer_median_key_ns') / 1000:.1f} µs")
    if "ingest_per_s" not in figures.values:
        return
    yield ("ingest, one speed worker", per_s(median("ingest_per_s")),
           f"raw fdatasync of each batch {per_s(median('fdatasync_per_s'))}")
    yield "  of its CPU time", per_s(median("ingest_per_cpu_s")), ""
    yield ("  acknowledged in, p50 / p99",
           f"{median('ack_p50_ms'):.1f} / {median('ack_p99_ms'):.1f} ms",
           f"raw fdatasync {median('fdatasync_p50_ms'):.1f} / {median('fdatasync_p99_ms'):.1f} ms")
    yield "replay after kill -9", per_s(median("replay_per_s")), ""
    yield "  of its CPU time", per_s(median("replay_per_cpu_s")), ""
    for prefix, what in (("one_", "query, 1 key × 12 features"), ("hundred_", "query, 100 × 12")):
        for at, title in (("p50", ", p50"), ("p99", ", p99"), ("open_p50", ", open loop, p50"),
                          ("open_p99", ", open loop, p99")):
            if f"{prefix}get_{at}_us" in figures.values:
                yield (what + title, us(median(f"{prefix}get_{at}_us")),
                       f"relayed echo {us(median(f'{prefix}floor_{at}_us'))}: × "
                       f"{ratio_of(figures, f'{prefix}get_{at}_us', f'{prefix}floor_{at}_us'):.2f}")
        yield (what + ", asked together", per_s(median(f"{prefix}get_per_s")),
               f"relayed echo {per_s(median(f'{prefix}floor_per_s'))}")
    yield "load of CSV until visible", per_s(median("load_per_s")), ""
    yield "recompute through the cluster", per_s(median("cluster_recompute_per_s")), ""


def report_security(figures):
    """What keys cost, each figure beside the one without."""
    for name, what, text in (
            ("one_get_p50_us", "query, 1 key × 12 features, p50", us),
            ("one_get_p99_us", "query, 1 key × 12 features, p99", us),
            ("one_get_per_s", "query, 1 key × 12, asked together", per_s),
            ("hundred_get_p50_us", "query, 100 × 12, p50", us),
            ("hundred_get_per_s", "query, 100 × 12, asked together", per_s),
            ("ingest_per_s", "ingest, one speed worker", per_s),
            ("ingest_per_cpu_s", "  of its CPU time", per_s),
            ("ack_p50_ms", "  acknowledged in, p50", lambda value: f"{value:.1f} ms")):
        yield (what + ", with keys", text(figures.median("key_" + name)),
               f"without {text(figures.median(name))}: × "
               f"{ratio_of(figures, 'key_' + name, name):.2f}")


def report(figures, machine, smoke):
    print(machine)
    print("medians of the rounds; ratios are medians of the rounds' ratios")
    secured = "key_ingest_per_s" in figures.values
    for what, ours, beside in (report_security if secured else report_rows)(figures):
        print(f"  {what:<42} {ours:>16}   {beside}")
    if smoke:
        print("too small to compare with the bars: `make bench` does")
    if smoke or secured:
        return
    if "speed_event_ns" in figures.values:
        bar("speed_40x4_median_key_1us", figures.median("speed_event_median_key_ns") / 1000, 1, True)
    if "one_get_p50_us" not in figures.values:
        return
    bar("query_1x12_p50", ratio_of(figures, "one_get_p50_us", "one_floor_p50_us"), 1.2, True)
    bar("query_1x12_p99", ratio_of(figures, "one_get_p99_us", "one_floor_p99_us"), 1.2, True)
    bar("query_1x12_p99_1ms", figures.median("one_get_p99_us") / 1000, 1, True)
    bar("ingest_300k", figures.median("ingest_per_s") / 300e3, 1, False)
    bar("replay_1500k", figures.median("replay_per_cpu_s") / 1500e3, 1, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--build", default="build/release", help="where programs were built")
    parser.add_argument("--only", choices=["recompute", "speed", "cluster", "security", "soak"],
                        help="soak and security only when named")
    parser.add_argument("--minutes", type=float, default=10, help="that a soak takes")
    parser.add_argument("--directory", help="where to work (default: a temporary directory)")
    parser.add_argument("--keep", action="store_true", help="leave the directory as it is")
    options = parser.parse_args()
    machine = machine_line()
    build = Path(options.build).absolute()
    directory = Path(tempfile.mkdtemp(prefix="weir-bench-", dir=options.directory))
    figures, sizes = Figures(), Sizes(options.smoke)
    try:
        if options.only in (None, "recompute"):
            bench_recompute(figures, sizes, build / "bench", directory)
        if options.only in (None, "speed"):
            bench_speed(figures, sizes, build / "bench")
        if options.only in (None, "cluster"):
            bench_cluster(figures, sizes, build / "bench", directory, build / "bin")
        if options.only == "security":
            bench_security(figures, sizes, build / "bench", directory, build / "bin")
        if options.only == "soak":
            soak.run(build / "bench", directory, build / "bin", DEFINITIONS,
                     8 if options.smoke else options.minutes * 60, sizes.users, free_ports(),
                     options.smoke)
        else:
            report(figures, machine, options.smoke)
    finally:
        if options.keep:
            print(f"left: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
