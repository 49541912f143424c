"""The report of batch.py: a table, curves, and a BAR line for each figure that there is a bar for."""
import json
import statistics
from pathlib import Path

import curves

BAR_CASE = "20M:1M:uniform"
SLOPE = ["1M:50k:uniform", "10M:500k:uniform", "100M:5M:uniform"]
HOT = {"10M:500k:hot": "hot_key", "100M:5M:hot": "hot_key_50M"}
WORKERS = "10M:500k:uniform"
MIB = 2**20


def together(paths):
    """Of several files of results; of a case that several have, the last one's."""
    found = {"machine": "", "cases": {}}
    for path in paths:
        more = json.loads(Path(path).read_text())
        found = {"machine": more["machine"], "cases": found["cases"] | more["cases"]}
    return found


def median(rounds, figure="wall_s"):
    return statistics.median(told[figure] for told in rounds)


def ratio(over, under, figure="wall_s"):
    """The median of the rounds' ratios."""
    return statistics.median(a[figure] / b[figure] for a, b in zip(over, under))


# ---- the table ----

def size(count):
    return f"{count / MIB:.0f}"


def table(found):
    yield ("| events : keys | what | M events/s | wall s | CPU s | ns CPU an event | … in the kernel | "
           "peak MiB | read MiB | written MiB |")
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for case, of in found["cases"].items():
        for what, rounds in of["figures"].items():
            wall, cpu = median(rounds), median(rounds, "cpu_s")
            kernel = f"{median(rounds, 'kernel_s') / of['events'] * 1e9:.0f}" if "kernel_s" in rounds[0] else ""
            yield (f"| {case} | {what} | {of['events'] / wall / 1e6:.2f} | {wall:.2f} | {cpu:.2f} | "
                   f"{cpu / of['events'] * 1e9:.0f} | {kernel} | {size(median(rounds, 'peak_bytes'))} | "
                   f"{size(median(rounds, 'read_bytes'))} | "
                   f"{size(median(rounds, 'written_bytes'))} |")


def ratios(found):
    yield "| events : keys | DuckDB / recompute | … CPU | DuckDB / first | … CPU | sorted / recompute |"
    yield "|---|---|---|---|---|---|"
    for case, of in found["cases"].items():
        figures = of["figures"]
        if "duckdb" not in figures:
            continue
        duck, sort = figures["duckdb"], figures["duckdb sorted"]
        recompute, first = figures["weir recompute"], figures["weir first"]
        yield (f"| {case} | × {ratio(duck, recompute):.2f} | × {ratio(duck, recompute, 'cpu_s'):.2f} "
               f"| × {ratio(duck, first):.2f} | × {ratio(duck, first, 'cpu_s'):.2f} "
               f"| × {ratio(sort, recompute):.2f} |")


def parquet(of):
    """Bytes of the smallest of the Parquet files, and which."""
    sizes = {name: count for name, count in of["loaded"]["sizes"].items()
             if name.startswith("parquet")}
    name = min(sizes, key=sizes.get)
    return sizes[name], name.replace("parquet_", "").replace("_", ", ")


def disk(found):
    yield ("| events : keys | history | in runs | batch views | Parquet + zstd | … sorted | "
           "DuckDB | … sorted |")
    yield "|---|---|---|---|---|---|---|---|"
    for case, of in found["cases"].items():
        first, events = of["figures"]["weir first"][-1], of["events"]
        cells = [f"{first['run_bytes'] / events:.2f}", str(first["runs"]),
                 f"{first['view_bytes'] / events:.2f}"]
        if "loaded" in of:
            sizes = of["loaded"]["sizes"]
            for order in ("arrived", "sorted"):
                cells.append(f"{min(sizes[f'parquet_{order}_{v}'] for v in ('V1', 'V2')) / events:.2f}")
            cells += [f"{sizes[order] / events:.2f}" for order in ("arrived", "sorted")]
        else:
            cells += ["", "", "", ""]
        yield f"| {case} | {' | '.join(cells)} |"


