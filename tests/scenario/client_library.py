"""The C library as users get it: installed, found by pkg-config, and its examples run against a cluster."""

import os
import re
import subprocess
from pathlib import Path

from cluster import SLOWER, Cluster, expect, expect_equal, skip, wait_for
from definitions import PAYMENTS

TIME_LIMIT = 240

ROOT = Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("VARIANT", "release")
if VARIANT not in ("release", "debug", "coverage"):
    skip(f"programs of others do not link a library with sanitizers ({VARIANT})")

DEFINITIONS = PAYMENTS + """
views:
  user_spend:
    from: payments
    key: user_id
    features:
      txn_count: count() over 1h, lifetime
      spend: sum(amount) over lifetime
      largest: max(amount)
      by_payment: count() by payment_id over 1h
      last_payments: last_k(payment_id, 2)
      last_seen: last(ts)
    derived:
      share: spend_lifetime / txn_count_lifetime
"""


def command(*words, code=0, **more):
    run = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120 * SLOWER, **more)
    expect_equal(run.returncode, code, f"{words}\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr


cluster = Cluster({"payments.yaml": DEFINITIONS}, speed_workers=2)
image, programs = cluster.directory / "image", cluster.directory / "programs"
programs.mkdir()
make = ("make", "-C", ROOT, f"VARIANT={VARIANT}", "--no-print-directory", "PREFIX=/usr", f"DESTDIR={image}")
quiet = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
command(*make, "install", env=quiet)

# What is installed: the programs say what they are for, and nothing but weir_* is anybody's.
for name in ("weir", "weir-coordinator", "weir-batch-worker", "weir-speed-worker", "weir-serving"):
    expect("xample" in command(image / "usr/bin" / name, "--help"), name, "--help")
library = image / "usr/lib/libweir.so.0"
for arguments, file in ((("-D",), library), (("--extern-only",), image / "usr/lib/libweir.a")):
    listed = command("nm", "--defined-only", *arguments, file)
    names = re.findall(r" [A-Z] (\w+)", listed)
    strange = [name for name in names if not name.startswith("weir_") and name != "WEIR_0"]
    expect(len(names) > 25 and not strange, file, strange)
declared = set(re.findall(r"^WEIR_API [^;]*?(weir_\w+) \(", (image / "usr/include/weir.h").read_text(), re.M))
expect_equal(set(re.findall(r" T (weir_\w+)", command("nm", "-D", "--defined-only", library))), declared,
             "what is exported and what the header declares")
expect_equal(set(re.findall(r"SONAME.*\[(.*)\]", command("readelf", "-d", library))), {"libweir.so.0"})

# The examples, built as their Makefile says with what pkg-config finds, and the header as C and as C++.
found = dict(quiet, PKG_CONFIG_PATH=str(image / "usr/lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(image))
command("make", "-C", ROOT / "examples/c", f"OUT={programs}", "CFLAGS=-O1 -Wall -Wextra -Wpedantic -Werror",
        "CXXFLAGS=-O1 -Wall -Wextra -Wpedantic -Werror", env=found)
alone = cluster.directory / "alone.c"
alone.write_text("#include <weir.h>\nint main (void) { return weir_version ()[0] == 0; }\n")
flags = command("pkg-config", "--cflags", "--libs", "weir", env=found).split()
for compiler in (("cc", "-std=c11"), ("cc", "-std=c17", "-Wconversion", "-Wshadow", "-Wstrict-prototypes"),
                 ("c++", "-std=c++11", "-x", "c++"), ("c++", "-std=c++20", "-x", "c++")):
    command(*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", programs / "alone", alone, "-x", "none",
            *flags)
# What it uses, and not what those are made of, which who links them as shared libraries need not have.
static = command("pkg-config", "--static", "--libs-only-l", "weir", env=found).split()
expect_equal(set(static), {"-lweir", "-lzmq", "-lyaml", "-lmsgpackc"})
command("cc", "-std=c11", "-o", programs / "alone-static", alone, "-x", "none", *flags[:1],
        image / "usr/lib/libweir.a", *[flag for flag in static if flag != "-lweir"])
command(programs / "alone-static")

environment = dict(os.environ, LD_LIBRARY_PATH=str(image / "usr/lib"))
project = cluster.directory


def example(name, *words, code=0):
    return command(programs / name, *words, code=code, env=environment)


expect(re.search(r"weir \d.*: invalid: a get names a view", example("plain", project)), "plain.cc")
expect("cannot reach a serving node" in example("get", project, "user_spend", "user_id", "u1", code=1),
       "a cluster that is not up")

cluster.start()

# Rows, waited for: the bad ones are told, the good ones visible at once, up to the positions that were told.
out = example("send", project, "payments", 1000)
expect("1000 rows: 990 accepted, 10 refused" in out, out)
expect(re.search(r"^row \d*99: .*user_id", out, re.M), out)
told = {int(p): int(n) for p, n in re.findall(r"^payments/user_id/(\d+) is at (\d+)$", out, re.M)}
expect(told, out)
out = example("get", project, "user_spend", "user_id", "u1")
expect("txn_count_lifetime = 100\n" in out and "txn_count_1h = 100\n" in out, out)
amounts = [0.5 * (i % 7) for i in range(1000) if i % 10 == 1]
expect(f"spend_lifetime = {sum(amounts):g}\n" in out, out)
expect("largest = 3\n" in out and f"share = {sum(amounts) / 100:.17g}\n" in out, out)
expect("last_payments = [" in out and "by_payment_1h = {" in out and re.search(r"last_seen = \d{16} us", out), out)
[(partition, position)] = re.findall(r"every event of payments/user_id/(\d+) below (\d+) is in it", out)
expect_equal(int(position) >= told[int(partition)], True, "the answer has what was acknowledged")

# The same answer as the weir command's.
answer = cluster.done("get", "user_spend", "user_id=u1", "--json").objects()[0]
expect_equal(answer["features"]["spend_lifetime"], sum(amounts), "weir get")

# Queries that are refused say why.
expect("not-found: " in example("get", project, "no_such_view", "user_id", "u1", code=1), "no such view")
expect("not-found: " in example("get", project, "user_spend", "nothing", "u1", code=1), "no such key")

# Rows and gets together from one event loop, while an owner is killed and started again.
def counted():
    run = cluster.weir("get", "user_spend:txn_count_lifetime", "user_id=u1", "--json")
    return run.objects()[0]["features"]["txn_count_lifetime"] if run.code == 0 else 0


ROWS = 40_000
loop = subprocess.Popen([str(programs / "async"), str(project), "payments", "user_spend", "user_id", str(ROWS)],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
wait_for(lambda: counted() > 150, 30, "it gets on")
cluster["speed-worker-1"].kill()
expect(loop.poll() is None, "it was over before the owner was killed: the scenario shows nothing")
cluster["speed-worker-1"].start()
out, _ = loop.communicate(timeout=120 * SLOWER)
expect_equal(loop.returncode, 0, out)
rows, refused, answers, failed = map(int, re.search(
    r"(\d+) rows acknowledged, (\d+) refused; (\d+) answers, (\d+) failed", out).groups())
expect_equal((rows, refused, failed), (ROWS, 0, 0), out)
expect(answers >= ROWS // 10 - 1, out)
wait_for(lambda: counted() == 100 + ROWS // 10, 30, "all that was acknowledged is there, once")
cluster.stop()

command(*make, "uninstall", env=quiet)
expect_equal([path for path in image.rglob("*") if not path.is_dir()], [], "what uninstall leaves")
