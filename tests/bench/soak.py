"""A stream at the rate that one producer reaches, for minutes, against a real cluster: do what no batch
view covers, and memory, stay flat? Used by bench.py (--only soak)."""
import os
import re
import subprocess
import sys
import time

from figures import wait_open

EVERY_S = 5   # between samples
BAR = 1.25    # the most that the last half's maximum may be of the first half's
WARM_UP = 0.1  # of the time is not looked at

COLUMNS = {"s": "{:.0f}", "uncovered": "{:.2f} M", "events": "{:.1f} M", "rate": "{:.0f} k/s",
           "speed": "{:.0f}", "batch": "{:.0f}", "serving": "{:.0f}", "coordinator": "{:.0f}",
           "layers": "{:.0f}", "runs": "{:.0f}", "catalog": "{:.0f}", "manifest": "{:.0f}"}


def resident_mib(pid):
    text = open(f"/proc/{pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


def sample(cluster, begun, before):
    status = cluster.ask_coordinator("status")
    log = status["logs"][0]
    parts = cluster.ask_coordinator("dataset", {"log": log["log"]})["partitions"] \
        if log["manifest"] else []
    events = sum(partition["end"] for partition in log["partitions"])
    now = time.monotonic() - begun
    found = {"s": now, "uncovered": log["events"] / 1e6, "events": events / 1e6,
             "rate": (events - before["events"] * 1e6) / (now - before["s"]) / 1e3,
             "layers": max((len(part.get("layers", [1])) for part in parts), default=0),
             "runs": max((len(part["runs"]) for part in parts), default=0),
             "catalog": (cluster.directory / "data/catalog.db").stat().st_size / 1024,
             "manifest": log["manifest"]}
    for name, node in (("speed", "speed-worker-1"), ("batch", "batch-worker-1"),
                       ("serving", "serving-1"), ("coordinator", "coordinator")):
        found[name] = resident_mib(cluster[node].pid)
    return found


def flatness(samples, column):
    """The last half's maximum beside the first half's, without the first tenth."""
    kept = [found[column] for found in samples if found["s"] >= WARM_UP * samples[-1]["s"]]
    half = len(kept) // 2
    return max(kept[half:]) / max(max(kept[:half]), 1e-9)


def soak(cluster, programs, seconds, users):
    command = [programs / "ingest", f"--speed=tcp://127.0.0.1:{cluster.port + 11}", "--sizes=500:16:1",
               f"--users={users}", f"--seconds={seconds}"]
    sender = subprocess.Popen(list(map(str, command)), text=True, stdout=subprocess.PIPE)
    begun, samples = time.monotonic(), []
    before = {"events": 0, "s": 0}
    every = min(EVERY_S, seconds / 8)
    print("soak: " + ", ".join(COLUMNS) + " (memory in MiB, the catalog in KiB)")
    while sender.poll() is None:
        time.sleep(every)
        before = sample(cluster, begun, before)
        samples.append(before)
        print("  " + "  ".join(text.format(before[name]) for name, text in COLUMNS.items()),
              flush=True)
    told = sender.communicate()[0]
    if sender.returncode != 0:
        sys.exit("the producer failed")
    for line in told.splitlines():
        print(f"  {line}")
    return samples, int(float(dict(line.split() for line in told.splitlines())["stream_events"]))


def verdict(samples, smoke):
    for column, name in (("uncovered", "soak_uncovered_flat"), ("speed", "soak_speed_memory_flat"),
                         ("batch", "soak_batch_memory_flat")):
        ratio = flatness(samples, column)
        if smoke:
            print(f"{name}: × {ratio:.2f}, of too short a time")
        else:
            print(f"BAR {name} ratio={ratio:.2f} bar={BAR} {'ok' if ratio <= BAR else 'short'}")


def check_counts(cluster, events):
    """All that was acknowledged is in the log, once. The coordinator hears of ends by beats; they count
    control records too."""
    from cluster import wait_for

    def told():
        log = cluster.ask_coordinator("status")["logs"][0]
        ends = sum(part["end"] for part in log["partitions"])
        return (ends, log) if ends >= events else None

    ends, log = wait_for(told, 30, f"the logs hold the {events} events that were acknowledged")
    if ends > events + 100 * len(log["partitions"]) * (log["manifest"] + 2):
        sys.exit(f"{events} events were acknowledged, and the logs end at {ends} together")


def run(programs, directory, binaries, definitions, seconds, users, port, smoke):
    os.environ["WEIR_BIN"] = str(binaries)
    os.environ["WEIR_SCENARIO_PORT"] = str(port)
    from cluster import Cluster
    cluster = Cluster({"bench.yaml": definitions}, speed_workers=1, every="10m" if not smoke else "2s",
                      directory=directory / "soak", name="soak")
    try:
        cluster.start()
        wait_open(cluster["speed-worker-1"], cluster.partitions)
        samples, events = soak(cluster, programs, seconds, users)
        check_counts(cluster, events)
        cluster.stop()
        verdict(samples, smoke)
    finally:
        cluster.end()
