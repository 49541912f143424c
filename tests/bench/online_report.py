"""The report of online.py: tables, curves, and a BAR line for each figure that there is a bar for."""
import json
import math
import re
import statistics
from pathlib import Path

import curves
from figures import Figures, bar_line, per_s

SIDES = {"get": "weir", "relay-tcp": "relay, tcp", "echo-tcp": "echo, tcp", "relay-ipc": "relay, ipc",
         "echo-ipc": "echo, ipc", "redis": "Redis"}
MIB = 2**20


def together(paths):
    """Of several files of results; of a figure that several have, the last one's."""
    found = {"machine": "", "figures": {}}
    for path in paths:
        more = json.loads(Path(path).read_text())
        found = {"machine": more["machine"], "figures": found["figures"] | more["figures"]}
    return found


def named(figures, pattern):
    """The groups of all figures whose names match, in order of numbers."""
    found = {tuple(int(group) for group in match.groups()) for match in
             (re.fullmatch(pattern, name) for name in figures.values) if match}
    return sorted(found)


def cases(figures):
    """(keys, features) of the queries."""
    return sorted(named(figures, r"(\d+)x(\d+)_get_p50_us"), key=lambda case: (case[1], case[0]))


def clients(figures, case):
    return [count for count, in named(figures, case + r"_get_c(\d+)_per_s")]


def pair(figures, name, digits=0, end="us"):
    """p50 and p99."""
    return " / ".join(f"{figures.median(f'{name}_{at}_{end}'):.{digits}f}" for at in ("p50", "p99"))


# ---- tables ----

def ingest(figures):
    sizes = named(figures, r"(\d+)x(\d+)_ingest_per_s")
    if not sizes:
        return
    yield ("| events a batch | batches in flight | events/s | … for a second of CPU time | acknowledged in, "
           "p50 / p99 ms | raw fdatasync | … p50 / p99 ms | memcpy |")
    yield "|---|---|---|---|---|---|---|---|"
    for rows, in_flight in sizes:
        name = f"{rows}x{in_flight}"
        yield (f"| {rows} | {in_flight} | {per_s(figures.median(f'{name}_ingest_per_s'))} "
               f"| {per_s(figures.median(f'{name}_ingest_per_cpu_s'))} "
               f"| {pair(figures, f'{name}_ack', 2, 'ms')} "
               f"| {per_s(figures.median(f'{name}_fdatasync_per_s'))} "
               f"| {pair(figures, f'{name}_fdatasync', 2, 'ms')} "
               f"| {per_s(figures.median(f'{name}_memcpy_per_s'))} |")
    yield ""


def bytes_of(figures, name):
    value, events = figures.median(name), figures.median("memory_events")
    return (f"{value / MIB:.0f} MiB | {value / events:.1f} | "
            f"{value / figures.median('memory_keys'):.0f} |")


def memory(figures):
    if "memory_events" not in figures:
        return
    yield (f"{figures.median('memory_keys'):,.0f} keys with ten events each, 12 windowed features over "
           "two inputs, in one speed worker:")
    yield ""
    yield "| | in all | bytes an event | bytes a key |"
    yield "|---|---|---|---|"
    yield f"| real-time views, as the worker counts them | {bytes_of(figures, 'memory_views')}"
    yield f"| its resident memory, more than before them | {bytes_of(figures, 'memory_resident')}"
    yield f"| all of its resident memory after a replay | {bytes_of(figures, 'memory_resident_replayed')}"
    yield ""
    yield (f"Replay after kill -9: {per_s(figures.median('replay_per_s'))} by the clock, "
           f"{per_s(figures.median('replay_per_cpu_s'))} for a second of the worker's CPU time.")
    yield ""


def awake(figures, at):
    return figures.ratio(f"awake_1x12_get_{at}_us", f"awake_1x12_relay-tcp_{at}_us")


