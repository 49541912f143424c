"""What is wrong is refused with its place and reason, nothing of it stays, and the nodes go on."""
import gzip
import json
import msgpack
import signal
import subprocess
from pathlib import Path

from cluster import BIN, SLOWER, Cluster, expect, expect_equal, now_us, wait_for
from wire import Client, Producer, Refused, Silent

TIME_LIMIT = 120

DEFINITIONS = """streams:
  payments:
    key: user_id
    time: ts
    fields:
      user_id: {type: string, required: true}
      amount: float64
      count: int64
      ts: timestamp
views:
  user_spend:
    from: payments
    features:
      spend: sum(amount) over 7d, lifetime
      n: count()
"""
cluster = Cluster({"payments.yaml": DEFINITIONS}).start()
project = cluster.directory
serving = cluster.serving()


def told(run, *parts, code=1):
    """The command failed and said all of `parts`."""
    expect_equal(run.code, code, run)
    for part in parts:
        expect(part in run.err, f"{part!r} is not in what was said:", run)


def count_of(user):
    def counted():
        [result] = serving.get("user_spend", [{"user_id": user}], as_of=now_us())
        return result if result["complete"] else None

    return wait_for(counted, 30, f"a complete answer of {user}")["features"]["n"]


def definitions():
    for right, wrong, *parts in (("key: user_id", "key: user_di", ":3:10:", "'user_di'", "'user_id'"),
                                 ("sum(amount)", "sum(amuont)", ":14:18:", "'amuont'", "'amount'"),
                                 ("float64", "flaot64", ":7:15:", "'flaot64'", "float64"),
                                 ("over 7d", "over 7y", ":14:31:", "units of a duration")):
        cluster.write({"payments.yaml": DEFINITIONS.replace(right, wrong)})
        for command in (["check"], ["apply", "--yes"]):
            told(cluster.weir(*command), "payments.yaml" + parts[0], *parts[1:])
    more = "views:\n  other:\n    from: paymnets\n    features: {n: count()}\n"
    cluster.write({"payments.yaml": DEFINITIONS, "other.yaml": more})
    told(cluster.weir("apply", "--yes"), "other.yaml:3:11:", "'payments'")
    (project / "features/other.yaml").unlink()
    names = [o["name"] for o in cluster.ask_coordinator("definitions")["objects"]]
    expect_equal(sorted(names), ["payments", "user_spend"])


def events():
    """Each bad row with its reason; the good ones are in."""
    producer = Producer([f"tcp://127.0.0.1:{cluster.port + 11}"])
    late, ms = now_us() + 3600 * 10**6, now_us() // 1000
    ack = producer.send("payments", ["user_id", "amount", "ts", "colour"], [
        ["good", 1.5, ms, None], ["good", "much", ms, None], [None, 1.0, ms, None],
        ["good", 1.0, late // 1000, None], ["good", 1.0, "1969-12-31T23:59:59Z", None],
        ["good", 1.0, None, None], ["good", 1.0, "soon", None], ["good", 1.0, ms, "red"],
        ["good", 2, ms, None]])
    expect_equal((ack["accepted"], ack["refused_count"]), (2, 7), ack)
    reasons = {r["row"]: r["reason"] for r in ack["refused"]}
    expect_equal(sorted(reasons), list(range(1, 8)), ack)
    for row, word in ((1, "amount"), (2, "user_id"), (3, "ahead"), (4, "1970"), (5, "ts"), (6, "soon"),
                      (7, "colour")):
        expect(word in reasons[row], f"row {row}: {word!r} is not in {reasons[row]!r}")
    expect_equal(count_of("good"), 2)
    without_time = producer.send("payments", ["user_id", "amount"], [["x", 1.0]])
    expect_equal((without_time["accepted"], without_time["refused_count"]), (0, 1), without_time)
    for columns, row in ((["user_id", "ts"], ["x"]), (["user_id", "user_id", "ts"], ["x", "y", ms])):
        try:
            ack = producer.send("payments", columns, [row])
            raise AssertionError(f"{columns} {row}: {ack}")
        except Refused as error:
            expect_equal(error.status, "invalid")
    lines = '{"user_id":"sent","ts":1700000000000}\n{"user_id":"sent","ts":"x"}\n{"user_id": 1\n'
    told_rows = cluster.weir("send", "payments", "-", input=lines)
    expect(told_rows.code == 1 and "2" in told_rows.err and "ts" in told_rows.err, told_rows)
    expect_equal(count_of("sent"), 1)
    crooked = cluster.weir("send", "payments", "-", input="user_id,ts\nsent\n")
    expect(crooked.code == 1 and "row 1: has 1 values" in crooked.err, crooked)
    producer.close()


def quiet_pipes():
    """What came is sent when no more comes, and Ctrl-C ends the waiting for more."""
    run = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "send", "payments", "-"], stdin=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    run.stdin.write('user_id,ts\nquiet,1700000000000\nquiet,17000000')
    run.stdin.flush()
    wait_for(lambda: count_of("quiet") == 1, 20, "the row that is whole is in an answer")
    run.stdin.write('00000\n')
    run.stdin.flush()
    wait_for(lambda: count_of("quiet") == 2, 20, "so is the other")
    run.send_signal(signal.SIGINT)
    expect_equal(run.wait(20 * SLOWER), 130)
    expect("weir send: stopped; " in run.stderr.read(), "it says that it has stopped")
    out = cluster.directory / "set.csv"
    run = subprocess.Popen([BIN / "weir", "-C", cluster.directory, "training-set", "user_spend", "--spine", "-", "--time", "ts",
                            "--out", out], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(cluster.directory.glob("set.csv*")), 20, "it has begun")
    run.send_signal(signal.SIGINT)
    expect_equal(run.wait(20 * SLOWER), 130)
    expect_equal(list(cluster.directory.glob("set.csv*")), [])


