"""What happens at a point to a program of the cluster: a small life of a cluster with everything in
it, and then the question whether all that was acknowledged is there, once."""
import json
import sqlite3
import time
from collections import defaultdict

from control import Control
from town import DEADLINE, Failure, Sender, Town, allowed
from wire import Refused, Silent

DEFINITIONS = """
streams:
  payments:
    key: user
    time: at
    fields: {user: int64, shop: int64, number: int64, at: {type: timestamp, unit: us}}
views:
  users: {from: payments, features: {n: count(), total: sum(number), top: max(number)}}
  shops: {from: payments, key: shop, features: {n: count(), total: sum(number), top: max(number)}}
"""
COLUMNS = ["user", "shop", "number", "at"]
USERS, SHOPS = range(7), range(5)
VIEWS = {"users": ("user", 0, USERS), "shops": ("shop", 1, SHOPS)}
TIME = 1_700_000_000_000_000  # µs; of the first event
BATCH, LOADED = 9, 24
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
TARGETS = {"coordinator": "coordinator", "speed-worker": "speed-worker-1",
           "batch-worker": "batch-worker-1", "serving": "serving-1"}


class Life:
    """One point."""

    def __init__(self, town):
        self.town, self.numbers = town, iter(range(1, 1 << 30))
        self.events = []  # acknowledged rows
        self.loads = []   # rows of loads that are visible
        self.notes = []   # what was allowed to go wrong and did
        self.senders = [Sender(town), Sender(town)]
        self.file = None

    def rows(self, count):
        rows = []
        for _ in range(count):
            number = next(self.numbers)
            rows.append([number % len(USERS), number * 3 % len(SHOPS), number, TIME + number * 1000])
        return rows

    # ---- steps ----

    def apply(self):
        files = [{"name": "sweep.yaml", "text": DEFINITIONS}]
        self.town.until(lambda: self.town.coordinator("apply", {"files": files}), "apply")

    def send(self, batches):
        for i in range(batches):
            rows = self.rows(BATCH)
            ack = self.senders[i % 2].deliver("payments", COLUMNS, rows)
            if ack["accepted"] != len(rows):
                raise Failure("wrong", f"{len(rows)} rows were sent and {ack} acknowledged")
            self.events += rows

    def load(self):
        """By the weir command, until the cluster has it. No row of the file is bad: none may be skipped."""
        self.file = self.rows(LOADED)
        path = self.town.directory / "load.ndjson"
        path.write_text("".join(json.dumps(dict(zip(COLUMNS, r))) + "\n" for r in self.file))
        self.take_load(path)

    def take_load(self, path):
        deadline = time.monotonic() + allowed(DEADLINE)
        while True:
            code, out, err = self.town.weir("load", "payments", path, "--no-wait", "--on-error", "skip")
            if code == 0 or "loaded before" in err or "already" in err:
                return
            if time.monotonic() > deadline:
                raise Failure("hang", f"the load is not taken: {err}")

    def loaded(self):
        """Is the load visible? One that failed is loaded again."""
        loads = self.town.coordinator("loads")["loads"]
        [load] = [l for l in loads if l["state"] != "failed"] or [None]
        if load is None:
            self.notes.append(f"load failed: {[l.get('error') for l in loads]}")
            if len(self.notes) > 3 or "No such file" in self.notes[-1]:
                raise Failure("wrong", f"loads fail: {self.town.coordinator('loads')}")
            self.take_load(self.town.directory / "load.ndjson")
            return False
        if load["state"] == "visible" and not self.loads:
            self.loads = self.file
        return load["state"] == "visible"

    def recompute(self):
        ids = self.town.until(lambda: self.town.coordinator("recompute"), "recompute")["ids"]

        def trimmed():
            found = self.town.coordinator("recomputes", {"ids": ids})["recomputes"]
            if any(r["state"] == "failed" for r in found):
                self.notes.append("recompute failed: " + str([r.get("error") for r in found]))
                return "failed"
            # one that was answered and is not known was never durable
            return all(r["state"] == "trimmed" for r in found) and len(found) == len(ids)

        if self.town.until(trimmed, f"recomputes {ids}") == "failed":
            if len(self.notes) > 3:
                raise Failure("wrong", f"recomputes fail: {self.notes}")
            self.recompute()

    # ---- checks ----

    def wanted(self, view):
        name, column, keys = VIEWS[view]
        sums = defaultdict(lambda: (0, None, None))
        for row in self.events + self.loads:
            n, total, top = sums[row[column]]
            sums[row[column]] = n + 1, (total or 0) + row[2], max(top or 0, row[2])
        return [sums[k] for k in keys]

    def ask(self, view):
        name, column, keys = VIEWS[view]
        serving = self.town.client(self.town.endpoints["serving"])
        results = serving.get(view, [{name: k} for k in keys], seconds=1, deadline_ms=800)
        return results if all(r["complete"] for r in results) else None

    def check(self, when):
        """The first complete answer has everything: it was asked for after all acknowledgements."""
        for view in VIEWS:
            results = self.town.until(lambda: self.ask(view), f"complete answers of {view} {when}")
            found = [tuple(r["values"]) for r in results]
            for result, got, want in zip(results, found, self.wanted(view)):
                if got != want:
                    kind = "loss" if got[0] < want[0] else "duplicate" if got[0] > want[0] else "wrong"
                    raise Failure(kind, f"{view} {when}: {result['key']} has {got} and should have {want}: {result}")

    def files(self):
        """What history/, views/ and incoming/ have and nobody refers to."""
        town, known = self.town, set()
        for log in ("payments/user", "payments/shop"):
            for part in town.coordinator("dataset", {"log": log})["partitions"]:
                known |= {r["path"] for r in part["runs"]} | {v["path"] for v in part["views"]}
        data = town.directory / "data"
        there = {str(p.relative_to(data)) for below in ("history", "views", "incoming")
                 for p in (data / below).rglob("*") if p.is_file()}
        there |= {str(p.relative_to(data)) for p in data.rglob("*.tmp")}
        missing = known - there
        if missing:
            raise Failure("loss", f"files of the dataset are missing: {missing}")
        return there - known

    def clean(self):
        """Nothing is left behind, after one more recompute at the latest."""
        def cleaned():
            left = self.files()
            if left:
                raise Silent(str(sorted(left)))
            return True

        try:
            self.town.until(cleaned, "cleaning", seconds=0.3)
        except Failure:
            self.send(1)
            self.recompute()
            self.town.until(cleaned, "nothing is left behind", seconds=5, kind="left")

    def restart(self):
        node = self.town.target
        if node is None:
            return
        node.stop()
        node.start()

    def live(self):
        town = self.town
        town.start()
        self.apply()
        self.send(4)
        self.load()
        self.send(2)
        self.recompute()
        town.until(self.loaded, "the load is visible")
        self.send(2)
        self.check("after a recompute")
        self.restart()
        self.send(3)
        self.check("after a restart")
        self.recompute()
        self.check("after the last recompute")
        self.clean()
        fired = town.control.fired
        town.stop()
        if town.control.fired != fired:  # while it ended
            town.start()
            self.check("after the end")
            self.clean()
            town.stop()
        self.check_catalog()

    def check_catalog(self):
        """It is whole, and no transaction is left in its journal."""
        data = self.town.directory / "data"
        journal = data / "catalog.db-journal"
        if journal.exists() and journal.read_bytes()[:8] == JOURNAL_MAGIC:
            raise Failure("left", "after the stop the catalog has a hot journal")
        database = sqlite3.connect(f"file:{data}/catalog.db?mode=ro", uri=True)
        [(found,)] = database.execute("PRAGMA quick_check").fetchall()
        database.close()
        if found != "ok":
            raise Failure("wrong", f"the catalog: {found}")


def run(directory, bin_directory, program, fault, at, inject, trace=None, port=0):
    """Runs one point. A dict: what became of it."""
    began = time.monotonic()
    page = directory / "control"
    directory.mkdir(parents=True, exist_ok=True)
    control = Control(page, fault, at)
    town = Town(directory / "town", bin_directory, DEFINITIONS, control, TARGETS[program], inject, trace,
                port)
    life, failure, text = Life(town), None, ""
    try:
        life.live()
    except Failure as error:
        failure, text = error.kind, str(error)
    except (Refused, Silent, OSError, ValueError, KeyError) as error:
        failure, text = "wrong", f"{type(error).__name__}: {error}"
    finally:
        town.end()
        result = {"program": program, "fault": fault, "at": at, "failure": failure, "text": text,
                  "count": control.count, "fired": control.fired, "what": control.what,
                  "crashes": town.target.crashes, "notes": life.notes,
                  "seconds": time.monotonic() - began}
        control.close()
    return result