def queries(figures):
    found = cases(figures)
    if not found:
        return
    others = [side for side in SIDES if side != "get" and f"1x12_{side}_p50_us" in figures]
    yield ("One at a time, p50 / p99 in µs, and × how much weir's is of the relay's over tcp, in the same "
           "slices:")
    yield ""
    yield ("| keys × features | weir | × relay | " + " | ".join(SIDES[side] for side in others) +
           " | reply, bytes |")
    yield "|---|---|---|" + "---|" * len(others) + "---|"
    for keys, features in found:
        case = f"{keys}x{features}"
        ratios = " / ".join(f"{figures.ratio(f'{case}_get_{at}_us', f'{case}_relay-tcp_{at}_us'):.2f}"
                            for at in ("p50", "p99"))
        cells = " | ".join(pair(figures, f"{case}_{side}") for side in others)
        yield (f"| {keys} × {features} | {pair(figures, f'{case}_get')} | {ratios} | {cells} | "
               f"{figures.median(f'{case}_reply_bytes'):.0f} |")
    yield ""
    if "awake_1x12_get_p50_us" in figures:
        ratios = " / ".join(f"{awake(figures, at):.2f}" for at in ("p50", "p99"))
        yield (f"With cores that never sleep, 1 × 12: weir {pair(figures, 'awake_1x12_get')}, relay "
               f"{pair(figures, 'awake_1x12_relay-tcp')}, × {ratios}.")
        yield ""


def throughput(figures):
    for keys, features in cases(figures):
        case = f"{keys}x{features}"
        if not clients(figures, case):
            continue
        yield f"Ever more clients at once, each with one question of {keys} × {features} under way:"
        yield ""
        yield ("| clients | weir | p50 / p99 µs | values/s | … for a second of CPU time | Redis | p50 / p99 µs "
               "| values/s for a second of CPU time | relay, tcp | CPU µs a question: weir, Redis, relay |")
        yield "|---|---|---|---|---|---|---|---|---|---|"
        for count in clients(figures, case):
            ours, redis, relay = (f"{case}_{side}_c{count}" for side in ("get", "redis", "relay-tcp"))
            values = keys * features
            used = ", ".join(f"{figures.median(f'{side}_cpu_us'):.1f}" for side in (ours, redis, relay)
                             if f"{side}_cpu_us" in figures)
            yield (f"| {count} | {per_s(figures.median(f'{ours}_per_s'))} | {pair(figures, ours)} "
                   f"| {per_s(values * figures.median(f'{ours}_per_s'))} "
                   f"| {per_s(values / figures.median(f'{ours}_cpu_us') * 1e6)} "
                   f"| {per_s(figures.median(f'{redis}_per_s'))} | {pair(figures, redis)} "
                   f"| {per_s(values / figures.median(f'{redis}_cpu_us') * 1e6)} "
                   f"| {per_s(figures.median(f'{relay}_per_s'))} | {used} |")
        yield ""


def on_schedule(figures):
    found = [f"{keys}x{features}" for keys, features in cases(figures)
             if f"{keys}x{features}_get_open_p50_us" in figures]
    if not found:
        return
    yield "At random times, whether or not those before are answered, from when each was due, p50 / p99 in µs:"
    yield ""
    yield "| keys × features | weir | relay, tcp | Redis |"
    yield "|---|---|---|---|"
    for case in found:
        cells = " | ".join(pair(figures, f"{case}_{side}_open") for side in ("get", "relay-tcp", "redis"))
        yield f"| {case.replace('x', ' × ')} | {cells} |"
    yield ""


def mixed(figures):
    if "mixed_rest_p99_us" not in figures:
        return
    yield (f"The same of 1 × 12 beside recomputes ({figures.median('first_recompute_s'):.1f} s for the first, "
           f"{per_s(figures.median('first_recompute_per_s'))}; {figures.median('full_recompute_s'):.1f} s for "
           "those of everything that followed), with a stream of events all the time:")
    yield ""
    yield "| while | p50 µs | p99 µs | × at rest | longest, ms |"
    yield "|---|---|---|---|---|"
    for phase, what in (("rest", "nothing else goes on"), ("recompute", "a recompute runs"),
                        ("publish", "… is published and trimmed")):
        name = f"mixed_{phase}"
        yield (f"| {what} | {figures.median(f'{name}_p50_us'):.0f} | {figures.median(f'{name}_p99_us'):.0f} "
               f"| {figures.ratio(f'{name}_p99_us', 'mixed_rest_p99_us'):.2f} "
               f"| {max(figures.values[f'{name}_max_us']) / 1e3:.1f} |")
    yield ""