def names_before_questions():
    """Nobody is asked whether something shall go that is not there."""
    told(cluster.weir("delete", "user_spned"), "did you mean", "user_spend")
    told(cluster.weir("forget", "paymets", "user_id=a"), "did you mean", "payments")
    told(cluster.weir("forget", "payments", "userid=a"), "did you mean", "user_id")
    told(cluster.weir("delete", "user_spend"), "--yes")


def loads():
    """Nothing of a bad file, unless asked to skip what is bad."""
    bad = {"header": ("user_id,amuont,ts\na,1,1700000000000\n", ["amuont", "amount"]),
           "ragged": ("user_id,amount,ts\nload,1,1700000000000\nload,2\n", ["2"]),
           "number": ("user_id,amount,ts\nload,1,1700000000000\nload,x1,1700000000000\n",
                      ["2", "amount", "x1"])}
    for name, (text, parts) in bad.items():
        path = project / f"{name}.csv"
        path.write_text(text)
        told(cluster.weir("load", "payments", path), *parts)
    packed = project / "packed.csv.gz"
    packed.write_bytes(gzip.compress(b"user_id,amount,ts\nload,1,1700000000000\n"))
    for command in (["load", "payments"], ["send", "payments"], ["infer"], ["get", "user_spend", "--keys"]):
        told(cluster.weir(*command, packed), "gzip", f"zcat {packed}")
    headless = project / "headless.csv"
    headless.write_bytes(b"user_id,\xff\n1,2\n")
    told(cluster.weir("send", "payments", headless), "headless.csv: ", "UTF-8")
    cluster.recompute()
    expect_equal(count_of("load"), 0)
    rejects = project / "rejects.csv"
    run = cluster.done("load", "payments", project / "number.csv", "--on-error", "skip", "--rejects",
                       rejects)
    wait_for(lambda: count_of("load") == 1, 30, "the good row is visible")
    expect("x1" in rejects.read_text(), rejects.read_text(), run)
    told(cluster.weir("load", "paymnets", project / "number.csv"), "payments")
    told(cluster.weir("load", "payments", project / "none.csv"), "none.csv")


def questions():
    for what, parts in ((["user_spent", "user_id=a"], ["user_spent", "user_spend"]),
                        (["user_spend", "user=a"], ["user_id"]),
                        (["user_spend"], ["user_id"]),
                        (["user_spend:spend_8d", "user_id=a"], ["spend_7d"])):
        run = cluster.weir("get", *what)
        expect(run.code in (1, 2) and all(p in run.err for p in parts), what, parts, run)
    body = {"view": "user_spend", "keys": [{"user_id": "a"}], "features": ["spend_8d"]}
    try:
        serving.ask("get", body)
        raise AssertionError("an unknown feature was answered")
    except Refused as error:
        expect("spend_7d" in error.text, error)


def command_line():
    """What may stand before a command, and what after it."""
    for words, part in ((["-C"], "takes a directory"), (["--key", "x", "status"], "after the command"),
                        (["statsu"], "`weir status`"), (["status", "--jsn"], "--json")):
        run = subprocess.run([BIN / "weir", *words], capture_output=True, text=True, timeout=60)
        expect(run.returncode == 2 and part in run.stderr, words, run)


def messages():
    """Malformed, too large or of another version: refused, counted, and the node goes on."""
    body = {"view": "user_spend", "keys": [{"user_id": "a"}]}
    good = msgpack.packb(["weir", 1, "get", 1, body])
    answered = [msgpack.packb(["weir", 2, "get", 7, body]), msgpack.packb(["weir", 1, "gte", 8, body]),
                msgpack.packb(["weir", 1, "get", 9, body | {"as_off": 1}]),
                msgpack.packb(["weir", 1, "get", 10, {"keys": []}])]
    silent = [b"", b"\xc1", good[:-3], b"\xdf" + b"\xff" * 8, msgpack.packb("weir"),
              bytes(range(256)), b"\x91" * 100_000]
    for above in (0, 1, 11, 12):
        client = cluster.client(above)
        other = cluster.client(above)
        refused = lambda: other.ask("metrics")["values"]["messages_refused"]
        before = refused()
        for message in answered:
            client.send_bytes(message)
            _, _, kind, _, error = client.receive(10)
            expect_equal(kind, "error", error)
        for message in silent + [good + b"\x00" * (17 << 20)]:
            client.send_bytes(message)
        # a node may hang up on who sends too much; what was sent before is on its way as long as the client is there
        wait_for(lambda: refused() >= before + len(answered) + len(silent), 20, f"all are counted at {above}")
        client.close()
        other.close()


def places():
    """A port in use, and the data directory of another cluster: a sentence that says what to do."""
    node = ["-C", project, "--name", "serving-2"]
    run = subprocess.run([BIN / "weir-serving", *node, "--listen", f"tcp://127.0.0.1:{cluster.port + 1}"],
                         capture_output=True, text=True, timeout=60)
    expect(run.returncode == 1 and "listens there already" in run.stderr and str(cluster.port + 1) in run.stderr, run)
    other = Path("other").absolute()
    other.mkdir()
    (other / "weir.yaml").write_text(f"cluster: another\ndata: {project}/data\n")
    run = subprocess.run([BIN / "weir-coordinator", "-C", other], capture_output=True, text=True,
                         timeout=60)
    expect(run.returncode == 1 and "another" in run.stderr and "scenario" in run.stderr, run)


for part in (definitions, events, quiet_pipes, names_before_questions, loads, questions, command_line, messages, places):
    part()
    print(part.__name__)
cluster.wait_ready()
expect_equal(count_of("good"), 2)
cluster.stop()
