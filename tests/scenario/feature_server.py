"""HTTP on serving nodes as docs/http.md has it: answers are those of `weir get`, pushes are durable, mistakes are
told, TLS and tokens keep others out, and clients that are slow, many or gone harm nobody else."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

from cluster import BIN, SECURED, SLOWER, Cluster, expect, expect_equal, now_us, skip, wait_for
from definitions import SHOP_PAYMENTS
from feature_http import Endpoint, listens, rfc3339

TIME_LIMIT = 400

if SECURED:
    skip("it has a secured cluster of its own")

DEFINITIONS = SHOP_PAYMENTS + """
views:
  spend:
    from: payments
    features:
      n: count() over 1h, lifetime
      total: sum(amount) over 7d
      ratio: mean(amount)
      most: max(price)
      all_ok: last(ok)
      seen: last(ts)
      newest: last_k(amount, 3)
      by_shop: count() by shop
  pairs:
    from: payments
    key: [user_id, shop]
    request: {limit: float64}
    features:
      n_pair: count()
      top: max(amount)
    derived:
      above: top > limit
      per: top / (n_pair - 1)
  everything:
    from: payments
    key: []
    features:
      n_all: count()
services:
  model:
    views:
      buyer: {view: spend, key: {user_id: buyer_id}}
      seller: {view: spend, key: {user_id: seller_id}}
    request: {price: float64}
    features:
      - buyer:total_7d
      - seller:n_lifetime
      - price
      - share
    derived:
      share: price / buyer.total_7d
