"""Fields that are computed when events come in: loaded, sent, and added to a stream that has events."""
import json

from cluster import Cluster, expect, expect_equal

TIME_LIMIT = 120

STREAM = """
streams:
  payments:
    key: user
    time: ts
    fields:
      user: string
      amount: float64
      note: string
      ts: {type: timestamp, unit: s}
%s
views:
  spend:
    from: payments
    %s
    features:
      n: count()
      %s
"""
BEFORE = STREAM % ("      cents: {expr: 'cast(round(amount, 2) * 100 as int64)'}\n"
                   "      evening: {expr: \"hour(ts, 'Europe/Berlin') >= 18\"}",
                   "where: evening", "cents: sum(cents)")
AFTER = BEFORE.replace("      evening:", "      label: {expr: \"coalesce(upper(trim(note)), '-') || '/' || "
                       "cast(cents as string)\"}\n      evening:") + "      label: last(label)\n"
EVENING, NIGHT = 1740852000, 1740866400  # 2025-03-01T18:00:00Z, 19:00 in Berlin; and 22:00Z

cluster = Cluster({"payments.yaml": BEFORE}).start()
history = cluster.directory / "history.csv"
history.write_text(f"user,amount,note,ts\nu,1.005,a,{EVENING}\nu,2.25,,{EVENING - 4 * 3600}\n"
                   f"u,3.14159,,{EVENING + 60}\n")


def send(*events):
    lines = "\n".join(json.dumps({"user": "u", "ts": NIGHT + at} | event)
                      for at, event in enumerate(events))
    return cluster.weir("send", "payments", "-", input=lines + "\n")


def features():
    run = cluster.weir("get", "spend", "user=u", "--as-of", "2025-03-02", "--json")
    expect(run.code == 0, run)
    answer = run.objects()[0]
    expect(answer["complete"], run)
    return answer["features"]


cluster.done("load", "payments", history)
cluster.recompute()
expect_equal(features(), {"n": 2, "cents": 100 + 314}, "of the load, without what came at 15:00")
run = send({"amount": 0.1}, {"amount": None})
expect(run.code == 0, run)
expect_equal(features(), {"n": 4, "cents": 100 + 314 + 10}, "with what was sent")
run = send({"amount": 1, "cents": 7})
expect(run.code == 1 and "column cents: the field is computed, and is not sent" in run.err + run.out, run)

cluster.write({"payments.yaml": AFTER})
run = cluster.done("apply", "--yes")
expect("field label added" in run.out, run)
expect_equal(features(), {"n": 4, "cents": 424, "label": None}, "events from before have no label")
run = send({"amount": 12.5, "note": " new ", "ts": NIGHT + 100})
expect(run.code == 0, run)
wanted = {"n": 5, "cents": 424 + 1250, "label": "NEW/1250"}
expect_equal(features(), wanted, "with a label")
cluster.recompute()
expect_equal(features(), wanted, "after a recompute")
cluster.stop()
