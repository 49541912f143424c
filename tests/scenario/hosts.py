"""A cluster whose nodes are on hosts of their own: network namespaces, with links between them that are
cut, slow or bad as a scenario wants (tests/hosts). The scenario itself is on a host too."""
import ctypes
import itertools
import os
import subprocess
import threading

from cluster import BIN, SKIPPED, Cluster, expect, skip

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
TESTER = "tester"  # the name of the scenario's own host
ALL = "*"
COMMON = {"delay": 0.0, "loss": 0.0, "duplicate": 0.0, "overtake": 0.0}


class Links:
    """`names` are the hosts. A fault is laid on the links of one direction, and taken off again; where
    there are several, delays add up and the worst share of each kind counts."""

    def __init__(self, names, seed):
        self.names, self.faults, self.ids, self.lock = list(names), {}, itertools.count(), threading.Lock()
        self.process = subprocess.Popen([BIN.parent / "tests/hosts", str(len(self.names)), str(seed)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline().split()
        if not first and self.process.wait() == SKIPPED:
            skip("this needs to make network namespaces and TUN devices")
        expect(first and first[0] == "hosts", "tests/hosts did not start")
        self.namespaces = {name: f"/proc/{first[1]}/fd/{fd}" for name, fd in zip(self.names, first[2:])}

    def address(self, name):
        return f"127.1.0.{self.names.index(name) + 1}"

    def enter(self, name):
        """Moves the calling thread to a host, and with it the threads that it starts later."""
        fd = os.open(self.namespaces[name], os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        expect(libc.setns(fd, NEW_NETWORK) == 0, "setns:", os.strerror(ctypes.get_errno()))
        os.close(fd)

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        expect(answer and not answer.startswith("error"), line, answer)
        return answer

    def _renew(self, pairs):
        for pair in pairs:
            state = dict(COMMON)
            for of, fault in self.faults.values():
                if pair in of:
                    state = {k: state[k] + fault[k] if k == "delay" else max(state[k], fault[k]) for k in state}
            shares = [round(state[k] * 1e6) for k in COMMON if k != "delay"]
            self._ask(" ".join(map(str, ["set", self.names.index(pair[0]) + 1, self.names.index(pair[1]) + 1,
                                         round(state["delay"] * 1e6), *shares])))

    def lay(self, source, target, **fault):
        """A fault on the links from `source` to `target` (either may be ALL): delay in seconds; loss,
        duplicate, overtake as shares. Returns what `lift` takes it off by."""
        pairs = {(a, b) for a in self.names for b in self.names
                 if a != b and source in (a, ALL) and target in (b, ALL)}
        with self.lock:
            self.faults[(id := next(self.ids))] = pairs, {**COMMON, **fault}
            self._renew(pairs)
        return id

    def cut(self, source, target):
        """Nothing arrives from `source` at `target`."""
        return self.lay(source, target, loss=1.0)

    def lift(self, *ids):
        with self.lock:
            for id in ids:
                pairs, _ = self.faults.pop(id)
                self._renew(pairs)

    def counts(self):
        """Packets."""
        with self.lock:
            return dict(zip(("passed", "lost", "doubled", "overtaken"), map(int, self._ask("counts").split())))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Hosts(Cluster):
    def __init__(self, files, seed=1, speed_workers=2, serving=1, batch_workers=1, coordinators=1, **more):
        names = [TESTER, "coordinator"] + [f"coordinator-{i + 2}" for i in range(coordinators - 1)] + [f"{kind}-{i + 1}" for kind, count in
                 (("serving", serving), ("speed-worker", speed_workers), ("batch-worker", batch_workers))
                 for i in range(count)]
        self.links = Links(names, seed)
        super().__init__(files, speed_workers=speed_workers, serving=serving, batch_workers=batch_workers,
                         coordinators=coordinators, **more)
        for name, node in self.nodes.items():
            node.before = ["nsenter", f"--net={self.links.namespaces[name]}", "--"]
        self.links.enter(TESTER)

    def endpoint(self, above):
        name = ("coordinator" if above == 0 else f"coordinator-{above - 29}" if above > 30
                else f"speed-worker-{above - 10}" if above > 10
                else f"serving-{above}")
        return f"tcp://{self.links.address(name)}:{self.port + above}"

    def end(self):
        super().end()
        self.links.end()
