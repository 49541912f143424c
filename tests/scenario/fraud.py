"""examples/fraud from end to end: raw payments, training sets, a model, and live payments whose rows equal training's by ==."""
import os
import re
import subprocess
from pathlib import Path

from cluster import BIN, expect

TIME_LIMIT = 300

port = os.environ.get("WEIR_SCENARIO_PORT", "17600")
run = subprocess.run(["/usr/bin/python3", Path(__file__).parents[2] / "examples/fraud/run", BIN, "fraud", "1000"], text=True,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "FRAUD_BASE_PORT": port})
print(run.stdout)
expect(run.returncode == 0, "status", run.returncode)
expect("1,000 rows x 17 features: what was scored live == what training gets" in run.stdout, "rows were not compared")
expect(re.search(r"^fraud_model@v2 +active .* auc=0\.\d+, model=model\.pkl, .*training_set=train\.csv", run.stdout, re.MULTILINE),
       "the version says what its model is and how good")
scores = [float(score) for score in re.findall(r"AUC (0\.\d+)", run.stdout)]
expect(len(scores) == 2 and min(scores) > 0.9, "the model does not tell fraud:", scores)
