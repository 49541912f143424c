"""A cluster of real processes on loopback, for scenarios: the programs as users run them, the
protocol as docs/protocol.md writes it, and waiting for conditions with deadlines."""
import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from wire import SLOWER, Client, Keys, Refused, Silent

BIN = Path(os.environ.get("WEIR_BIN", Path(__file__).parents[2] / "build/release/bin"))
# Any scenario with security on: WEIR_SECURED=1.
SECURED = os.environ.get("WEIR_SECURED", "0") == "1"
SKIPPED = 77  # exit status of a scenario that cannot run here

SECOND = 1_000_000  # µs
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND


def now_us():
    return time.time_ns() // 1000


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def expect(condition, *what):
    """Fails the scenario, saying what was found."""
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what) or "not so")


def expect_equal(got, wanted, what=""):
    if got != wanted or type(got) is not type(wanted):
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def wait_for(condition, seconds, what):
    """The first true value of `condition`, within `seconds`; what a node refuses or does not answer
    counts as not yet. A condition is asked for again at once if it took time to answer."""
    deadline = time.monotonic() + seconds * SLOWER
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (Refused, Silent) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds * SLOWER:g} s; last: {last}")
        time.sleep(0.01)


class Threads:
    """Work beside a scenario, each piece of it until `ended`. What one of them raises is in `failures`, and ends all."""

    def __init__(self):
        self.ended, self.failures, self.all = threading.Event(), [], []

    def start(self, work, *arguments):
        def body():
            try:
                work(*arguments)
            except BaseException as error:
                self.failures.append(error)
                self.ended.set()

        self.all.append(threading.Thread(target=body))
        self.all[-1].start()

    def end(self):
        """Waits for them."""
        self.ended.set()
        for thread in self.all:
            thread.join()


class Run:
    """What a command did."""

    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __repr__(self):
        return f"exit status {self.code}\nstdout: {self.out[-3000:]}\nstderr: {self.err[-3000:]}"

    def objects(self):
        """The JSON objects of the output, one a line."""
        return [json.loads(line) for line in self.out.splitlines() if line]