def compared(found):
    for case, of in found["cases"].items():
        line = (f"- {case} (load {of['load']:.0f}): {of['exact_values']:,} values equal to the bit "
                "to exact arithmetic")
        if "compared" in of:
            told = of["compared"]
            line += (f"; {told['values']:,} values of {told['keys']:,} keys beside DuckDB's, "
                     f"{told['equal']:,} equal, the others sums at most {told['furthest_ulp']:.0f} "
                     f"ulp apart and deviations by {told['furthest_spread']:.0e} of themselves")
        yield line


def deltas_of(found):
    return next((of["deltas"] for of in found["cases"].values() if "deltas" in of), None)


def delta_ratio(told, figure, base="base"):
    """What a delta of a hundredth costs of a base: the one measured is a little more."""
    return statistics.median(delta / of_base / (100 * part) for delta, of_base, part in
                             zip(told[f"delta_{figure}"], told[f"{base}_{figure}"],
                                 told["new_part"]))


def deltas(told):
    cpu = {name: statistics.median(told[f"{name}_cpu_s"]) for name in
           ("delta", "base", "base_sorted")}
    yield (f"A delta of {told['new_part'][-1]:.2%} new events takes {cpu['delta'] * 1e3:.1f} ms of "
           f"CPU, a base with them {cpu['base'] * 1e3:.0f} ms, one of sorted runs alone "
           f"{cpu['base_sorted'] * 1e3:.0f} ms; for a hundredth × {delta_ratio(told, 'cpu_s'):.4f}, by "
           f"the clock × {delta_ratio(told, 'wall_s'):.4f}.")
    yield (f"An answer of 12 features from a lone base takes "
           f"{statistics.median(told['answer_base_ns']):.0f} ns of CPU, from a base and eight deltas "
           f"{statistics.median(told['answer_8_deltas_ns']):.0f} ns.")


def training(found):
    yield ("| events : keys | side | wall s | CPU s | ns CPU a row | peak MiB | exact values | beside DuckDB |")
    yield "|---|---|---|---|---|---|---|---|"
    for case, of in found.get("training", {}).items():
        for side, rounds in of["figures"].items():
            cpu = median(rounds, "cpu_s")
            told = of.get("compared")
            equal = f"{told['equal']:,} of {told['values']:,} equal" if told else ""
            yield (f"| {case} | {side} | {median(rounds):.2f} | {cpu:.2f} | "
                   f"{cpu / of['events'] * 1e9:.0f} | {size(median(rounds, 'peak_bytes'))} | "
                   f"{of['exact_values']:,} | {equal} |")


def wide(found):
    """Views of ever more features: what of them an event and a key cost."""
    for case, of in found["cases"].items():
        for features, rounds in of.get("wide", {}).items():
            def middle(start, figure):
                return statistics.median(told[start][figure] for told in rounds)
            per = of["events"]
            yield (f"| {case} | {features} | {middle('log', 'cpu_s') / per * 1e9:.0f} | "
                   f"{middle('runs', 'cpu_s') / per * 1e9:.0f} | "
                   f"{middle('runs', 'view_bytes') / per:.1f} | "
                   f"{middle('runs', 'view_bytes') / of['keys']:.0f} |")


# ---- curves ----

def draw(found, out):
    """Of uniform keys: by how many keys there are. Of 20 events a key: all sides."""
    for figure, unit, title, name in (
            ("wall_s", 1e-9, "ns an event", "time"), ("cpu_s", 1e-9, "ns of CPU an event", "cpu"),
            ("peak_bytes", MIB, "peak memory, MiB", "memory")):
        series, slope = {}, {}
        for case, of in found["cases"].items():
            if case == "flights":
                continue
            _, keys, shape = case.split(":")
            for what, rounds in of["figures"].items():
                value = median(rounds, figure) / unit / (1 if unit == MIB else of["events"])
                if what in ("weir recompute", "weir first", "duckdb") and shape == "uniform":
                    series.setdefault(f"{what}, {keys} keys", []).append((of["events"], value))
                if case in SLOPE and " x " not in what:
                    slope.setdefault(what, []).append((of["events"], value))
        series = {line: points for line, points in series.items() if len(points) > 1}
        if series:
            curves.chart(out / f"{name}-by-keys.svg", title, "events", series)
        if any(len(points) > 1 for points in slope.values()):
            curves.chart(out / f"{name}.svg", f"{title} (20 events a key)", "events", slope)


