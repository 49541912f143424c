"""The Python package against real nodes: rows that it sends are what `weir get` answers, its own answers are the same value by
value, an owner killed in the middle of sending costs and doubles nothing, and docs/python.md does what it says."""

import importlib.util
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from cluster import BIN, SLOWER, Cluster, Threads, expect, expect_equal, now_us, wait_for

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "client/python"))
import weir  # noqa: E402

TIME_LIMIT = 300

DEFINITIONS = """
streams:
  values:
    key: k
    time: ts
    fields:
      k: {type: string, required: true}
      i: int64
      f: float64
      d: decimal(38,6)
      b: bool
      s: string
      t: timestamp
      ts: {type: timestamp, unit: us}
  hits:
    key: page
    time: ts
    fields: {page: int64, number: int64, ts: {type: timestamp, unit: us}}
views:
  latest:
    from: values
    features:
      n: count()
      i: last(i)
      f: last(f)
      d: last(d)
      b: last(b)
      s: last(s)
      t: last(t)
      greatest: max(f)
      total: sum(d)
      kept: last_k(s, 3)
      per_d: count() by d
  pages:
    from: hits
    features: {n: count(), total: sum(number)}
services:
  model:
    as_of: before
    views:
      mine: {view: latest, key: {k: mine}}
      other: {view: latest, key: {k: other}}
    request: {amount: "decimal(9,2)"}
    features: ["mine:d", "other:i", "mine:n", amount, more]
    derived:
      more: amount + 1
"""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)


