"""The commands of README.md do what it says: its blocks of `sh`, one after the other."""
import os
import re
import socket
import subprocess
from pathlib import Path

from cluster import BIN, expect, skip

TIME_LIMIT = 150

text = (Path(__file__).parents[2] / "README.md").read_text()
blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
expect(blocks, "README.md has no block of sh")
for port in (7600, 7601, 7611, 7612):  # a project that was just made listens there
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            skip(f"port {port} is in use")

# It is built already, and may be another variant than the one of which README.md speaks.
Path("build/release").mkdir(parents=True)
Path("build/release/bin").symlink_to(BIN)
script = "make () { :; }\nset -e\nset -x\n" + "".join(blocks)
run = subprocess.run(["bash", "-c", script], text=True, stdout=subprocess.PIPE,
                     stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=dict(os.environ))
print(run.stdout)
if run.returncode != 0:
    for project in Path.cwd().glob("*/weir.yaml"):
        subprocess.run([BIN / "weir", "-C", project.parent, "down"], check=False)
expect(run.returncode == 0, "status", run.returncode)
expect("txn_count" in run.stdout, "no features were shown")