"""

PORT = int(os.environ.get("WEIR_SCENARIO_PORT", "17600")) + 50
cluster = Cluster({"payments.yaml": DEFINITIONS}, settings=f"http: {{serving: '127.0.0.1:{PORT}'}}\n").start()


server = Endpoint(PORT)
ask, features = server.ask, server.features


def feast_error(text):
    """A JSON string that holds JSON."""
    inside = json.loads(json.loads(text))
    expect_equal(sorted(inside), ["class", "message", "module"])
    expect_equal(inside["module"], "feast.errors")
    return inside["class"]


# ---- what is pushed is in the answers, and they are those of weir get ----

wait_for(lambda: listens(PORT) and ask("GET", "/health")[0] == 200, 20, "it is healthy")
NOW = now_us()
ROWS = [[f"u{i % 7}", i % 3 if i % 5 else None, i * 0.1 if i % 11 else None, f"{i}.{i % 100:02}", i % 2 == 0,
         NOW - 1_000_000 * i] for i in range(200)]
COLUMNS = ["user_id", "shop", "amount", "price", "ok", "ts"]


def push(rows, stream="payments", columns=COLUMNS, **more):
    return server.push(stream, columns, rows, **more)


expect_equal(push(ROWS)[0], 200)
expect_equal(push(ROWS[:0])[0], 200, "no rows")


def plain(value, kind):
    """A value of `weir get --json` as Feast has it."""
    if kind == "timestamp" and value is not None:
        return int(subprocess.run(["date", "-u", "-d", value, "+%s"], capture_output=True, text=True, check=True).stdout)
    return value


KINDS = {"seen": "timestamp"}
NAMES = ["n_1h", "n_lifetime", "total_7d", "ratio", "most", "all_ok", "seen", "newest", "by_shop"]


def same_as_get(users):
    got, _ = features([f"spend:{name}" for name in NAMES], {"user_id": users})
    expect_equal(list(got), ["user_id", *NAMES], "keys first, then features as asked")
    expect_equal(got["user_id"], {"values": users, "statuses": ["PRESENT"] * len(users),
                                  "event_timestamps": ["1970-01-01T00:00:00Z"] * len(users)})
    keys = cluster.directory / "keys.csv"
    keys.write_text("user_id\n" + "".join(user + "\n" for user in users))
    rows = cluster.done("get", "spend", "--keys", keys, "--json").objects()
    for i, row in enumerate(rows):
        for name in NAMES:
            expect_equal(got[name]["values"][i], plain(row["features"][name], KINDS.get(name)), f"{users[i]} {name}")
    return got


def check_answers():
    got = same_as_get([f"u{i}" for i in range(7)] + ["nobody"])
    expect_equal(got["n_lifetime"]["statuses"], ["PRESENT"] * 7 + ["NOT_FOUND"])
    expect_equal(got["total_7d"]["event_timestamps"][7], "1970-01-01T00:00:00Z")
    expect(got["total_7d"]["event_timestamps"][0].startswith("20") and got["total_7d"]["event_timestamps"][0].endswith("Z"))


check_answers()
cluster.recompute()
check_answers()

# Two keys, one of them global, values with the request, and features that cannot be computed.
got, answer = features(["pairs:above", "everything:n_all", "pairs:n_pair", "pairs:per", "spend:n_lifetime"],
                       {"user_id": ["u1", "u2", "none"], "shop": [1, 2, 1], "limit": [1.0, 1e9, None]},
                       full_feature_names=True, include_feature_view_version_metadata=True)
expect_equal(list(got), ["user_id", "shop", "limit", "pairs__above", "everything__n_all", "pairs__n_pair", "pairs__per",
                         "spend__n_lifetime"])
expect_equal(got["everything__n_all"]["values"], [200, 200, 200])
expect_equal(got["pairs__above"]["values"], [True, False, None])
expect_equal(got["pairs__above"]["statuses"], ["PRESENT", "PRESENT", "NOT_FOUND"])
expect_equal(answer["metadata"]["feature_view_metadata"], [{"name": name, "version": 1} for name in
                                                           ("pairs", "everything", "spend")])
expect_equal(features(["spend@v1:total_7d"], {"user_id": ["u1"]})[0]["total_7d"]["statuses"], ["PRESENT"])
expect_equal(push([["alone", 9, 2.0, None, None, NOW]])[0], 200)
got, _ = features(["pairs:per", "pairs:top", "spend:most", "spend:n_1h"], {"user_id": ["alone"], "shop": [9]})
expect_equal(got["per"]["values"], [None], "2 / 0 is no number of JSON")
expect_equal(got["top"]["values"], [2.0])
expect_equal((got["most"]["values"], got["most"]["statuses"]), ([None], ["NULL_VALUE"]), "seen, and null")
got, _ = features(["spend:most", "spend:all_ok"], {"user_id": ["alone"]})
expect_equal(got["most"]["statuses"], ["NULL_VALUE"], "the key is known, though no event counts in what is asked for")
expect_equal(got["most"]["event_timestamps"], [rfc3339(NOW)])

expect_equal(features(["everything:n_all"], {})[0]["n_all"]["values"], [201], "a view without a key needs no entity")
expect_equal(features(["spend:total_7d"], {"user_id": []})[0]["total_7d"],
             {"values": [], "statuses": [], "event_timestamps": []})
many = [f"u{i % 7}" for i in range(4096)]
expect_equal(len(features(["spend:total_7d"], {"user_id": many})[0]["total_7d"]["values"]), 4096)

# A service is asked as a whole.
got, answer = features([], {"seller_id": ["u2", "none"], "buyer_id": ["u1", "none"], "price": [2.5, 1.0]},
                       feature_service="model", full_feature_names=True)
expect_equal(answer["metadata"]["feature_names"], ["seller_id", "buyer_id", "buyer__total_7d", "seller__n_lifetime", "price",
                                                   "share"])
[row] = cluster.done("get", "model", "buyer_id=u1", "seller_id=u2", "price=2.5", "--json").objects()
for name, column in (("buyer:total_7d", "buyer__total_7d"), ("seller:n_lifetime", "seller__n_lifetime"), ("share", "share")):
    expect_equal(got[column]["values"][0], row["features"][name], name)
expect_equal(got["share"]["statuses"], ["PRESENT", "NOT_FOUND"])

# ---- mistakes ----

for body, status, what in (
        ({"features": ["spnd:total"], "entities": {"user_id": ["u1"]}}, 404, "FeatureViewNotFoundException"),
        ({"features": ["spend:totl"], "entities": {"user_id": ["u1"]}}, 404, "FeastObjectNotFoundException"),
        ({"features": ["spend@v7:total_7d"], "entities": {"user_id": ["u1"]}}, 404, "FeatureViewVersionNotFound"),
        ({"feature_service": "nobody", "entities": {"user_id": ["u1"]}}, 404, "FeatureServiceNotFoundException"),
        ({"features": ["spend:total_7d", "spend:total_7d"], "entities": {"user_id": ["u1"]}}, 500,
         "FeatureNameCollisionError")):
    got = ask("POST", "/get-online-features", body)
    expect_equal((got[0], feast_error(got[2])), (status, what), got)
for body, place in (
        (b"{", []), (b"", []), (b"[1]", []), (b"\xff", []), (b"[" * 100000, []), (b'{"entities":1e999}', []),
        ({"features": ["spend:total_7d"]}, ["entities"]),
        ({"features": ["spend:total_7d"], "entities": {"user_id": "u1"}}, ["entities"]),
        ({"features": "spend:total_7d", "entities": {}}, ["features"]),
        ({"features": [], "entities": {"user_id": ["u1"]}}, ["features"]),
        ({"features": ["total_7d"], "entities": {"user_id": ["u1"]}}, ["features"]),
        ({"features": ["spend:total_7d"], "entities": {"user": ["u1"]}}, ["entities", "user_id"]),
        ({"features": ["spend:total_7d"], "entities": {"user_id": [["u1"]]}}, ["entities", "user_id", 0]),
        ({"features": ["spend:total_7d"], "entities": {"user_id": ["u1", None]}}, ["entities"]),
        ({"features": ["spend:total_7d"], "entities": {"user_id": ["u1"], "x": [1, 2]}}, ["entities", "x"]),
        ({"features": ["spend:total_7d"], "entities": {"user_id": many + ["u1"]}}, ["entities"])):
    got = ask("POST", "/get-online-features", body)
    expect_equal(got[0], 422, body)
    expect_equal(json.loads(got[2])["detail"][0]["loc"], ["body", *place], got[2])
expect_equal(ask("POST", "/get-online-features", b" " * (5 << 20))[0], 413)
expect_equal(ask("POST", "/get-online-features", b"{}", headers={"Content-Encoding": "gzip"})[0], 415)
expect_equal(ask("GET", "/get-online-features")[0], 405)
expect_equal(ask("GET", "/nothing")[0], 404)
got = push([["u1"]], "payment", ["user_id"])
expect_equal((got[0], feast_error(got[2])), (422, "PushSourceNotFoundException"))
expect_equal(push(ROWS[:1], to="everywhere")[0], 422)
before = features(["everything:n_all"], {})[0]["n_all"]["values"][0]
status, _, text = push([["x1", 1, 1.0, "1", True, NOW], [None, 1, 1.0, "1", True, NOW], ["x2", 1, 1.0, "no", True, NOW]])
refused = json.loads(text)
expect_equal((status, refused["accepted"], refused["refused"]), (422, 1, 2), text)
expect_equal([one["loc"] for one in refused["detail"]], [["body", "df", 1], ["body", "df", 2]])
expect_equal(features(["everything:n_all"], {})[0]["n_all"]["values"][0], before + 1, "the good row is in")

# A view that was made a moment ago is known, and the description is of what there is.
cluster.write({"more.yaml": "views:\n  later:\n    from: payments\n    features:\n      n_later: count()\n" +
               "  wide:\n    from: payments\n    features:\n" + "".join(f"      w{n}: count() over {n}d\n" for n in range(1, 101))})
cluster.done("apply", "--yes")
wait_for(lambda: cluster.weir("get", "later", "user_id=u1", "--json").code == 0, 20, "the view is served")
expect_equal(features(["later:n_later"], {"user_id": ["u1"]})[0]["n_later"]["statuses"], ["PRESENT"])

# A service and a view that have changed are asked as they are now, though what was asked before is still there.
MODEL = ([], {"seller_id": ["u2"], "buyer_id": ["u1"], "price": [2.5]})
PAIR = (["pairs:above"], {"user_id": ["alone"], "shop": [9], "limit": [1.0], "more": [5.0]})
expect("n_1h" not in features(*MODEL, feature_service="model")[0], "a feature that is not the service's yet")
expect_equal(features(*PAIR)[0]["above"]["values"], [True])
cluster.write({"payments.yaml": DEFINITIONS.replace("      - seller:n_lifetime\n", "      - seller:n_lifetime\n      - seller:n_1h\n")
               .replace("{limit: float64}", "{limit: float64, more: float64}").replace("top > limit", "top > limit + more")})
cluster.done("apply", "--yes")
wait_for(lambda: all(f"{what[0]} v2," in cluster.done("get", *what).out for what in (
    ("model", "buyer_id=u1", "seller_id=u2"), ("pairs", "user_id=alone", "shop=9"))), 20, "they are served")
expect_equal(features(*MODEL, feature_service="model")[0]["n_1h"]["statuses"], ["PRESENT"])
expect_equal(features(*PAIR)[0]["above"]["values"], [False], "with the value of the request that is new")
described = json.loads(ask("GET", "/openapi.json")[2])
for path, methods in described["paths"].items():
    for method in methods:
        status = ask(method.upper(), path, {} if method == "post" else None)[0]
        expect(status in (200, 422), method, path, status)
metrics = ask("GET", "/metrics")[2]
expect('weir_queries{node="serving-1"}' in metrics and 'endpoint="push",status="2xx"' in metrics, metrics)

# Bodies in chunks, after leave was asked for, larger than any is taken, and headers larger than any are.


def raw(data, port=PORT):
    s = socket.create_connection(("127.0.0.1", port), timeout=60 * SLOWER)
    s.sendall(data)
    return s


BODY = json.dumps({"features": ["spend:n_lifetime", "pairs:n_pair"], "entities": {"user_id": ["u1"], "shop": [1]}}).encode()
HEAD = b"POST /get-online-features HTTP/1.1\r\nHost: x\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


def answer_of(s, ends=b'"n_pair"]}}'):
    text = b""
    try:
        while not text.endswith(ends):
            piece = s.recv(65536)
            if not piece:
                break
            text += piece
    except ConnectionError:
        pass
    return text


chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (BODY[:1], BODY[1:50], BODY[50:])) + b"0\r\n\r\n"
text = answer_of(raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks))
expect(b" 200 " in text, "in chunks:", text)
patient = raw(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
expect(b"100 Continue" in patient.recv(4096), "leave to send the body")
patient.sendall(BODY)
expect(b" 200 " in answer_of(patient), "after leave was given")
text = answer_of(raw(HEAD + b"Content-Length: 99999999999\r\n\r\n"))
expect(b" 413 " in text, "told before it is sent:", text)
text = answer_of(raw(HEAD + b"A: " + b"x" * 20000 + b"\r\n\r\n"))
expect(b" 431 " in text, "headers:", text)
for junk in (b"\0" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", HEAD + b"Content-Length: -1\r\n\r\n",
             HEAD + b"Content-Length: x\r\n\r\n"):
    s = raw(junk)
    s.shutdown(socket.SHUT_WR)
    expect(b" 200 " not in answer_of(s), junk)

# What a proxy in front could see end elsewhere is not answered, nor is what comes behind it.
PIECES = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
for framing, body in ((LENGTH + b"Transfer-Encoding: chunked\r\n", PIECES), (LENGTH + b"Content-Length: 3\r\n", BODY),
                      (LENGTH + LENGTH, BODY), (b"Transfer-Encoding : chunked\r\n", PIECES),
                      (b"Transfer-Encoding: gzip, chunked\r\n", PIECES), (b"Transfer-Encoding: xchunked\r\n", PIECES),
                      (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", PIECES)):
    text = answer_of(raw(HEAD + framing + b"\r\n" + body + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"), b"certain.\"}")
    expect(text.startswith(b"HTTP/1.1 400 ") and text.count(b"HTTP/1.1 ") == 1 and b"Connection: close" in text, framing, text)
text = answer_of(raw(HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + PIECES), b"certain.\"}")
expect(b" 400 " in text, "chunks before HTTP/1.1:", text)

# Pushes from many at a time, to the same columns and to others, are all in, once.
before = features(["everything:n_all"], {})[0]["n_all"]["values"][0]
failures = []


def push_some(number):
    for _ in range(5):
        columns = COLUMNS if number % 2 else ["ts", "user_id"]
        rows = [[f"p{number}", 1, 1.0, "1", True, NOW] if number % 2 else [NOW, f"p{number}"]] * 50
        status = push(rows, columns=columns)[0]
        if status != 200:
            failures.append(status)


threads = [threading.Thread(target=push_some, args=(number,)) for number in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
expect_equal(failures, [])
expect_equal(features(["everything:n_all"], {})[0]["n_all"]["values"][0], before + 20 * 5 * 50, "each once")

# ---- many at a time, and slow ones, which do not stop the others ----


def ended(s):
    """Has the other side closed it?"""
    s.settimeout(0.01)
    try:
        return s.recv(4096) == b""
    except (TimeoutError, socket.timeout):
        return False
    except ConnectionError:
        return True


began = time.monotonic()
LONG = b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
slow = [raw(b"POST /get-"), raw(b"POST /get-online-features HTTP/1.1\r\nHost: x\r\nA: "), raw(LONG)]
crowd = [raw(REQUEST * 3) for _ in range(300)]
for s in crowd:
    text = b""
    while text.count(b"HTTP/1.1 ") < 3 or not text.endswith(b"}"):
        piece = s.recv(65536)
        expect(piece, "closed before its answers:", text)
        text += piece
    expect_equal((text.count(b"200 OK"), text.count(b'"n_pair"')), (3, 3), text)
    s.close()


def drip():
    """A byte now and then, for ever."""
    left = []
    for s in slow:
        if not ended(s):
            left.append(s)
            try:
                s.sendall(b"x" if s in dripping else b"")
            except ConnectionError:
                pass
    check_alive()
    return not left


def check_alive():
    expect_equal(features(["spend:n_lifetime"], {"user_id": ["u1"]})[0]["n_lifetime"]["statuses"], ["PRESENT"])


dripping = list(slow)
slow.append(raw(REQUEST[:-1]))  # says nothing more at all
wait_for(drip, 60, "slow connections are closed")
expect(time.monotonic() - began > 5, "not before their time")
got = ask("GET", "/metrics")[2]
expect(int(got.split('weir_http_connections_cut_total{node="serving-1"} ')[1].split()[0]) >= 4, got[-800:])

# ---- large answers that nobody reads take memory up to a limit, and no more ----

WIDE = json.dumps({"features": [f"wide:w{n}_{n}d" for n in range(1, 101)], "entities": {"user_id": many}}).encode()
unread, heads = [], []
while len(unread) < 20 and heads[-1:] in ([], [b"HTTP/1.1 200"]):  # of 15 MB each, in buffers of up to twice as many
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(60 * SLOWER)
    s.connect(("127.0.0.1", PORT))
    s.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(WIDE) + WIDE)
    unread.append(s)
    heads.append(s.recv(12))
expect(len(heads) > 4 and heads[-1] == b"HTTP/1.1 503", heads)
check_alive()
for s in unread:
    s.close()
wait_for(lambda: ask("POST", "/get-online-features", WIDE)[0] == 200, 20, "there is room again")

# ---- owners that do not answer; a node that is killed, or stopped, in the middle of a request ----

workers = [cluster["speed-worker-1"], cluster["speed-worker-2"]]
for worker in workers:
    worker.pause()
status, headers, text = ask("POST", "/get-online-features", {"features": ["spend:n_lifetime"], "entities":
                                                             {"user_id": ["u1"]}})
expect(status in (503, 504) and feast_error(text) == "FeastError", status, text)
expect(status == 504 or int(headers["Retry-After"]) >= 1, headers)
status, _, text = push([["late", 1, 1.0, "1", True, NOW]])
expect(status in (503, 504) and feast_error(text) == "FeastError", status, text)


def under_way():
    """Is a request, beside the one that asks?"""
    return 'weir_http_under_way{node="serving-1"} 2' in ask("GET", "/metrics")[2]


waiting = raw(REQUEST)
wait_for(under_way, 10, "a request that is not answered")
cluster["serving-1"].kill()
wait_for(lambda: ended(waiting), 10, "a node that is gone has closed its connections")
cluster["serving-1"].start()
wait_for(lambda: listens(PORT), 20, "it listens again")
stopping = raw(REQUEST)
wait_for(under_way, 10, "a request that is not answered")
cluster["serving-1"].stop()
expect_equal(cluster["serving-1"].process.returncode, 0)
text = b""
while piece := stopping.recv(65536):
    text += piece
expect(b" 503 " in text.split(b"\r\n")[0] and b"FeastError" in text, "told, and not only cut off:", text)
for worker in workers:
    worker.resume()
cluster["serving-1"].start()
cluster.wait_ready()
wait_for(lambda: listens(PORT), 20, "it listens again")
wait_for(lambda: ask("POST", "/get-online-features", json.loads(BODY))[0] == 200, 30, "answers again")
same_as_get(["u1", "u6"])
expect_equal(push([["after", 1, 1.0, "1", True, NOW]])[0], 200)
expect_equal(features(["spend:n_lifetime"], {"user_id": ["after"]})[0]["n_lifetime"]["values"], [1])
cluster.stop()

# ---- pushes for which there is no room for long: what was told 504 and has not gone takes no memory any more ----

FULL = PORT + 2
LACKING = 1 << 20  # MiB: more than there is on any disk here
full = Cluster({"payments.yaml": DEFINITIONS}, directory="full", name="full",
               settings=f"http: {{serving: '127.0.0.1:{FULL}'}}\nlimits: {{disk_reserve: {LACKING}MiB}}\n")
if shutil.disk_usage(".").free < LACKING << 20:
    full.start()
    wait_for(lambda: listens(FULL) and ask("GET", "/health", port=FULL)[0] == 200, 20, "it is healthy")
    late = []

    def push_late():
        late.append(ask("POST", "/push", {"push_source_name": "payments", "df": {"user_id": ["x"], "ts": [NOW]}}, FULL)[0])

    threads = [threading.Thread(target=push_late) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect_equal(late, [504] * 40)
    held = int(ask("GET", "/metrics", port=FULL)[2].split('weir_http_pushes{node="serving-1"} ')[1].split()[0])
    expect(held <= 17, held, "of 40 are held, and 16 batches are under way at most, and one is gathered")
    full.stop()

# ---- TLS, tokens, keys ----

SAFE = PORT + 1
secured = Cluster({"payments.yaml": DEFINITIONS}, directory="secured", name="safe", secured=True,
                  settings=f"http: {{serving: '127.0.0.1:{SAFE}', certificate: tls.crt, private_key: tls.key, tokens: tokens}}\n")
certificate, key, tokens = (secured.directory / name for name in ("tls.crt", "tls.key", "tokens"))
READER, PRODUCER, ADMIN = "reader-token-0123456789", "producer-token-0123456789", "admin-token-0123456789"


def write_tokens(text, mode=0o600):
    new = tokens.with_name("tokens.new")
    new.write_text(text)
    new.chmod(mode)
    new.rename(tokens)


def refuses_to_start(*words):
    run = subprocess.run([BIN / "weir-serving", "-C", secured.directory], capture_output=True, text=True,
                         timeout=30 * SLOWER)
    expect(run.returncode == 1 and all(word in run.stderr for word in words), run.stderr)


refuses_to_start("tls.crt")
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                "-days", "2", "-subj", "/CN=weir", "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
               capture_output=True)
key.chmod(0o644)
refuses_to_start("tls.key", "chmod 600")
key.chmod(0o600)
refuses_to_start("tokens")
write_tokens("reader short\n")
refuses_to_start("tokens", "line 1")
write_tokens(f"# who may\nreader {READER}\nproducer {PRODUCER}\n\nadmin {ADMIN}\n", 0o640)
refuses_to_start("tokens", "chmod 600")
tokens.chmod(0o600)
refuses_to_start("weir keygen http --role admin")
secured.keygen("http", "admin")
secured.start()
context = ssl.create_default_context(cafile=certificate)


def safe(method, path, body=None, token=None, **more):
    return ask(method, path, body, SAFE, {"Authorization": f"Bearer {token}"} if token else {},
               more.get("context", context))


ONE = {"features": ["spend:n_lifetime"], "entities": {"user_id": ["u1"]}}
ROW = {"push_source_name": "payments", "df": {"user_id": ["u1"], "ts": [NOW]}}
wait_for(lambda: listens(SAFE) and safe("GET", "/health")[0] == 200, 20, "it is healthy")
expect_equal(safe("POST", "/push", ROW, PRODUCER)[0], 200)
expect_equal(json.loads(safe("POST", "/get-online-features", ONE, READER)[2])["results"][1]["values"], [1])
expect_equal(safe("POST", "/get-online-features", ONE, ADMIN)[0], 200)
for token in (None, READER[:-1], READER + "0", "x" * 300, "Bearer", ""):
    status, headers, _ = safe("POST", "/get-online-features", ONE, token)
    expect_equal((status, headers.get("WWW-Authenticate")), (401, "Bearer"), token)
for token, path, body in ((PRODUCER, "/get-online-features", ONE), (READER, "/push", ROW)):
    status, _, text = safe("POST", path, body, token)
    expect_equal((status, feast_error(text)), (403, "FeastPermissionError"))
expect_equal((safe("GET", "/metrics")[0], safe("GET", "/metrics", None, READER)[0]), (401, 200))
expect_equal(safe("GET", "/openapi.json")[0], 200)
try:
    ask("GET", "/health", port=SAFE, timeout=10)
    raise AssertionError("answered without TLS")
except (ConnectionError, http.client.HTTPException, TimeoutError):
    pass
try:
    safe("GET", "/health", context=ssl.create_default_context())
    raise AssertionError("a certificate nobody knows was taken")
except ssl.SSLError:
    pass

# Tokens that change are taken up; a file that is wrong changes nothing, and is told.
write_tokens(f"reader {ADMIN}\n")
wait_for(lambda: safe("POST", "/get-online-features", ONE, READER)[0] == 401, 10, "a token was taken away")
expect_equal((safe("POST", "/get-online-features", ONE, ADMIN)[0], safe("POST", "/push", ROW, ADMIN)[0]), (200, 403))
write_tokens(f"admin {PRODUCER}\n", 0o644)
wait_for(lambda: "the tokens of before stay" in secured["serving-1"].log(), 10, "the mode is told")
expect_equal(safe("POST", "/get-online-features", ONE, ADMIN)[0], 200)
expect(not any(token in secured["serving-1"].log() for token in (READER, PRODUCER, ADMIN)), "no token is in the log")

# What HTTP may is what its key may.
write_tokens(f"admin {ADMIN}\n")
(secured.keys / "accepted" / "http.admin.pub").rename(secured.keys / "accepted" / "http.reader.pub")
wait_for(lambda: safe("POST", "/push", ROW, ADMIN)[0] == 403, 15, "a reader's key sends nothing")
expect_equal(safe("POST", "/get-online-features", ONE, ADMIN)[0], 200)
secured.stop()
