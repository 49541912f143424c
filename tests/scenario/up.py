"""`weir up` by several at once: each node is started once, all of them succeed, and who is interrupted while it
waits for another ends nothing."""
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster import BIN, SLOWER, Cluster, expect, expect_equal, wait_for
from definitions import PAYMENTS

TIME_LIMIT = 120

cluster = Cluster({})
names = list(cluster.nodes)


def starts(name):
    log = cluster.directory / "data/logs" / f"{name}.log"
    return log.read_text().count(": started; ") if log.exists() else 0


try:
    for round in range(1, 4):
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(lambda _: cluster.weir("up", "-d"), range(4)))
        expect(all(run.code == 0 for run in runs), runs)
        expect_equal(sum("is up: 5 nodes" in run.out for run in runs), 1, runs)
        expect_equal(sum("is running already: 5 nodes" in run.out for run in runs), 3, runs)
        expect_equal([starts(name) for name in names], [round] * len(names), names)
        cluster.done("down")
    # one that is stopped in the middle of starting keeps its turn; another waits until it goes on, or gives up
    first = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "up"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    wait_for(lambda: starts("coordinator") == 4, 20, "the first starts nodes")
    first.send_signal(signal.SIGSTOP)
    second = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "up", "-d"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told = second.stderr.readline()
    if "waiting for it" in told:  # else the first was ready before it was stopped
        second.send_signal(signal.SIGINT)
        expect_equal(second.wait(20 * SLOWER), 130)
    else:
        second.wait(20 * SLOWER)
    first.send_signal(signal.SIGCONT)
    expect("is up: 5 nodes" in first.stdout.readline(), "the first is ready")
    expect_equal([starts(name) for name in names], [4] * len(names), names)
    expect_equal(cluster.done("up", "-d").out, "scenario is running already: 5 nodes\n")
    expect("weir.yaml was written after" not in cluster.done("up", "-d").err, "it was not")
    settings = cluster.directory / "weir.yaml"
    settings.write_text(settings.read_text() + "\n# something else\n")
    expect("weir.yaml was written after they were started" in cluster.done("up", "-d").err, "they do not go by it")
    first.send_signal(signal.SIGINT)
    expect_equal(first.wait(30 * SLOWER), 130)
    expect_equal(cluster.done("down").out, "no node was running\n")
    # one whose process id cannot be kept is stopped again with the others
    run = cluster.directory / "data/run"
    (run / "serving-1.pid.tmp").mkdir()
    failed = cluster.weir("up", "-d")
    expect(failed.code == 1 and "serving-1.pid" in failed.err, failed)
    (run / "serving-1.pid.tmp").rmdir()
    expect("is up: 5 nodes" in cluster.done("up", "-d").out, "nothing runs that nobody knows of")
    # before anything is registered, who begins is told what to do
    rows = cluster.directory / "rows.csv"
    rows.write_text("user_id,ts\na,2026-01-01\n")
    for words in (["load", "payments", rows], ["send", "payments", rows], ["get", "spend", "user_id=a"],
                  ["forget", "payments", "user_id=a", "--yes"]):
        early = cluster.weir(*words)
        expect(early.code == 1 and "`weir apply`" in early.err, words, early)
    # who asks as soon as it is up is answered, also by one that came in the place of another a moment ago
    cluster.write({"payments.yaml": PAYMENTS + "views: {spend: {from: payments, features: {n: count()}}}\n"})
    cluster.done("apply", "--yes")
    for round in range(3):
        cluster.done("down")
        cluster.done("up", "-d")
        cluster.done("get", "spend", "user_id=a")
        pid = int((run / "serving-1.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20, "it is gone")
        cluster.done("up", "-d")
        cluster.done("get", "spend", "user_id=a")
    # a node that weir.yaml does not list any more is stopped all the same
    config = cluster.directory / "weir.yaml"
    before = config.read_text()
    config.write_text(re.sub(r"batch_workers: *\d+", "batch_workers: 2", before))
    expect("batch_workers: 2" in config.read_text(), before)
    cluster.done("up", "-d")
    pid = int((run / "batch-worker-2.pid").read_text())
    config.write_text(before)
    expect_equal(cluster.done("down").out, "stopped 6 nodes\n")
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 20, "batch-worker-2 is gone")
finally:
    cluster.weir("down")
print("12 starts of 5 nodes, 3 of them by four at once")