class Node:
    """One process of the cluster."""

    def __init__(self, cluster, kind, name):
        self.cluster, self.kind, self.name = cluster, kind, name
        self.process = None
        self.before = []  # the command that runs it, if any
        self.environment = {}  # beside what it inherits

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        logs = self.cluster.directory / "logs"
        logs.mkdir(exist_ok=True)
        command = [*self.before, BIN / f"weir-{self.kind}", "-C", self.cluster.directory, "--name", self.name]
        with open(logs / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment})
        return self

    # ---- faults of its disk: tests/hosts/faults.c ----

    def may_fail(self):
        """Before it starts: `disk_fault` can be used."""
        library = BIN.parent / "tests/faults.so"
        expect(library.exists(), library, "is not built: no fault would happen")
        self.environment = {"LD_PRELOAD": str(library),
                            "WEIR_FAULTS": str(self.cluster.directory / f"faults-{self.name}"),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def disk_fault(self, order):
        """Puts an order into effect: CALL WHEN WHAT ENDING. The file that is there until it is taken."""
        path = Path(self.environment["WEIR_FAULTS"])
        path.with_suffix(".new").write_text(order)
        path.with_suffix(".new").rename(path)
        return path

    def kill(self):
        """kill -9"""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        """In order. A node that does not stop is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20 * SLOWER)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return (self.cluster.directory / "logs" / f"{self.name}.log").read_text(errors="replace")


class Cluster:
    """A project directory and the nodes on it. `files` are definition files by name. A secured one has
    the keys node.secret and client.secret (an admin's), which clients use that are not given another."""

    def __init__(self, files, partitions=4, speed_workers=2, every="never", settings="",
                 directory="project", name="scenario", serving=1, batch_workers=1, secured=SECURED,
                 coordinators=1):
        self.port = int(os.environ.get("WEIR_SCENARIO_PORT", "17600"))
        self.directory = Path(directory).absolute()
        self.partitions = partitions
        self.coordinators = [self.endpoint(30 + i if i else 0) for i in range(coordinators)]
        (self.directory / "features").mkdir(parents=True)
        (self.directory / "weir.yaml").write_text(
            f"cluster: {name}\npartitions: {partitions}\n"
            f"nodes:\n  base_port: {self.port}\n"
            f"  coordinators: [{', '.join(self.coordinators)}]\n"
            f"  serving: {self.endpoints(1, serving)}\n"
            f"  speed_workers: {self.endpoints(11, speed_workers)}\n"
            f"  batch_workers: {batch_workers}\n"
            f"batch:\n  every: {every}\n" + ("security: {keys: ./keys}\n" if secured else "") +
            settings)
        self.write(files)
        self.secured = secured
        Keys.default = None
        if secured:
            self.keygen("node", "node")
            Keys.default = self.keygen("client", "admin")
        counts = {"serving": serving, "batch-worker": batch_workers, "speed-worker": speed_workers}
        self.nodes = {"coordinator": Node(self, "coordinator", "coordinator")}
        for i in range(2, coordinators + 1):
            self.nodes[f"coordinator-{i}"] = Node(self, "coordinator", f"coordinator-{i}")
        for kind, count in counts.items():
            for i in range(count):
                self.nodes[f"{kind}-{i + 1}"] = Node(self, kind, f"{kind}-{i + 1}")
        self.clients = []
        atexit.register(self.end)

    def write(self, files):
        for name, text in files.items():
            (self.directory / "features" / name).write_text(text)

    def endpoint(self, above):
        """Of the node at base port + `above`: 0 the coordinator, from 1 serving, from 11 speed workers."""
        return f"tcp://127.0.0.1:{self.port + above}"

    def endpoints(self, above, count):
        return "[" + ", ".join(self.endpoint(above + i) for i in range(count)) + "]"

    # ---- keys ----

    @property
    def keys(self):
        return self.directory / "keys"

    def keygen(self, name, role):
        """A new pair; None for who is no client."""
        self.done("keygen", name, "--role", role)
        return None if role == "node" else Keys(self.keys / f"{name}.secret")

    # ---- processes ----

    def start(self, apply=True):
        for node in self.nodes.values():
            node.start()
        self.wait_ready()
        if apply:
            run = self.weir("apply", "--yes")
            expect(run.code == 0, "weir apply:", run)
        return self

    def wait_ready(self, seconds=20):
        """Every partition has an owner, and all that should run does."""

        def ready():
            for node in self.nodes.values():
                expect(node.process is None or node.alive(), node.name, "ended:\n", node.log()
                       if not node.alive() and node.process else "")
            routes = self.ask_coordinator("routes")
            owned = sum(1 for o in routes["owners"] if o["endpoint"])
            return routes if owned == self.partitions and routes["serving"] else None

        return wait_for(ready, seconds, "the cluster is up")

    def __getitem__(self, name):
        return self.nodes[name]

    def end(self):
        """Kills what still runs."""
        for client in self.clients:
            client.close()
        self.clients = []
        for node in self.nodes.values():
            if node.alive():
                node.kill()

    def stop(self):
        """Every node in order, on SIGTERM: each must end well."""
        for node in self.nodes.values():
            if node.alive():
                node.stop()
                expect(node.process.returncode == 0, node.name, "ended with status",
                       node.process.returncode, "\n", node.log()[-3000:])

    # ---- talking to it ----

    def weir(self, *arguments, input=None, timeout=300, environment=None):
        """The weir command in the project."""
        process = subprocess.run([BIN / "weir", "-C", self.directory, *map(str, arguments)],
                                 input=input, stdin=None if input is not None else subprocess.DEVNULL,
                                 text=True, capture_output=True, timeout=timeout * SLOWER,
                                 env=environment)
        return Run(process)

    def done(self, *arguments, **more):
        """The weir command, which must succeed."""
        run = self.weir(*arguments, **more)
        expect(run.code == 0, "weir", *arguments, "\n", run)
        return run

    def client(self, above, keys=None):
        """A client of the node at base port + `above`; for the thread that makes it."""
        client = Client(self.endpoint(above), keys)
        self.clients.append(client)
        return client

    def coordinator(self):
        return self.client(0)

    def serving(self):
        return self.client(1)

    def speed(self, number=1):
        return self.client(10 + number)

    def ask_coordinator(self, kind, body=None, seconds=5 * SLOWER):
        """Of the one that leads. Who stands by is passed over, and so is who is silent."""
        for endpoint in self.coordinators:
            client = Client(endpoint)
            try:
                return client.ask(kind, body or {}, seconds / len(self.coordinators))
            except Silent as error:
                last = error
            except Refused as error:
                if error.leader is None:
                    raise
                last = error
            finally:
                client.close()
        raise last

    def recompute(self, seconds=60):
        """Asks for a recompute of everything and waits until it is published and trimmed."""
        ids = wait_for(lambda: self.ask_coordinator("recompute"), seconds, "recompute")["ids"]

        def trimmed():
            found = self.ask_coordinator("recomputes", {"ids": ids})["recomputes"]
            failed = [r for r in found if r["state"] == "failed"]
            expect(not failed, "recompute failed:", failed)
            return len(found) == len(ids) and all(r["state"] == "trimmed" for r in found)

        wait_for(trimmed, seconds, f"recomputes {ids}")
        return ids
