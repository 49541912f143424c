"""Steady traffic and its books: producers that retry, loads and readers, and a tally of what was sent and
acknowledged that every answer is held against while it runs. It takes bounded memory, however long.

A complete answer must hold, for each key, at least what was acknowledged before it was asked for and at
most what was sent before it came. Of the view by the stream's own key it must be exactly what was acknowledged
below the position that it reports; that is checked as soon as no batch from before it is under way. Positions
never go back from an answer to one that is asked for later."""
import bisect
import itertools
import random
import threading
import time
from collections import defaultdict, deque

from cluster import SLOWER, Threads, expect, expect_equal, now_us
from wire import Client, Producer, Refused, Silent

FEATURES = """
    features: {n: "count() over 7d, lifetime", total: "sum(number) over 7d, lifetime"}"""
DEFINITIONS = f"""
streams:
  hits:
    key: page
    time: ts
    fields: {{page: int64, shop: string, number: int64, ts: {{type: timestamp, unit: us}}}}
  calls:
    key: shop
    time: ts
    fields: {{page: int64, shop: string, number: int64, ts: {{type: timestamp, unit: us}}}}
views:
  pages:
    from: hits{FEATURES}
  shops:
    from: hits
    key: shop{FEATURES}
  both:
    from: hits
    key: [shop, page]{FEATURES}
  lines:
    from: calls{FEATURES}
  moves:
    from: [hits, calls]
    key: page{FEATURES}
"""
STREAMS = {"hits": ("pages", "shops", "both", "moves"), "calls": ("lines", "moves")}
COLUMNS = ["page", "shop", "number", "ts"]
PAGES = list(range(20))
LOADED = [1000, 1001]  # pages that only loads have: their rows are not at positions of acknowledgements
SHOPS = ["", "a", "b", "c"]
KEYS = {
    "pages": [{"page": p} for p in PAGES + LOADED],
    "shops": [{"shop": s} for s in SHOPS],
    "both": [{"shop": s, "page": p} for s in SHOPS for p in PAGES[:6] + LOADED],
    "lines": [{"shop": s} for s in SHOPS],
    "moves": [{"page": p} for p in PAGES + LOADED],
}
ROWS, LOAD_ROWS = 20, 2000
FORGET = 0.25  # seconds
QUEUE = 50_000  # answers that wait for batches under way; more are not checked by position
PATIENCE, DEADLINE_MS = 2.0, 500  # unless a scenario sets others