def as_json(value):
    """A value of the package as `weir get --json` writes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)]
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {as_json(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def same_as_command(client, cluster, view, keys, **more):
    """The package's answer about each key is the command's. Both are as of one time."""
    at = datetime.now(timezone.utc)
    found = client.get_many(view, None, keys, as_of=at, **more)
    for key, one in zip(keys, found):
        [told] = cluster.done("get", view, *[f"{name}={value}" for name, value in key.items()], "--as-of",
                              at.isoformat(), "--json").objects()
        expect_equal(as_json(one.features), told["features"], key)
        expect_equal(as_json(one.as_of), told["as_of"], key)
        expect_equal((one.positions, one.dataset, one.complete), (told["positions"], told["dataset"], told["complete"]), key)
        expect_equal(one.versions, told["versions"], key)
    return found


# ---- every kind of value, there and back ----


def round_trips(client, cluster):
    base = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
    values = {
        "plain": {"i": -5, "f": 0.1, "d": Decimal("1.5"), "b": True, "s": "text", "t": base},
        "edges": {"i": (1 << 63) - 1, "f": 5e-324, "d": Decimal("12345678901234567890123456789012.654321"), "b": False, "s": "",
                  "t": datetime(1, 1, 1, tzinfo=timezone.utc)},
        "least": {"i": -(1 << 63), "f": -1.7976931348623157e308, "d": Decimal("-0.000001"),
                  "t": base + timedelta(days=2_900_000)},
        "nan": {"f": math.nan}, "inf": {"f": math.inf}, "-inf": {"f": -math.inf}, "zero": {"f": -0.0},
        "nothing": {},
        "ünï 😀 'k\"": {"s": "naïve 日本語 \U0001f600 \"quoted\" \\ \t", "d": Decimal("1E+3")},
        "zoned": {"t": datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=-7)))},
    }
    report = client.send("values", [{"k": key, "ts": datetime.now(timezone.utc), **fields} for key, fields in values.items()])
    expect_equal((report.accepted, report.refused_count), (len(values), 0), report)
    found = same_as_command(client, cluster, "latest", [{"k": key} for key in values])
    for (key, fields), one in zip(values.items(), found):
        for name in "ifdbst":
            got, wanted = one[name], fields.get(name)
            if isinstance(wanted, float) and math.isnan(wanted):
                expect(math.isnan(got) and math.isnan(one["greatest"]), key, got)
            else:
                expect_equal(got, wanted, (key, name))
        expect_equal((one["n"], one.complete, one.errors), (1, True, {}), key)
        expect(all(position >= report.positions.get(log, 0) for log, position in one.positions.items()), one.positions)
    expect_equal(math.copysign(1, client.get("latest", "f", {"k": "zero"})["f"]), 1.0, "-0.0 is stored as 0.0")
    expect_equal(dict(found[1]["per_d"]), {Decimal("12345678901234567890123456789012.654321"): 1}, "a map by decimals")
    expect_equal(client.get("latest", "kept", {"k": "plain"})["kept"], ["text"], "a list")


def services(client, cluster):
    """A service is asked for like a view; in parts, all are as of one time."""
    keys = [{"mine": "plain", "other": "edges", "amount": Decimal(i) / 4} for i in range(2500)]
    at = datetime.now(timezone.utc)
    found = client.get_many("model", None, keys, as_of=at)
    expect_equal({one.as_of for one in found}, {at - timedelta(microseconds=1)}, "one time, and before it")
    expect_equal((found.version, found.versions), ("v1", {"model": "v1", "latest": "v1"}), "versions")
    expect_equal(found.features, ["mine:d", "other:i", "mine:n", "amount", "more"], "features")
    for i in (0, 1023, 1024, 2499):
        expect_equal(list(found[i].features.values()),
                     [Decimal("1.500000"), (1 << 63) - 1, 1, Decimal(i) / 4, Decimal(i) / 4 + 1], i)
    [told] = cluster.done("get", "model", "mine=plain", "other=edges", "amount=1.25", "--as-of", at.isoformat(),
                          "--json").objects()
    one = client.get("model", None, {"mine": "plain", "other": "edges"}, request={"amount": "1.25"}, as_of=at)
    expect_equal((as_json(one.features), one.versions, one.positions), (told["features"], told["versions"],
                                                                        told["positions"]), "weir get")
    expect_equal(found.to_dict()["mine:n"], [1] * 2500, "columns")


def refusals(client):
    now = datetime.now(timezone.utc)
    rows = [{"k": "r", "ts": now}, {"ts": now}, {"k": "r", "ts": now, "d": 0.5}, {"k": "r", "ts": now, "zzz": 1},
            {"k": "r", "ts": now + timedelta(hours=1)}, {"k": "r", "ts": now, "i": 1 << 63}]
    report = client.send("values", rows, batch_rows=4)
    expect_equal((report.rows, report.acknowledged, report.accepted, report.refused_count), (6, 6, 1, 5), report)
    expect_equal(sorted(refused.row for refused in report.refused), [1, 2, 3, 4, 5], report)
    expect("not exact" in dict(report.refused)[2], report)
    for call, kind in ((lambda: client.get("nothing", None, {}), "not-found"),
                       (lambda: client.get("latest", ["nothing"], {"k": "a"}), "not-found"),
                       (lambda: client.get("latest", None, {"nothing": 1}), "not-found"),
                       (lambda: client.get("latest", None, {"k": "a"}, as_of="then"), "invalid"),
                       (lambda: client.send("nothing", [{"a": 1}]), "not-found"),
                       (lambda: client.apply({"x.yaml": "streams: 5"}), "invalid")):
        try:
            found = call()
        except weir.Error as error:
            expect_equal(error.kind, kind, error)
            expect(len(error.text) > 10, error)
        else:
            raise AssertionError(f"{found} and not {kind}")


# ---- owners killed in the middle ----


def killed_owner(client, cluster):
    """Two senders and a reader with clients of their own, while an owner is killed twice and comes back."""
    sent, threads, batches = {}, Threads(), []

    def send(seed):
        dice, mine = random.Random(seed), []
        with weir.Client(cluster.directory) as own, own.sender("hits", ["page", "number", "ts"], batch_rows=20) as sender:
            while not threads.ended.is_set():
                row = [dice.randrange(16), dice.randrange(1 << 40), now_us()]
                sender.put(row)
                mine.append(row)
                batches.append(seed)
            report = sender.flush()
            expect_equal((report.accepted, report.refused_count), (len(mine), 0), "a sender")
        sent[seed] = mine

    def read():
        with weir.Client(cluster.directory) as own:
            while not threads.ended.is_set():
                before = len(batches)
                answer = own.get_many("pages", ["n"], [{"page": page} for page in range(16)], deadline_ms=2000,
                                      patience_ms=20_000)
                expect(not answer.complete or sum(one["n"] for one in answer) <= len(batches) + 2, before)

    for work in (send, 1), (send, 2), (read,):
        threads.start(*work)
    try:
        for name in ("speed-worker-1", "speed-worker-2"):
            then = len(batches)
            wait_for(lambda: len(batches) > then + 5000 or threads.failures, 60, "rows are sent")
            cluster[name].kill()
            then = len(batches)
            wait_for(lambda: len(batches) > then + 5000 or threads.failures, 60, f"rows are sent without {name}")
            cluster[name].start()
            cluster.wait_ready()
    finally:
        threads.end()
    expect(not threads.failures, threads.failures)
    rows = sent[1] + sent[2]
    wanted = {page: (0, 0) for page in range(16)}
    for page, number, _ in rows:
        wanted[page] = (wanted[page][0] + 1, wanted[page][1] + number)

    def whole():
        answer = client.get_many("pages", None, [{"page": page} for page in range(16)])
        return answer if answer.complete else None

    for one in wait_for(whole, 30, "complete answers"):
        expect_equal((one["n"], one["total"]), wanted[one.key["page"]], one.key)
    print(f"{len(rows)} rows, each once")


def interrupted(cluster):
    """Ctrl-C ends a program that sends without an end."""
    program = ("import sys, time, weir\n"
               "with weir.Client(sys.argv[1]) as client, client.sender('hits', ['page', 'number', 'ts']) as sender:\n"
               "    print('begun', flush=True)\n"
               "    while True: sender.put([99, 1, time.time_ns() // 1000])\n")
    process = subprocess.Popen(["/usr/bin/python3", "-c", program, cluster.directory], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=str(ROOT / "client/python")))
    expect_equal(process.stdout.readline(), "begun\n", "the program")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20 * SLOWER)
    expect(process.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors, process.returncode, errors)


# ---- versions ----


def versions(client, cluster):
    """A view gets another meaning by the package alone; what the package says of versions is what the command says."""
    files = {"values.yaml": DEFINITIONS.replace("total: sum(number)", "total: max(number)")}
    [changed] = [one for one in client.apply(files, message="the greatest", author="scenario") if one.change == "alter"]
    expect("version 2 follows 1" in changed.detail, changed)

    def complete():
        one, two = client.versions("pages")
        return (one, two) if two.state == "active" else None

    one, two = wait_for(complete, 60, "version 2 is active")
    expect_equal((one.reference, one.state, two.author, two.message), ("pages@v1", "live", "scenario", "the greatest"))
    expect("total: sum(number)" in one.text and "total: max(number)" in two.text, one, two)
    expect_equal({(v.name, v.version) for v in client.versions() if v.name == "pages"}, {("pages", 1), ("pages", 2)})
    told = json.loads(cluster.done("diff", "pages@v1", "--json").out)
    difference = client.diff("pages@v1")
    expect_equal(difference, client.diff("pages@v1", "pages@v2"))
    for sign in " -", " +":
        expect_equal([line[2:] for line in difference.splitlines() if line[0] in sign],
                     [line[2:] for line in told["diff"].splitlines() if line[0] in sign])
    client.annotate("pages@v1", {"accuracy": 0.5, "note": "x" * 1024})
    client.annotate("pages@v1", {"note": None})
    expect_equal({name: said.value for name, said in client.versions("pages")[0].annotations.items()}, {"accuracy": "0.5"})
    client.promote("pages@v1")
    expect_equal(client.get("pages", ["total"], {"page": 1}).version, "v1", "nodes have it when promote returns")
    client.promote("pages@v2")
    client.retire("pages@v1")
    expect_equal([v.state for v in client.versions("pages")], ["retired", "active"])
    for call, kind in ((lambda: client.retire("pages@v2"), "invalid"), (lambda: client.promote("pages@v9"), "not-found"),
                       (lambda: client.annotate("pages@v2", {"note": "x" * 1025}), "invalid"),
                       (lambda: client.versions("nothing"), "not-found")):
        try:
            call()
        except weir.Error as error:
            expect_equal(error.kind, kind, error)
        else:
            raise AssertionError(f"not {kind}")


# ---- keys ----


def with_keys():
    cluster = Cluster({"values.yaml": DEFINITIONS}, speed_workers=1, secured=True, directory="secured")
    team, feed, wrong = cluster.keygen("team", "reader"), cluster.keygen("feed", "producer"), cluster.keygen("wrong", "reader")
    (cluster.keys / "accepted/wrong.reader.pub").unlink()
    cluster.start()
    rows = [{"page": 1, "number": 5, "ts": datetime.now(timezone.utc)}]

    def denied(call, *what):
        try:
            call()
        except weir.Error as error:
            expect_equal(error.kind, "denied", error)
            expect(all(word in error.text for word in what), error)
        else:
            raise AssertionError("not denied")

    producer = weir.Client(cluster.directory, key=feed.secret_file)
    reader = weir.Client(coordinators=cluster.coordinators, keys=cluster.keys, key=team.secret_file, cluster="scenario")
    expect_equal(producer.send("hits", rows).accepted, 1, "a producer sends")
    expect_equal(reader.get("pages", ["n"], {"page": 1})["n"], 1, "a reader asks")
    expect_equal(reader.status()["cluster"], "scenario", "a reader asks for the status")
    denied(lambda: producer.get("pages", None, {"page": 1}))
    denied(lambda: reader.send("hits", rows))
    denied(lambda: reader.apply({}))
    with weir.Client(cluster.directory, key=wrong.secret_file) as stranger:
        denied(lambda: stranger.get("pages", None, {"page": 1}), "does not accept this key")
    with weir.Client(coordinators=cluster.coordinators) as open_one:
        denied(lambda: open_one.get("pages", None, {"page": 1}), "wants a key")

    # The nodes' key is changed under both, and the reader's: nothing fails.
    threads, counts = Threads(), {"sent": 1, "asked": 0}

    def send():
        while not threads.ended.is_set():
            expect_equal(producer.send("hits", rows).accepted, 1, "sent")
            counts["sent"] += 1

    def ask():
        while not threads.ended.is_set():
            sure = counts["sent"]
            one = reader.get("pages", ["n"], {"page": 1}, patience_ms=10_000)
            expect(not one.complete or one["n"] >= sure, one, sure)
            counts["asked"] += 1

    def progress():
        then = dict(counts)
        wait_for(lambda: threads.failures or all(counts[what] > then[what] + 5 for what in counts), 40, "both get on")

    threads.start(send)
    threads.start(ask)
    try:
        progress()
        cluster.keygen("node2", "node")
        cluster.keygen("team2", "reader")
        os.replace(cluster.keys / "team2.secret", team.secret_file)
        progress()
        os.replace(cluster.keys / "node2.secret", cluster.keys / "node.secret")
        (cluster.keys / "accepted/team.reader.pub").unlink()
        progress()
        (cluster.keys / "accepted/node.node.pub").unlink()
        progress()
    finally:
        threads.end()
    expect(not threads.failures, threads.failures)
    one = wait_for(lambda: (found := reader.get("pages", ["n"], {"page": 1})).complete and found, 20, "a complete answer")
    expect_equal(one["n"], counts["sent"], "every row once, under other keys")
    producer.close()
    reader.close()
    cluster.stop()


# ---- the guide ----


def guide():
    """Its examples, in order, on its definitions."""
    page = (ROOT / "docs/python.md").read_text()
    [definitions] = blocks(page, "yaml")
    cluster = Cluster({"payments.yaml": definitions}, directory="my-project").start()
    os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"  # training sets are the command's
    names, run, left_out = {}, 0, []
    for block in blocks(page, "python"):
        wanted = [module for module in re.findall(r"^import (pandas|pyarrow)$", block, re.M)
                  if importlib.util.find_spec(module) is None]
        if wanted:
            left_out += wanted
            continue
        exec(compile(block, "docs/python.md", "exec"), names)
        run += 1
    expect(run >= 8, run, "examples")
    print(f"{run} examples of docs/python.md, without those of {left_out}")
    cluster.stop()


def main():
    cluster = Cluster({"values.yaml": DEFINITIONS})
    with weir.Client(cluster.directory) as client:
        try:
            client.status()
        except weir.Error as error:
            expect_equal(error.kind, "unavailable", error)
        cluster.start(apply=False)
        changes = client.apply(message="the first")
        expect_equal({(change.name, change.change) for change in changes},
                     {(name, "add") for name in ("values", "hits", "latest", "pages", "model")}, "apply")
        round_trips(client, cluster)
        services(client, cluster)
        refusals(client)
        cluster.recompute()
        same_as_command(client, cluster, "latest", [{"k": "nan"}, {"k": "edges"}])
        killed_owner(client, cluster)
        interrupted(cluster)
        versions(client, cluster)
    cluster.stop()
    guide()
    with_keys()


main()
