#!/usr/bin/python3
"""bench.py [--smoke] [--build DIR] [--only PART] [--keep] [--minutes N] - what one thread does in process:
a batch worker's build task, and an event through a view of many features. And, when they are named,
what keys cost a cluster (security), and a stream for minutes (soak). Ingest and queries are online.py's,
the batch layer beside its peers is batch.py's. docs/benchmarks.md says what the figures mean."""
import argparse
import os
import shutil
import tempfile
from pathlib import Path

import soak
from figures import DEFINITIONS, Figures, Floor, bar_line, free_ports, machine_line, per_s, us, wait_open


class Sizes:
    """How much of everything."""

    def __init__(self, smoke):
        self.rounds = 1 if smoke else 5
        self.users = 1000 if smoke else 100000
        self.recompute_events = 20000 if smoke else 2000000
        self.recompute_keys = 1000 if smoke else 100000
        self.speed_events = 50000 if smoke else 1000000
        self.answers_keys = 2000 if smoke else 100000
        self.ingest_batches = 20 if smoke else 500
        self.slice_ms = 50 if smoke else 250


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
    figures.of_program([programs / "answers", f"--keys={sizes.answers_keys}",
                        f"--rounds={sizes.rounds}"])


def bench_security(figures, sizes, programs, directory, binaries):
    """A cluster with keys and one without, in turn. Names of figures with keys begin with key_."""
    os.environ["WEIR_BIN"] = str(binaries)
    from cluster import Cluster
    clusters = {}
    floor = Floor(programs, free_ports() + 30, directory)
    try:
        for prefix in ("", "key_"):
            os.environ["WEIR_SCENARIO_PORT"] = str(free_ports())
            place = directory / f"project-{prefix}"
            clusters[prefix] = Cluster({"bench.yaml": DEFINITIONS}, speed_workers=1, name="bench",
                                       settings="limits: {speed_memory: 8GiB}\n", directory=place,
                                       secured=bool(prefix)).start()
            wait_open(clusters[prefix]["speed-worker-1"], clusters[prefix].partitions)
        for number in range(sizes.rounds):
            for prefix, cluster in sorted(clusters.items(), reverse=number % 2 == 1):
                bench_with_keys(figures, sizes, programs, cluster, prefix, floor)
    finally:
        for cluster in clusters.values():
            cluster.end()
        floor.end()


def bench_with_keys(figures, sizes, programs, cluster, prefix, floor):
    environment = dict(os.environ)
    if cluster.secured:
        environment |= {"WEIR_BENCH_KEY": str(cluster.keys / "client.secret"),
                        "WEIR_BENCH_SERVER": str(cluster.keys / "accepted/node.node.pub")}
    figures.of_program([programs / "ingest", f"--speed=tcp://127.0.0.1:{cluster.port + 11}",
                        f"--speed-pids={cluster['speed-worker-1'].pid}", "--rounds=1",
                        f"--sizes=500:16:{sizes.ingest_batches}", f"--users={sizes.users}"],
                       prefix, env=environment)
    figures.of_program([programs / "query", f"--get=tcp://127.0.0.1:{cluster.port + 1}",
                        *floor.options("relay-tcp"), f"--users={sizes.users}", "--rounds=1",
                        "--cases=spend:12:1:many,spend:12:100:many", "--clients=16",
                        f"--slice-ms={sizes.slice_ms * 4}"], prefix, env=environment)


# ---- the report ----

def report_rows(figures):
    """(what, ours, beside it) of what was measured."""
    median = figures.median
    if "recompute_per_s" in figures:
        yield "recompute, history sorted, 1 core", per_s(median("recompute_per_s")), ""
        yield ("first recompute, from the log, 1 core", per_s(median("first_recompute_per_s")),
               f"history {median('history_bytes_per_event'):.1f} and view "
               f"{median('view_bytes_per_event'):.1f} bytes an event")
    if "speed_event_ns" in figures:
        yield ("an event through 40 features × 4 windows", f"{median('speed_event_ns'):.0f} ns",
               f"{median('speed_bytes_per_event'):.0f} bytes an event, "
               f"{median('speed_events_per_key'):.1f} events a key")
        yield ("  of the median key", f"{median('speed_event_median_key_ns'):.0f} ns",
               f"its 160 answers {median('speed_answer_median_key_ns') / 1000:.1f} µs")
    if "answers_key_ns" in figures:
        yield ("12 answers of a key of 12 events", f"{median('answers_key_ns'):.0f} ns",
               f"{median('answers_bytes_per_key'):.0f} bytes a key")


def report_security(figures):
    """What keys cost, each figure beside the one without."""
    for name, what, text in (
            ("1x12_get_p50_us", "query, 1 key × 12 features, p50", us),
            ("1x12_get_p99_us", "query, 1 key × 12 features, p99", us),
            ("1x12_get_c16_per_s", "query, 1 key × 12, 16 clients", per_s),
            ("100x12_get_p50_us", "query, 100 × 12, p50", us),
            ("100x12_get_c16_per_s", "query, 100 × 12, 16 clients", per_s),
            ("500x16_ingest_per_s", "ingest, one speed worker", per_s),
            ("500x16_ingest_per_cpu_s", "  of its CPU time", per_s),
            ("500x16_ack_p50_ms", "  acknowledged in, p50", lambda value: f"{value:.1f} ms")):
        yield (what + ", with keys", text(figures.median("key_" + name)),
               f"without {text(figures.median(name))}: × {figures.ratio('key_' + name, name):.2f}")


def report(figures, machine, smoke):
    print(machine)
    print("medians of the rounds; ratios are medians of the rounds' ratios")
    secured = "key_500x16_ingest_per_s" in figures
    for what, ours, beside in (report_security if secured else report_rows)(figures):
        print(f"  {what:<42} {ours:>16}   {beside}")
    if smoke:
        print("too small to compare with the bars: `make bench` does")
    elif "speed_event_ns" in figures:
        print(bar_line("speed_40x4_median_key_1us",
                       figures.median("speed_event_median_key_ns") / 1000, 1, True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--build", default="build/release", help="where programs were built")
    parser.add_argument("--only", choices=["recompute", "speed", "security", "soak"],
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
