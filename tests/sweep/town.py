"""A cluster of real processes for one point: one of them runs under the injector, all are restarted
when they end, as an init would, and whoever talks to them tries again until it is answered."""
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenario"))
from wire import Client, Producer, Refused, Silent  # noqa: E402

LEASE = 0.5        # seconds; the least that weir.yaml takes
PATIENCE = 0.4     # for one answer, before it is asked for again
DEADLINE = 15      # for anything to come about at all, on a machine that has time for it
STICKY = 0.4       # how long a disk stays full
STOPPED = 2 * LEASE
RESTARTS_MAX = 60  # of one node in one point
AGAIN = ("busy", "unavailable", "timeout", "fenced", "stale", "io", "no-space")


def allowed(seconds):
    """So long here and now: leases run out by themselves when processes wait for a processor."""
    busy = os.getloadavg()[0] / (4 * os.cpu_count())
    return seconds * min(max(busy, 1), 8)


class Failure(Exception):
    """What must not happen. `kind` is the column of the table: loss, duplicate, hang, left, wrong."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Node:
    """One program, and what became of it."""

    def __init__(self, town, program, name, control=None, inject=None, trace=None):
        self.town, self.program, self.name = town, program, name
        self.control, self.inject, self.trace = control, inject, trace
        self.process, self.restarts, self.crashes = None, 0, []
        self.wanted, self.not_before = False, 0
        self.log = town.directory / f"{name}.log"

    def start(self):
        environment = dict(os.environ)
        if self.control is not None and not (self.control.fired and self.died_of_it()):
            environment.update(LD_PRELOAD=str(self.inject), WEIR_SWEEP=str(self.control.path))
            if self.trace:
                environment["WEIR_SWEEP_TRACE"] = str(self.trace)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", self.town.bin / self.program, "-C",
                 self.town.directory, "--name", self.name], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env=environment)
        self.wanted = True

    def died_of_it(self):
        return bool(self.crashes)

    def last_words(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def tend(self):
        """Starts it again when it has ended."""
        if not self.wanted:
            return
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            self.process = None
            self.crashes.append(code)
            if code >= 0 and " info " in (self.last_words() or " info "):
                raise Failure("wrong", f"{self.name} ended with status {code} and does not say why")
            self.restarts += 1
            if self.restarts > RESTARTS_MAX:
                raise Failure("hang", f"{self.name} ends again and again: {self.last_words()}")
            self.not_before = time.monotonic() + min(0.01 * 2 ** self.restarts, 0.2)
        if time.monotonic() >= self.not_before:
            self.start()

    def stop(self):
        """In order. True when it ended well; a node that a fault killed meanwhile did not."""
        self.wanted = False
        if self.process is None:
            return False
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + allowed(DEADLINE)
        while self.process.poll() is None:
            self.town.look_at_fault()
            if time.monotonic() > deadline:
                raise Failure("hang", f"{self.name} does not end on SIGTERM")
            time.sleep(0.003)
        code, self.process = self.process.returncode, None
        if code != 0:
            self.crashes.append(code)
        return code == 0

    def end(self):
        self.wanted = False
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None


class Town:
    """The cluster. Everything that waits calls tend()."""

    def __init__(self, directory, bin_directory, definitions, control=None, target=None, inject=None,
                 trace=None, port=0):
        self.directory, self.bin = Path(directory), Path(bin_directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "features").mkdir(parents=True)
        self.control, self.definitions, self.clients = control, definitions, {}
        self.fired_at, self.command, self.port = None, None, port
        self.write()
        names = [("weir-coordinator", "coordinator"), ("weir-speed-worker", "speed-worker-1"),
                 ("weir-speed-worker", "speed-worker-2"), ("weir-batch-worker", "batch-worker-1"),
                 ("weir-serving", "serving-1")]
        self.nodes = {}
        for program, name in names:
            under = {"control": control, "inject": inject, "trace": trace} if name == target else {}
            self.nodes[name] = Node(self, program, name, **under)
        self.target = self.nodes.get(target)

    def write(self):
        def at(name):
            if self.port:
                return f"tcp://127.0.0.1:{self.port + ['c', 'q', 's1', 's2'].index(name)}"
            return f"ipc://{self.directory}/{name}"

        (self.directory / "weir.yaml").write_text(
            f"cluster: sweep\npartitions: 2\nlease: {int(LEASE * 1000)}ms\n"
            f"nodes:\n  coordinator: {at('c')}\n  serving: {at('q')}\n"
            f"  speed_workers: [{at('s1')}, {at('s2')}]\nbatch:\n  every: never\n")
        (self.directory / "features" / "sweep.yaml").write_text(self.definitions)
        self.endpoints = {"coordinator": at("c"), "serving": at("q"), "speed": [at("s1"), at("s2")]}

    # ---- processes ----

    def start(self):
        for node in self.nodes.values():
            node.start()

    def look_at_fault(self):
        """Ends what lasts: a full disk has room again, a stopped process goes on."""
        if self.control is None or not self.control.fired:
            return
        if self.fired_at is None:
            self.fired_at = time.monotonic()
        elapsed = time.monotonic() - self.fired_at
        if elapsed > STICKY:
            self.control.once()
        process = self.target.process if self.target else self.command
        if process is not None and elapsed > STOPPED and process.poll() is None:
            process.send_signal(signal.SIGCONT)

    def tend(self):
        self.look_at_fault()
        for node in self.nodes.values():
            node.tend()

    def end(self):
        for client in self.clients.values():
            client.close()
        self.clients = {}
        for node in self.nodes.values():
            node.end()

    def stop(self):
        """Every node on SIGTERM; all but one that was just faulted must end well."""
        for node in self.nodes.values():
            had = len(node.crashes)
            if not node.stop() and node is not self.target:
                raise Failure("wrong", f"{node.name} ended with {node.crashes[had:]}: {node.last_words()}")

    # ---- talking ----

    def client(self, endpoint):
        if endpoint not in self.clients:
            self.clients[endpoint] = Tending(endpoint, self)
        return self.clients[endpoint]

    def until(self, condition, what, seconds=DEADLINE, kind="hang"):
        """The first true value; what is refused or not answered counts as not yet."""
        deadline, last = time.monotonic() + allowed(seconds), None
        while True:
            self.tend()
            try:
                last = condition()
                if last:
                    return last
            except (Refused, Silent) as error:
                last = error
            if time.monotonic() > deadline:
                raise Failure(kind, f"{what}: not within {seconds} s; last: {last}")
            time.sleep(0.01)

    def wait_owned(self):
        """Every partition has an owner."""
        def owned():
            return all(o["endpoint"] for o in self.coordinator("routes")["owners"])

        self.until(owned, "every partition has an owner")

    def coordinator(self, kind, body=None, seconds=PATIENCE):
        return self.client(self.endpoints["coordinator"]).ask(kind, body, seconds)

    def weir(self, *arguments, environment=None, seconds=DEADLINE):
        """The weir command; (exit status, stdout, stderr)."""
        command = ["setpriv", "--pdeathsig", "KILL", self.bin / "weir", "-C", self.directory,
                   *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment)
        deadline, self.command = time.monotonic() + allowed(seconds), process
        while process.poll() is None:
            self.tend()
            if time.monotonic() > deadline:
                process.kill()
                process.communicate()
                raise Failure("hang", f"weir {' '.join(map(str, arguments))} does not end")
            select.select([], [], [], 0.003)
        out, err = process.communicate()
        return process.returncode, out, err


class Tending(Client):
    """A client that looks after the town while it waits."""

    def __init__(self, endpoint, town):
        super().__init__(endpoint)
        self.town = town

    def receive(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.socket.poll(5):
            self.town.tend()
            if time.monotonic() > deadline:
                raise Silent(f"no answer from {self.endpoint}")
        return super().receive(0)


class Sender(Producer):
    """A producer that keeps to its batch until it is acknowledged."""

    def __init__(self, town):
        super().__init__([])
        self.clients = [town.client(endpoint) for endpoint in town.endpoints["speed"]]

    def deliver(self, stream, columns, rows):
        self.sequence += 1
        body = {"stream": stream, "producer": self.id, "sequence": self.sequence, "oldest": self.sequence,
                "columns": columns, "rows": rows}
        deadline, last = time.monotonic() + allowed(DEADLINE), None
        while time.monotonic() < deadline:
            client = self.clients[self.next % len(self.clients)]
            try:
                return client.ask("send", body, PATIENCE)
            except Silent as error:
                last = error
            except Refused as error:
                if error.status not in AGAIN:
                    raise Failure("wrong", f"a batch was refused: {error}") from error
                last = error
            client.town.tend()
            self.next += 1
            time.sleep(0.01)
        raise Failure("hang", f"a batch is not acknowledged within {DEADLINE} s: {last}")