def key_in(view, page, shop):
    """The event's key; None when it is not in the view."""
    if view in ("pages", "moves"):
        return (page,)
    return None if shop is None else (shop,) if view in ("shops", "lines") else (shop, page)


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {view: defaultdict(lambda: (0, 0)) for view in KEYS}
        self.acked = {view: defaultdict(lambda: (0, 0)) for view in KEYS}
        self.batches = itertools.count(1)
        self.under_way = {}  # batch: when it began
        self.asking = {}  # question: when it began
        self.seen = defaultdict(int)  # log: the highest position of a complete answer
        self.settled = defaultdict(lambda: (0, 0))  # page: what is below `entries`
        self.entries = defaultdict(list)  # page: (position, count, total, when), ascending
        self.answers = deque()  # (when asked, batches begun, page, position, found)
        self.counts = defaultdict(int)
        self.longest = defaultdict(float)  # seconds, by what was waited for
        self.datasets = set()
        self.forgot = time.monotonic()

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] += by

    def waited(self, what, seconds):
        with self.lock:
            self.longest[what] = max(self.longest[what], seconds)

    @staticmethod
    def _add(books, stream, rows):
        for page, shop, number, _ in rows:
            for view in STREAMS[stream]:
                if (key := key_in(view, page, shop)) is not None:
                    count, total = books[view][key]
                    books[view][key] = count + 1, total + number

    def begin(self, stream, rows):
        with self.lock:
            self._add(self.sent, stream, rows)
            self.under_way[(batch := next(self.batches))] = time.monotonic()
        return batch

    def acknowledge(self, batch, stream, rows, positions=None):
        """`positions` are those of the answer to a `send`; a load has none."""
        with self.lock:
            self._add(self.acked, stream, rows)
            del self.under_way[batch]
            self.counts["events acknowledged"] += len(rows)
            if stream == "hits" and positions is not None:
                events = defaultdict(lambda: (0, 0))
                for page, _, number, _ in rows:
                    events[page] = events[page][0] + 1, events[page][1] + number
                for page, (count, total) in events.items():
                    position = positions[self.log_of(page, positions)]
                    bisect.insort(self.entries[page], (position, count, total, time.monotonic()))
            self._settle()

    partition_of = {}  # page: log, as answers tell

    def log_of(self, page, positions):
        return self.partition_of[page]

    # ---- answers ----

    def look(self, client, view, keys, exactly=False, **more):
        """Asks and checks; how many answers were complete."""
        with self.lock:
            least, seen = dict(self.acked[view]), dict(self.seen)
            self.asking[(question := object())] = (asked := time.monotonic())
        try:
            results = client.get(view, keys, **more)
            with self.lock:
                most, begun = dict(self.sent[view]), next(self.batches)
                complete = [r for r in results if r["complete"]]
                for result in complete:
                    for log, position in result["positions"].items():
                        expect(position >= seen.get(log, 0), view, result, f"was at {seen.get(log)} before")
                        self.seen[log] = max(self.seen[log], position)
                    self._take(view, result, least, most, asked, begun, exactly)
                self.counts["answers complete"] += len(complete)
                self.counts["answers incomplete"] += len(results) - len(complete)
                return len(complete)
        finally:
            with self.lock:
                del self.asking[question]
                self._settle()

    def _take(self, view, result, least, most, asked, begun, exactly):
        key = tuple(result["key"][field] for field in KEYS[view][0])
        values = result["features"]
        found = values["n_lifetime"], values["total_lifetime"] or 0
        expect_equal((values["n_7d"], values["total_7d"] or 0), found, f"{view} {result}: its windows")
        low, high = least.get(key, (0, 0)), most.get(key, (0, 0))
        expect(low[0] <= found[0] <= high[0] and low[1] <= found[1] <= high[1], view, result,
               f"acknowledged before: {low}, sent until then: {high}")
        if exactly:
            expect_equal(found, low, f"{view} {result}")
        self.datasets.add(result["dataset"])
        if view == "pages" and key[0] in PAGES:
            [(log, position)] = result["positions"].items()
            self.partition_of[key[0]] = log
            if len(self.answers) < QUEUE:
                self.answers.append((asked, begun, key[0], position, found))
            else:
                self.counts["answers not checked by position"] += 1

    def _settle(self):
        """Checks the answers that no batch under way can be in, and forgets what no answer needs."""
        oldest = min(self.under_way, default=None)
        while self.answers and (oldest is None or self.answers[0][1] < oldest):
            _, _, page, position, found = self.answers.popleft()
            wanted = self.settled[page]
            for at, count, total, _ in self.entries[page]:
                if at <= position:
                    wanted = wanted[0] + count, wanted[1] + total
            expect_equal(found, wanted, f"page {page} at position {position}")
            self.counts["answers checked by position"] += 1
        if time.monotonic() > self.forgot + FORGET:
            self._forget()

    def _forget(self):
        """What was acknowledged before any answer was asked for that is still to come or to be checked is
        in all of them. (Answers come in another order than they were asked for.)"""
        self.forgot = time.monotonic()
        limit = min(itertools.chain(self.asking.values(), (answer[0] for answer in self.answers)),
                    default=self.forgot)
        for page, entries in self.entries.items():
            done = next((i for i, entry in enumerate(entries) if entry[3] >= limit), len(entries))
            for _, count, total, _ in entries[:done]:
                self.settled[page] = self.settled[page][0] + count, self.settled[page][1] + total
            del entries[:done]