def troubles(figures):
    """What would make figures mean something else: answers that lack something, or were refused."""
    refused = sum(sum(values) for name, values in figures.values.items() if name.endswith("_refused")
                  and not name.startswith("serving_"))
    counts = {"incomplete": "answers were incomplete", "slow_keys": "keys were answered from history"}
    found = [f"{sum(figures.values[f'serving_{name}']):,.0f} {what}" for name, what in counts.items()
             if sum(figures.values.get(f"serving_{name}", [0])) > 0]
    if refused > 0:
        found.append(f"{refused:,.0f} questions were refused for want of room, and are in no latency")
    if found:
        yield f"**Other than meant: {'; '.join(found)}.**"
        yield ""


def others(figures):
    if "load_per_s" in figures:
        yield f"CSV, `weir load` until visible: {per_s(figures.median('load_per_s'))} rows."
        yield ""
    if "compared_values" in figures:
        yield (f"{sum(figures.values['compared_values']):,.0f} values of weir and Redis were compared after "
               f"that, {sum(figures.values['compared_nulls']):,.0f} of them null, and equal to the bit.")
        yield ""


# ---- curves ----

def draw_queries(figures, out):
    for features in sorted({features for _, features in cases(figures)}):
        series = {}
        for keys in (keys for keys, of in cases(figures) if of == features):
            for side in SIDES:
                for at in ("p50", "p99"):
                    name = f"{keys}x{features}_{side}_{at}_us"
                    if name in figures and (at == "p50" or side in ("get", "redis")):
                        series.setdefault(f"{SIDES[side]}, {at}", []).append(
                            (keys, figures.median(name)))
        if any(len(points) > 1 for points in series.values()):
            curves.chart(out / f"online-query-{features}.svg", f"µs of a query of {features} features", "keys",
                         series, log_y=True)


def draw_clients(figures, out):
    for keys, features in cases(figures):
        case = f"{keys}x{features}"
        counts = clients(figures, case)
        if len(counts) > 1:
            series = {SIDES[side]: [(count, figures.median(f"{case}_{side}_c{count}_per_s"))
                                    for count in counts] for side in ("get", "redis", "relay-tcp")
                      if f"{case}_{side}_c{counts[0]}_per_s" in figures}
            curves.chart(out / f"online-clients-{case}.svg", f"queries of {keys} × {features} a second",
                         "clients", series, log_y=True)


def draw_ingest(figures, out):
    series = {}
    for rows, in_flight in named(figures, r"(\d+)x(\d+)_ingest_per_s"):
        for what, name in (("ingest", "weir"), ("fdatasync", "raw fdatasync"), ("memcpy", "memcpy")):
            if in_flight > 1:
                series.setdefault(name, []).append(
                    (rows, figures.median(f"{rows}x{in_flight}_{what}_per_s")))
    if series:
        curves.chart(out / "online-ingest.svg", "events a second", "events a batch", series, log_y=True)


def percentiles(path):
    """[(1 in how many are slower, µs)] of a histogram's text."""
    found = []
    for line in path.read_text().splitlines()[2:]:
        cells = line.split()
        if len(cells) == 4 and not line.startswith("#"):
            found.append((float(cells[3]), float(cells[0])))
    return found


def draw_percentiles(out):
    for name, title, files in (
            ("tail-query", "µs of a query of 1 × 12, on schedule",
             {"weir": "query-1x12-open-get", "relay, tcp": "query-1x12-open-relay-tcp",
              "Redis": "query-1x12-open-redis"}),
            ("tail-mixed", "µs of a query of 1 × 12, on schedule",
             {"at rest": "mixed-rest", "recompute": "mixed-recompute",
              "publish and trim": "mixed-publish"}),
            ("tail-ack", "µs until a batch of 500 is acknowledged",
             {"weir, one in flight": "ingest-500x1-ack", "raw fdatasync": "ingest-500x1-fdatasync"})):
        series = {side: percentiles(out / f"{file}.hgrm") for side, file in files.items()
                  if (out / f"{file}.hgrm").exists()}
        series = {side: points for side, points in series.items() if len(points) > 1}
        if series:
            curves.chart(out / f"online-{name}.svg", title, "one in so many takes longer", series, log_y=True,
                         dots=False)


# ---- bars ----

