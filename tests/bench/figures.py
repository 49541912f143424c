"""figures.py - what the benchmarks that start a cluster share: its definitions, figures of several
rounds, processes, and how a figure is told."""
import datetime
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/scenario"))

FIRST_USER = 100000  # as in talk.h
HERTZ = os.sysconf("SC_CLK_TCK")
PORTS = 40

# Events of 100 bytes (producer.c), and 12 windowed features over two inputs of them.
DEFINITIONS = """
streams:
  payments:
    key: user_id
    time: ts
    fields:
      user_id: {type: int64, required: true}
      amount: float64
      fee: float64
      ts: {type: timestamp, unit: us}
      merchant: string
      status: string
      memo: string
views:
  spend:
    from: payments
    key: user_id
    features:
      n: count() over 1h, 24h, 7d
      total: sum(amount) over 1h, 24h, 7d
      most: max(amount) over 1h, 24h, 7d
      fees: sum(fee) over 1h, 24h, 7d
"""

# 60 of them, to be put behind the others.
WIDE = """  wide:
    from: payments
    key: user_id
    features:
      n: count() over 1h, 6h, 24h, 7d, 30d
      large: count() where amount > 500 over 1h, 6h, 24h, 7d, 30d
""" + "".join(f"      {word}_{field}: {word}({field}) over 1h, 6h, 24h, 7d, 30d\n"
              for field in ("amount", "fee") for word in ("sum", "mean", "min", "max", "stddev"))


class Figures:
    """Figures by name, several of each: one of every round."""

    def __init__(self, values=None):
        self.values = values if values is not None else {}

    def __contains__(self, name):
        return name in self.values

    def add(self, name, value):
        self.values.setdefault(name, []).append(float(value))

    def median(self, name):
        return statistics.median(self.values[name])

    def ratio(self, over, under):
        """The median of the rounds' ratios: what is compared ran side by side."""
        return statistics.median(a / b for a, b in zip(self.values[over], self.values[under]))

    def take(self, name, printed, prefix=""):
        """Takes in what a program printed, lines of "name value"."""
        for line in printed.splitlines():
            try:
                figure, value = line.split()
                self.add(prefix + figure, value)
            except ValueError:
                sys.exit(f"{name} printed {line!r}")

    def of_program(self, command, prefix="", **more):
        """Runs a program that prints "name value" lines."""
        done = subprocess.run(list(map(str, command)), text=True, capture_output=True, **more)
        if done.returncode != 0:
            sys.exit(f"{Path(command[0]).name} failed: {done.stderr}")
        self.take(Path(command[0]).name, done.stdout, prefix)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def free_ports():
    """A base port with room above it."""
    for _ in range(100):
        base = random.randrange(20000, 30000, PORTS)
        try:
            for port in range(base, base + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    sys.exit("no free ports")


def machine_line():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"machine: {model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux "
            f"{platform.release()}, load {os.getloadavg()[0]:.1f} at the start")


class Awake:
    """A process on each core that runs when nothing else does, so that cores do not sleep: it is the hypervisor
    that wakes a virtual one, and what it takes for that is in whatever happens next."""

    def __enter__(self):
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=self.step_back)
                          for _ in range(os.cpu_count())]
        return self

    @staticmethod
    def step_back():
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


class Floor:
    """Echoes and the relays in front of them, over tcp and over ipc; `directory` has the ipc's ends."""

    def __init__(self, programs, port, directory):
        self.ends = {"echo-tcp": f"tcp://127.0.0.1:{port + 1}", "relay-tcp": f"tcp://127.0.0.1:{port}",
                     "echo-ipc": f"ipc://{directory}/echo", "relay-ipc": f"ipc://{directory}/relay"}
        self.nodes = []
        for end in ("tcp", "ipc"):
            echo, relay = self.ends[f"echo-{end}"], self.ends[f"relay-{end}"]
            self.nodes += [subprocess.Popen([programs / "floor", f"--listen={echo}"]),
                           subprocess.Popen([programs / "floor", f"--listen={relay}", f"--to={echo}"])]

    def options(self, *which):
        """Of query.c."""
        pids = {"relay-tcp": (0, 1), "echo-tcp": (0,), "relay-ipc": (2, 3), "echo-ipc": (2,)}
        return [option for name in which or self.ends for option in
                (f"--{name}={self.ends[name]}",
                 f"--{name}-pids={','.join(str(self.nodes[i].pid) for i in pids[name])}")]

    def end(self):
        for node in self.nodes:
            node.kill()
            node.wait()


# ---- what a cluster is given, and what it told ----

def write_csv(path, events, users):
    """Events of the last ten days, not in order of time."""
    draw = random.Random(1)
    now = time.time_ns() // 1000 - 7200 * 10**6
    with open(path, "w") as out:
        out.write("user_id,amount,fee,ts,merchant,status,memo\n")
        for i in range(events):
            user = FIRST_USER + (i if i < users else draw.randrange(users))
            at = now - draw.randrange(10 * 86400 * 10**6)
            out.write(f"{user},{draw.randrange(100000) / 100},{draw.randrange(300) / 100},{at},"
                      f"merchant-{i % 997:010d},status-{i % 3},{i:035d}\n")


def clock_of(line):
    return datetime.datetime.fromisoformat(line.split("Z ", 1)[0]).timestamp()


def openings(text):
    """Of a speed worker's log: when it got the definitions and could open, and for each partition
    that was opened, when and with how many events."""
    began, found = 0, []
    for line in text.splitlines():
        if ": definitions version" in line:
            began = clock_of(line)
        if " events in real-time views" in line:
            count = line.split(" events in real-time views")[0].rsplit(" ", 1)[1]
            found.append((clock_of(line), int(count)))
    return began, found


def wait_open(worker, partitions, already=0):
    """Until a speed worker has opened the logs of all partitions; what it told of them since `already`
    characters of its log."""
    from cluster import wait_for

    def opened():
        began, found = openings(worker.log()[already:])
        return (began, found) if len(found) == partitions else None

    return wait_for(opened, 60, "the speed worker has opened its logs")


# ---- telling ----

def per_s(value):
    if value >= 1e6:
        return f"{value / 1e6:.2f} M/s"
    return f"{value / 1e3:.1f} k/s" if value >= 1e3 else f"{value:.0f} /s"


def us(value):
    return f"{value:.0f} µs"


def bar_line(name, ratio, limit, is_at_most):
    good = ratio <= limit if is_at_most else ratio >= limit
    return f"BAR {name} ratio={ratio:.2f} bar={limit:g} {'ok' if good else 'short'}"
