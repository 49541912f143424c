"""Answers do not change across cut, publish and trim, while events flow."""
import math
import random
import threading

import oracle
from cluster import HOUR, MINUTE, Cluster, expect, expect_equal, now_us
from wire import Client, Producer

TIME_LIMIT = 150
RECOMPUTES = 20

DEFINITIONS = """
streams:
  clicks:
    key: user
    time: ts
    fields: {user: string, price: float64, ts: {type: timestamp, unit: us}}
views:
  clicking:
    from: clicks
    features:
      n: count() over 10m, 1h, lifetime
      paid: sum(price) over 10m, lifetime
      dearest: max(price) over 1h
      latest: last(price)
      spread: stddev(price) over 1h
"""
FEATURES = {"n_10m": ("count", None, 10 * MINUTE), "n_1h": ("count", None, HOUR),
            "n_lifetime": ("count", None, None), "paid_10m": ("sum", "price", 10 * MINUTE),
            "paid_lifetime": ("sum", "price", None), "dearest_1h": ("max", "price", HOUR),
            "latest": ("last", "price", None), "spread_1h": ("stddev", "price", HOUR)}
COLUMNS = ["user", "price", "ts"]
PATIENT = {"deadline_ms": 20000, "seconds": 30}  # a machine that is busy with more changes no answer
QUIET = [f"quiet{i}" for i in range(8)]
BUSY = [f"busy{i}" for i in range(8)]

cluster = Cluster({"clicks.yaml": DEFINITIONS}).start()
dice = random.Random(3)
AS_OF = now_us() + HOUR // 2  # ahead of every cut
sent = []  # (positions of the acknowledgement, events)
failures, ended = [], threading.Event()


def batch(users, count):
    return [{"user": dice.choice(users), "price": dice.choice([math.pi, 1e-9, 1e15]) * dice.random(),
             "time": now_us() - dice.randrange(40 * MINUTE)} for _ in range(count)]


def send(producer, events):
    ack = producer.send("clicks", COLUMNS, [[e["user"], e["price"], e["time"]] for e in events])
    expect_equal(ack["refused_count"], 0, ack)
    sent.append((ack["positions"], events))


def in_thread(work):
    """`work` again and again until the recomputes are over."""

    def loop():
        try:
            while not ended.is_set():
                work()
        except BaseException as error:
            failures.append(error)
            ended.set()

    thread = threading.Thread(target=loop)
    thread.start()
    return thread


speed = [f"tcp://127.0.0.1:{cluster.port + 11 + i}" for i in range(2)]
producer = Producer(speed)
send(producer, batch(QUIET + BUSY, 2000))
quiet_client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
busy_client = Client(f"tcp://127.0.0.1:{cluster.port + 1}")
first = quiet_client.get("clicking", [{"user": u} for u in QUIET], as_of=AS_OF, **PATIENT)
answers, asked = [], [0]


def ask_quiet():
    results = quiet_client.get("clicking", [{"user": u} for u in QUIET], as_of=AS_OF, **PATIENT)
    for result, was in zip(results, first):
        expect(result["complete"], result)
        expect_equal(result["features"], was["features"], f"{result['key']} {result['dataset']}")
    asked[0] += 1


def ask_busy():
    as_of = AS_OF - dice.randrange(HOUR)
    for result in busy_client.get("clicking", [{"user": u} for u in BUSY], as_of=as_of, **PATIENT):
        expect(result["complete"], result)
        answers.append((result["key"]["user"], as_of, result))


threads = [in_thread(lambda: send(producer, batch(BUSY, 20))), in_thread(ask_quiet),
           in_thread(ask_busy)]
try:
    for _ in range(RECOMPUTES):
        cluster.recompute()
        if ended.is_set():
            break
finally:
    ended.set()
    for thread in threads:
        thread.join()
if failures:
    raise failures[0]


checked = dice.sample(answers, min(len(answers), 400))
for user, as_of, result in checked:
    [log] = result["positions"]
    events = [e for positions, batch_events in sent if positions.get(log, math.inf)
              <= result["positions"][log] for e in batch_events if e["user"] == user]
    for name, wanted in oracle.values(events, as_of, FEATURES).items():
        expect_equal(result["features"][name], wanted, f"{user} at {as_of}, {result['positions']}: {name}")
expect(len({r["dataset"] for _, _, r in answers}) >= RECOMPUTES // 2, "few datasets were met")
expect(asked[0] >= RECOMPUTES, asked[0], "questions only")
cluster.stop()
