#!/usr/bin/python3
"""batch.py [options] - what the batch layer costs, beside DuckDB (and polars and pandas) on the same
events, in turn in the same rounds. Leaves results.json, report.md and curves (SVG) in --out.
docs/benchmarks.md says what the figures mean.

A case is EVENTS:KEYS:DISTRIBUTION (20M:1M:uniform; k and M are thousands and millions; uniform,
zipf or hot), or `flights`, which WEIR_FLIGHTS names the file of."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import batch_report
import histories
from bench import machine_line

BAR_CASE = "20M:1M:uniform"
SLOPE = ["1M:50k:uniform", "10M:500k:uniform", "100M:5M:uniform"]  # 20 events a key
MATRIX = [f"{events}:{keys}:{shape}" for shape in ("uniform", "zipf")
          for events in ("1M", "10M", "100M") for keys in ("10k", "1M", "10M")]
HOT = ["10M:500k:hot", "100M:5M:hot"]  # 5 M and 50 M events of one key
WIDE = ["1M:50k:uniform", "1M:5k:uniform"]  # 20 and 200 events a key
WIDE_FILTERS = [1, 5, 25]                   # 20 features each
WORKERS = "10M:500k:uniform"
TRAINING = ["2M:100k:uniform", "2M:2k:uniform", "2M:100k:hot",  # 20 events a key, 1000, 1 M
            "flights"]
DELTAS = BAR_CASE  # a base, and eight deltas of a hundredth each
FRAMES_MOST = 20 * 10**6  # events that polars and pandas are given
KEYS_COMPARED = 10**6     # of more, so many at equal distances


def number(text):
    return int(text.rstrip("kM")) * {"k": 10**3, "M": 10**6}.get(text[-1], 1)


def is_small(case):
    events, keys, _ = case.split(":")
    return number(events) <= 10**7 and number(keys) <= 10**6


class Bench:
    """Programs, places and what was found."""

    def __init__(self, options, place):
        self.options, self.place = options, place
        self.programs = Path(options.build).absolute() / "bench"
        self.has_peers = Path(sys.prefix) != Path(sys.base_prefix)
        self.found = {"machine": machine_line(), "cases": {}}

    def run(self, command, quiet=False, **more):
        done = subprocess.run([*map(str, command)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **more)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
        return None if quiet else json.loads(done.stdout)

    def run_lines(self, command):
        """Of a program that prints lines "name value": name → values."""
        done = subprocess.run([*map(str, command)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
        values = {}
        for line in done.stdout.splitlines():
            name, value = line.split()
            values.setdefault(name, []).append(float(value))
        return values

    # ---- sides ----

    def batch(self, history, what, *more, quiet=False, view="view.yaml"):
        return self.run([self.programs / "batch", f"--do={what}", f"--directory={self.place}/weir",
                         f"--partitions={self.partitions}", *history.options(view), *more],
                        quiet)

    def build(self, history, start, workers=1, threads=None, view="view.yaml"):
        """From the log, which leaves history and the list of its runs, or from the runs."""
        for name in ("views",) if start == "runs" else ("views", "history"):
            shutil.rmtree(self.place / "weir" / name, ignore_errors=True)
        threads = threads or self.options.threads
        return self.batch(history, "build", f"--from={start}", f"--workers={workers}",
                          f"--threads={threads}", f"--memory-mib={self.options.memory_mib}",
                          view=view)

    def peer(self, *arguments):
        environment = dict(os.environ, POLARS_MAX_THREADS=str(self.options.threads),
                           LD_PRELOAD=str(self.programs / "nosync.so"))
        return self.run([sys.executable, Path(__file__).with_name("peers.py"), *arguments],
                        env=environment)

    def duckdb(self, history, table):
        return self.peer("duckdb", history.directory, self.place / "duck.db", table,
                         self.place / "out.db", self.options.threads)

    # ---- a case ----

    def history(self, case):
        directory = self.place / "events"
        directory.mkdir()
        if case == "flights":
            return histories.flights(os.environ["WEIR_FLIGHTS"], directory)
        events, keys, shape = case.split(":")
        return histories.payments(self.programs / "events", directory, number(events), number(keys),
                                  shape)

    def one_round(self, history, figures):
        """In turn: weir, DuckDB, weir, DuckDB."""
        def add(name, told):
            if told.get("rows", history.events) != history.events:
                sys.exit(f"{name}: {told['rows']} rows of {history.events} events")
            figures.setdefault(name, []).append(told)
            print(f"    {name}: {told['wall_s']:.2f} s, CPU {told['cpu_s']:.2f} s", flush=True)
        add("weir first", self.build(history, "log"))
        if self.has_peers:
            add("duckdb", self.duckdb(history, "arrived"))
        add("weir recompute", self.build(history, "runs"))
        if self.has_peers:
            add("duckdb sorted", self.duckdb(history, "sorted"))

    def check(self, history, found):
        keys_path, answers = self.place / "keys", self.place / "answers"
        answers.mkdir(exist_ok=True)
        keys = history.write_keys(keys_path, KEYS_COMPARED)
        self.batch(history, "answers", "--from=runs", f"--keys={keys_path}", f"--out={answers}",
                   quiet=True)
        found["exact_values"] = histories.check_exact(history, keys, answers)
        if self.has_peers:
            self.duckdb(history, "arrived")
            found["compared"] = self.peer("compare", history.directory, self.place / "out.db",
                                          keys_path, answers)

    def frames(self, history, figures, rounds):
        if not self.has_peers or history.events > FRAMES_MOST or self.options.no_frames:
            return
        for name in ("polars", "pandas"):
            figures[name] = [self.peer(name, history.directory) for _ in range(min(rounds, 3))]

    def workers(self, history, figures, rounds):
        """The same partitions by one worker of one thread, and by two."""
        for _ in range(rounds):
            for workers in (1, 2):
                for start in ("log", "runs"):
                    told = self.build(history, start, workers, threads=1)
                    figures.setdefault(f"{workers} x 1, from {start}", []).append(told)

    def deltas(self, history, found, rounds):
        """What a delta costs beside a base, and answers over eight of them (deltas.c)."""
        for name in ("views", "history"):
            shutil.rmtree(self.place / "weir" / name, ignore_errors=True)
        definitions = [option for option in history.options() if not option.startswith("--events")]
        told = self.run_lines([self.programs / "deltas", f"--directory={self.place}/weir",
                               f"--partitions={self.partitions}", *definitions,
                               f"--rounds={rounds}", f"--keys={history.keys}",
                               f"--memory-mib={self.options.memory_mib // 2}",
                               f"--questions={min(history.keys, 200000)}"])
        found["deltas"] = told

    def training(self, case, rounds):
        """Of each event, features of the 7 days up to it."""
        history = self.begin(case, 32)  # so that the rows of one stay in a near cache
        answers, figures = self.place / "answers", {}
        found = {"events": history.events, "keys": history.keys, "load": os.getloadavg()[0]}
        self.batch(history, "log", quiet=True)
        self.build(history, "log")
        if self.has_peers:
            self.peer("load", history.directory, self.place / "duck.db")
        for _ in range(rounds):
            shutil.rmtree(answers, ignore_errors=True)  # as DuckDB's file is, before the clock runs
            answers.mkdir()
            told = self.run([self.programs / "training", f"--directory={self.place}/weir",
                             f"--partitions={self.partitions}",
                             *history.options("training.yaml"), f"--out={answers}",
                             f"--threads={self.options.threads}",
                             f"--memory-mib={self.options.memory_mib}"])
            figures.setdefault("weir", []).append(told)
            if told["rows"] != history.events:
                sys.exit(f"{told['rows']} rows of {history.events}")
            if self.has_peers:
                figures.setdefault("duckdb", []).append(
                    self.peer("training", history.directory, self.place / "duck.db",
                              self.place / "out.db", self.options.threads))
        found["exact_values"] = histories.check_exact_training(history, answers)
        if self.has_peers:
            found["compared"] = self.peer("compare-training", history.directory,
                                          self.place / "out.db", answers)
        self.found.setdefault("training", {})[case] = found | {"figures": figures}
        self.save()

    def wide(self, history, found, rounds):
        """Views of ever more features, by one thread."""
        found["wide"] = {}
        for filters in WIDE_FILTERS:
            view = f"wide{filters}.yaml"
            (history.directory / view).write_text(histories.wide_view(filters))
            found["wide"][20 * filters] = [
                {start: self.build(history, start, threads=1, view=view)
                 for start in ("log", "runs")} for _ in range(rounds)]

    def in_turn(self, history, case, rounds):
        """CPU seconds of building this history and another case's, side by side: a machine's speed changes
        from minute to minute."""
        beside = Bench(self.options, self.place / "beside")
        beside.place.mkdir(exist_ok=True)
        other = beside.begin(case)
        beside.batch(other, "log", quiet=True)
        told = {start: [] for start in ("log", "runs")}
        for turn in range(rounds):
            sides = [(self, history), (beside, other)]
            for start in told:
                cpu = {}
                for bench, of in sides if turn % 2 == 0 else reversed(sides):
                    cpu[bench is self] = bench.build(of, start)["cpu_s"]
                told[start].append((cpu[True], cpu[False]))
        shutil.rmtree(beside.place)
        return told

    def begin(self, case, partitions=8):
        """An empty place, and the events."""
        self.partitions = self.options.partitions or partitions
        for name in ("weir", "events"):
            shutil.rmtree(self.place / name, ignore_errors=True)
        (self.place / "weir").mkdir()
        (self.place / "duck.db").unlink(missing_ok=True)
        print(f"{case}: load {os.getloadavg()[0]:.1f}", flush=True)
        return self.history(case)

    def case(self, case, rounds, with_workers=False, with_frames=False, with_deltas=False):
        history = self.begin(case)
        found = {"events": history.events, "keys": history.keys, "figures": {},
                 "load": os.getloadavg()[0]}
        self.batch(history, "log", quiet=True)
        if self.has_peers:
            found["loaded"] = self.peer("load", history.directory, self.place / "duck.db")
        for _ in range(rounds):
            self.one_round(history, found["figures"])
        self.check(history, found)
        self.found["cases"][case] = found
        self.save()  # what follows may take long
        if with_frames:
            self.frames(history, found["figures"], rounds)
        if with_workers:
            self.workers(history, found["figures"], self.options.rounds)
        if case in HOT:
            found["in_turn"] = self.in_turn(history, case.replace("hot", "uniform"), self.options.rounds)
        if case in WIDE:
            self.wide(history, found, rounds)
        if with_deltas:
            self.deltas(history, found, rounds)
        self.save()

    def save(self):
        (Path(self.options.out) / "results.json").write_text(json.dumps(self.found, indent=1))

    def all(self):
        options = self.options
        cases = options.case or chosen_cases(options)
        Path(options.out).mkdir(parents=True, exist_ok=True)
        for case in dict.fromkeys(cases):  # each once, in order
            if case == "flights" and "WEIR_FLIGHTS" not in os.environ:
                print("flights: skipped, WEIR_FLIGHTS does not name flights.csv.gz")
                continue
            rounds = options.rounds if case in (BAR_CASE, TRAINING[0], "flights") or options.case \
                else min(options.rounds, 3)
            of_training = case in TRAINING and case != "flights"
            if options.only == "training" or (of_training and not options.only and not options.case):
                self.training(case, rounds)
                continue
            self.case(case, rounds, case == WORKERS and os.cpu_count() >= 2, not options.smoke,
                      case == DELTAS or options.smoke or options.only == "deltas")
            if options.smoke:
                self.training(case, rounds)


def chosen_cases(options):
    if options.smoke:
        return ["20k:1k:uniform"]
    wanted = {"bar": [BAR_CASE], "deltas": [DELTAS], "slope": SLOPE, "wide": WIDE, "hot": HOT, "workers": [WORKERS],
              "training": TRAINING, "matrix": MATRIX, "flights": ["flights"]}
    cases = [case for part, those in wanted.items() for case in those
             if options.only in (None, part)]
    return [case for case in cases
            if options.full or case in (BAR_CASE, "flights") or is_small(case)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="where programs were built")
    parser.add_argument("--out", default="build/bench-batch", help="where results go")
    parser.add_argument("--directory", help="where to work (default: a temporary directory)")
    parser.add_argument("--only", choices=["bar", "deltas", "training", "slope", "wide", "hot", "workers", "matrix",
                                           "flights"])
    parser.add_argument("--case", action="append", help="this case instead; may be repeated")
    parser.add_argument("--full", action="store_true",
                        help="100 M events and 10 M keys too (an hour, 20 GB of disk)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count(),
                        help="of the batch worker and of its peers (default: all cores)")
    parser.add_argument("--partitions", type=int,
                        help="of the history (default: 8, or 32 for training sets)")
    parser.add_argument("--memory-mib", type=int, default=512, help="that a batch worker may use")
    parser.add_argument("--no-frames", action="store_true", help="without polars and pandas")
    parser.add_argument("--smoke", action="store_true", help="one tiny case, to show that it runs")
    parser.add_argument("--report", nargs="+", metavar="RESULTS",
                        help="run nothing: report what these files have together")
    options = parser.parse_args()
    if options.smoke:
        options.rounds = 1
    place = Path(tempfile.mkdtemp(prefix="weir-bench-batch-", dir=options.directory))
    try:
        bench = Bench(options, place)
        if options.report:
            bench.found = batch_report.together(options.report)
        else:
            if not bench.has_peers:
                print("without DuckDB, polars and pandas: `make bench-batch` installs them")
            bench.all()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    batch_report.report(bench.found, Path(options.out), options.smoke)


if __name__ == "__main__":
    main()