# ---- bars ----

def bar(name, value, limit, is_at_most):
    good = value <= limit if is_at_most else value >= limit
    print(f"BAR {name} ratio={value:.2f} bar={limit:g} {'ok' if good else 'short'}")


def bars_beside_duckdb(of, end=""):
    figures = of["figures"]
    bar(f"recompute_3x_duckdb{end}", ratio(figures["duckdb"], figures["weir recompute"]), 3, False)
    bar(f"first_recompute_duckdb{end}", ratio(figures["duckdb"], figures["weir first"]), 1, False)
    bar(f"history_parquet_zstd{end}", figures["weir first"][-1]["run_bytes"] / parquet(of)[0], 1, True)


def bars_of_slope(found):
    cases = [found["cases"][case] for case in SLOPE if case in found["cases"]]
    if len(cases) < 2:
        return
    for what, name in (("weir recompute", "recompute"), ("weir first", "first_recompute")):
        costs = [median(of["figures"][what], "cpu_s") / of["events"] for of in cases]
        span = f"{cases[0]['events'] // 10**6}M_{cases[-1]['events'] // 10**6}M"
        bar(f"{name}_slope_{span}", costs[-1] / costs[0], 1.15, True)
        peak = max(median(of["figures"][what], "peak_bytes") for of in cases)
        bar(f"{name}_peak_512MiB", peak / (512 * MIB), 1, True)


def bars_of_hot_key(found):
    for case, end in HOT.items():
        told = found["cases"].get(case, {}).get("in_turn", {})
        for start, name in (("runs", "recompute"), ("log", "first_recompute")):
            if start in told:
                bar(f"{name}_{end}", statistics.median(hot / even for hot, even in told[start]), 1, True)


TRAINING_CASE = "2M:100k:uniform"


def bars_of_training(case, figures):
    if "duckdb" in figures:
        end = "" if case == TRAINING_CASE else "_" + case.replace(":", "_")
        bar(f"training_3x_duckdb{end}", ratio(figures["duckdb"], figures["weir"]), 3, False)
        bar(f"training_3x_duckdb_cpu{end}", ratio(figures["duckdb"], figures["weir"], "cpu_s"), 3,
            False)


def bars_of_deltas(told):
    ratio_of = delta_ratio(told, "cpu_s")
    print(f"BAR delta_1pct ratio={ratio_of:.4f} bar=0.03 {'ok' if ratio_of < 0.03 else 'short'}")
    bar("answer_8_deltas", statistics.median(
        many / one for many, one in zip(told["answer_8_deltas_ns"], told["answer_base_ns"])), 2, True)


def bars_of_workers(found):
    figures = found["cases"].get(WORKERS, {}).get("figures", {})
    for start, name in (("runs", "recompute"), ("log", "first_recompute")):
        if f"2 x 1, from {start}" in figures:
            bar(f"{name}_two_workers", ratio(figures[f"1 x 1, from {start}"],
                                             figures[f"2 x 1, from {start}"]), 1.8, False)


def report(found, out, smoke):
    lines = [found["machine"], "", *table(found), ""]
    if any("duckdb" in of["figures"] for of in found["cases"].values()):
        lines += [*ratios(found), ""]
    lines += ["Bytes an event:", "", *disk(found), "", *compared(found)]
    told = deltas_of(found)
    if told:
        lines += ["", *deltas(told)]
    rows = list(wide(found))
    if rows:
        lines += ["", "| events : keys | features | first, ns of CPU an event | recompute | view, "
                  "bytes an event | a key |", "|---|---|---|---|---|---|", *rows]
    if "training" in found:
        lines += ["", "Training sets, a count and a sum over 7 days of each row:", "", *training(found)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    draw(found, out)
    if smoke:
        print("too small to compare with the bars: `make bench-batch` does")
        return
    for case, end in ((BAR_CASE, ""), ("flights", "_flights")):
        of = found["cases"].get(case)
        if of and "duckdb" in of["figures"]:
            bars_beside_duckdb(of, end)
    for case, of in found.get("training", {}).items():
        bars_of_training(case, of["figures"])
    bars_of_slope(found)
    bars_of_hot_key(found)
    bars_of_workers(found)
    if told:
        bars_of_deltas(told)
