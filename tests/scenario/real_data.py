"""Answers about real data held against tests/oracle, for flights.py and taxi.py."""
import csv
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from cluster import BIN, SLOWER, expect, expect_equal

EXAMPLES = Path(__file__).parents[2] / "examples"


def rfc3339(us):
    return datetime.fromtimestamp(us // 1_000_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + \
        f".{us % 1_000_000:06}Z"


def definitions(example):
    """The example's own definition files."""
    return {p.name: p.read_text() for p in (EXAMPLES / example / "features").glob("*.yaml")}


class View:
    """A view as the oracle needs it told: `fields` and features in the words of weir-oracle."""

    def __init__(self, name, fields, key, time, features, where=None):
        self.name, self.fields, self.key, self.time = name, fields, key, time
        self.features, self.where = features, where

    def expected(self, events, questions):
        """The features of each (key, as-of) over the events in a file."""
        with open("questions.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.key + ["as_of"])
            writer.writerows([*key, rfc3339(as_of)] for key, as_of in questions)
        command = [BIN / "weir-oracle", "--fields", self.fields, "--key", ",".join(self.key),
                   "--time", self.time, "--events", events, "--queries", "questions.csv",
                   "--as-of", "as_of"]
        command += ["--where", self.where] if self.where else []
        run = subprocess.run(command + [f"{n}: {text}" for n, text in self.features.items()],
                             stdout=subprocess.PIPE, text=True, check=True)
        return [json.loads(line)["features"] for line in run.stdout.splitlines()]

    def check(self, client, questions, wanted, when):
        """Asks all the questions, and compares with ==."""
        expect_equal(len(wanted), len(questions), "answers of the oracle")
        for at in range(0, len(questions), 100):
            some = questions[at:at + 100]
            reply = client.ask("get", {
                "view": self.name, "keys": [dict(zip(self.key, key)) for key, _ in some],
                "as_ofs": [as_of for _, as_of in some], "deadline_ms": 60000}, 90 * SLOWER)
            names = reply["features"]
            expect_equal(sorted(names), sorted(self.features), "features of the view")
            times = [t == "timestamp" for t in reply["types"]]
            for (key, as_of), result, features in zip(some, reply["results"], wanted[at:]):
                where = f"{when}: {self.name} of {key} at {rfc3339(as_of)}"
                expect(result["complete"] and "errors" not in result, where, result)
                expect_equal(result["as_of"], as_of, where)
                for name, value, is_time in zip(names, result["values"], times):
                    value = rfc3339(value) if is_time and value is not None else value
                    expect_equal(value, features[name], f"{where}: {name}")