def per_doubling(ratio, times):
    """What one doubling costs of something that became `times` as much."""
    return ratio ** (1 / math.log2(times))


def doublings(figures, name, over, under, times):
    """Rounds' ratios, as what one doubling costs."""
    return statistics.median(per_doubling(a / b, times) for a, b in
                             zip(figures.values[name.format(over)], figures.values[name.format(under)]))


def bars_of_doubling(figures):
    keys = {features: [keys for keys, of in cases(figures) if of == features]
            for features in sorted({features for _, features in cases(figures)})}
    costs = [doublings(figures, f"{{}}x{features}_get_p50_us", more, less, more / less)
             for features, counts in keys.items() for less, more in zip(counts, counts[1:])]
    if costs:
        yield bar_line("double_keys", max(costs), 2, True)
    costs = [doublings(figures, f"{count}x{{}}_get_p50_us", 60, 12, 5) for count in keys.get(60, [])
             if count in keys.get(12, [])]
    if costs:
        yield bar_line("double_features", max(costs), 2, True)
    # what twice as many clients take for a question each: 5 % are what the measurement errs
    costs = [2 / doublings(figures, f"{case}_get_c{{}}_per_s", more, less, 2)
             for case in (f"{keys}x{features}" for keys, features in cases(figures))
             for less, more in zip(clients(figures, case), clients(figures, case)[1:])]
    if costs:
        yield bar_line("double_clients", max(costs), 2.1, True)


def bars(figures):
    if "500x16_ingest_per_s" in figures:
        yield bar_line("ingest_300k", figures.median("500x16_ingest_per_s") / 300e3, 1, False)
        yield bar_line("ingest_300k_core", figures.median("500x16_ingest_per_cpu_s") / 300e3, 1, False)
    if "replay_per_cpu_s" in figures:
        yield bar_line("replay_1500k", figures.median("replay_per_cpu_s") / 1500e3, 1, False)
    if "1x12_get_p50_us" in figures:
        for at in ("p50", "p99"):
            yield bar_line(f"query_1x12_{at}", figures.ratio(f"1x12_get_{at}_us",
                                                             f"1x12_relay-tcp_{at}_us"), 1.2, True)
        for at in ("p50", "p99") if "awake_1x12_get_p50_us" in figures else ():
            yield bar_line(f"query_1x12_{at}_awake", awake(figures, at), 1.2, True)
        yield bar_line("query_1x12_p99_1ms", figures.median("1x12_get_p99_us") / 1000, 1, True)
    counts = clients(figures, "100x12")
    if counts and "100x12_redis_c1_cpu_us" in figures:
        # with as many clients as weir answers most; what a value costs each side there
        most = max(counts, key=lambda count: figures.median(f"100x12_get_c{count}_per_s"))
        yield bar_line("query_100x12_redis", figures.ratio(f"100x12_redis_c{most}_cpu_us",
                                                           f"100x12_get_c{most}_cpu_us"), 2, False)
    yield from bars_of_doubling(figures)
    for phase in ("recompute", "publish"):
        if f"mixed_{phase}_p99_us" in figures:
            yield bar_line(f"{phase}_p99_2x", figures.ratio(f"mixed_{phase}_p99_us",
                                                            "mixed_rest_p99_us"), 2, True)
    if "memory_resident" in figures:
        yield bar_line("memory_1M_keys_1GiB", figures.median("memory_resident") / 2**30, 1, True)


def report(found, out, smoke):
    figures = Figures(found["figures"])
    lines = [found["machine"], ""]
    for part in (ingest, memory, queries, throughput, on_schedule, mixed, troubles, others):
        lines += part(figures)
    if smoke:
        lines.append("too small to compare with the bars: `make bench-online` does")
    else:
        lines += ["```", *bars(figures), "```"]
    for old in out.glob("online-*.svg"):
        old.unlink()
    draw_queries(figures, out)
    draw_clients(figures, out)
    draw_ingest(figures, out)
    draw_percentiles(out)
    drawn = sorted(path.name for path in out.glob("online-*.svg"))
    (out / "report.md").write_text("\n".join(
        lines + [""] + [f"![{name[len('online-'):-len('.svg')]}]({name})\n" for name in drawn]))
    print("\n".join(line for line in lines if line != "```"))