class Traffic:
    """Threads that send, load, ask and recompute until `end`."""

    def __init__(self, cluster, seed=1, producers=3, readers=1, loads=False, recompute=0.5, pace=0.01):
        self.cluster, self.tally = cluster, Tally()
        self.numbers, self.threads = itertools.count(1), Threads()
        self.ended, self.failures = self.threads.ended, self.threads.failures
        self.speed = [cluster.endpoint(11 + i) for i in range(self._nodes("speed-worker"))]
        self.serving = [cluster.endpoint(1 + i) for i in range(self._nodes("serving"))]
        self.pace, self.recompute = pace, recompute
        self.patience, self.deadline_ms = PATIENCE, DEADLINE_MS
        self.learn_places()
        work = [(self._send, seed * 1000 + i) for i in range(producers)]
        work += [(self._ask, seed * 1000 + 100 + i) for i in range(readers)] + [(self._recompute,), (self._watch,)]
        for one in work + ([(self._load, seed)] if loads else []):
            self.threads.start(*one)

    def _nodes(self, kind):
        return sum(1 for node in self.cluster.nodes.values() if node.kind == kind)

    def learn_places(self):
        """Which partition each page is in."""
        client = self.cluster.serving()
        deadline = time.monotonic() + 30 * SLOWER
        while len(self.tally.partition_of) < len(PAGES):
            expect(time.monotonic() < deadline, "no complete answers at the start")
            try:
                self.tally.look(client, "pages", KEYS["pages"], seconds=2, deadline_ms=self.deadline_ms)
            except (Silent, Refused):
                time.sleep(0.05)
        client.close()

    def rows(self, dice, count, pages=PAGES):
        # 10 s old at least: an event that comes while a question is under way may be below the answer's position and
        # after its as-of
        return [[dice.choice(pages), dice.choice(SHOPS + [None]), next(self.numbers),
                 now_us() - 10**7 - dice.randrange(10**9)] for _ in range(count)]

    def _send(self, seed):
        dice, producer, again = random.Random(seed), Producer(self.speed), {}
        while not self.ended.is_set():
            stream = dice.choice(list(STREAMS))
            rows = self.rows(dice, ROWS)
            if stream == "calls":  # a stream's own key is never null here
                rows = [[page, shop or "", number, ts] for page, shop, number, ts in rows]
            batch, began, retries = self.tally.begin(stream, rows), time.monotonic(), producer.retries
            ack = producer.send(stream, COLUMNS, rows, seconds=240 * SLOWER, patience=self.patience)
            expect_equal((ack["accepted"], ack["refused_count"]), (len(rows), 0), str(ack))
            self.tally.acknowledge(batch, stream, rows, ack["positions"])
            self.tally.waited("until a batch was acknowledged", time.monotonic() - began)
            self.tally.count("batches acknowledged")
            self.tally.count("batches tried again", producer.retries > retries)
            if dice.random() < 0.05:  # as one would whose acknowledgement was lost
                producer.sequence -= 1
                repeated = producer.send(stream, COLUMNS, rows, seconds=240 * SLOWER, patience=self.patience)
                expect_equal(repeated, ack, "a batch sent again after its acknowledgement")
                self.tally.count("acknowledged batches sent again")
            self.ended.wait(self.pace)
        producer.close()

    def _ask(self, seed):
        dice, clients = random.Random(seed), [Client(endpoint) for endpoint in self.serving]
        at, last = 0, dict.fromkeys(KEYS, time.monotonic())
        while not self.ended.is_set():
            view = dice.choice(list(KEYS))
            keys = dice.sample(KEYS[view], min(len(KEYS[view]), 12))
            try:
                complete = self.tally.look(clients[at], view, keys, seconds=self.patience, deadline_ms=self.deadline_ms)
            except (Silent, Refused):
                self.tally.count("questions not answered")
                complete, at = 0, (at + 1) % len(clients)
            if complete == len(keys):
                self.tally.waited(f"until {view} was answered", time.monotonic() - last[view])
                last[view] = time.monotonic()
            if dice.random() < 0.05:
                at = (at + 1) % len(clients)
            self.ended.wait(self.pace)
        for client in clients:
            client.close()

    def _recompute(self):
        while not self.ended.wait(self.recompute):
            try:
                self.cluster.ask_coordinator("recompute", seconds=self.patience)
            except (Silent, Refused):
                pass

    def _watch(self):
        """Counts takeovers: epochs of partitions that changed."""
        epochs = {}
        while not self.ended.wait(0.2):
            try:
                owners = self.cluster.ask_coordinator("routes", seconds=self.patience)["owners"]
            except (Silent, Refused):
                continue
            for owner in owners:
                before = epochs.setdefault(owner["partition"], owner["epoch"])
                if owner["epoch"] != before:
                    self.tally.count("takeovers of a partition", owner["epoch"] - before)
                    epochs[owner["partition"]] = owner["epoch"]

    def _load(self, seed):
        dice = random.Random(seed)
        for number in itertools.count(1):
            if self.ended.wait(5):
                return
            rows = self.rows(dice, LOAD_ROWS, LOADED)
            name = self.cluster.directory / f"load-{number}.csv"
            name.write_text("".join(f"{','.join(row)}\n" for row in
                                    [COLUMNS, *([str(p), "" if s is None else f'"{s}"', str(n), str(t)]
                                                for p, s, n, t in rows)]))
            batch, began = self.tally.begin("hits", rows), time.monotonic()
            while not self._loaded(name):
                expect(time.monotonic() < began + 240 * SLOWER, name, "is not loaded")
            self.tally.acknowledge(batch, "hits", rows)
            self.tally.waited("until a load was visible", time.monotonic() - began)
            self.tally.count("loads")
            name.unlink()

    def _loaded(self, name):
        """Loads a file, or finds that an earlier try has; whether it is visible."""
        run = self.cluster.weir("load", "hits", name)
        if run.code == 0:
            return True
        try:
            loads = self.cluster.ask_coordinator("loads", seconds=self.patience)["loads"]
        except (Silent, Refused):
            return False
        states = [load["state"] for load in loads if load["name"].endswith(name.name)]
        expect("failed" not in states and len(states) <= 1, run, loads)
        self.ended.wait(0.2)
        return "visible" in states

    # ---- for whoever upsets the cluster ----

    def check(self):
        expect(not self.failures, self.failures and repr(self.failures[0]))

    def answered(self, client=None):
        """Is every key of every view answered completely now? Patiently: a busy machine takes its time for all keys."""
        self.check()
        client = client or self.cluster.serving()
        patience, deadline_ms = max(self.patience, 4.0), max(self.deadline_ms, 2000)
        return all(self.tally.look(client, view, KEYS[view], seconds=patience, deadline_ms=deadline_ms) ==
                   len(KEYS[view]) for view in KEYS)

    def end(self):
        """Stops and waits until every batch under way is acknowledged."""
        self.threads.end()
        self.check()
        with self.tally.lock:
            self.tally._settle()
            expect(not self.tally.under_way and not self.tally.answers, "what was sent is not settled")

    def check_all(self, client):
        """Every key of every view is exactly what was acknowledged."""
        for view in KEYS:
            complete = self.tally.look(client, view, KEYS[view], exactly=True, seconds=30, deadline_ms=20_000)
            expect_equal(complete, len(KEYS[view]), f"complete answers of {view} at the end")
