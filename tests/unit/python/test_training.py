"""Training sets: what the command is told, and what comes back of what it wrote."""
import json
import os
import stat
import tempfile
import unittest
from datetime import datetime, timezone
from pathlib import Path

import weir

COMMAND = """#!/usr/bin/python3
import json, sys
words = sys.argv[1:]
of = lambda name: words[words.index(name) + 1]
if words[3] == "none":
    sys.stderr.write("weir training-set: there is no view or service 'none'\\n")
    sys.exit(1)
if words[3] == "keyless":
    sys.stderr.write("weir training-set: " + of("--spine") + " has no column k, a field of the key\\n")
    sys.exit(1)
sys.stderr.write("reading the spine: half of it\\n")
if words[3] == "late":
    sys.stderr.write("weir training-set: the disk is full\\n")
    sys.exit(1)
rows = [json.loads(line) for line in open(of("--spine"))]
with open(of("--out"), "w") as out:
    for number, row in enumerate(rows):
        out.write(json.dumps({**row, "n": number, "f": "NaN" if number else 0.5, "at": "2026-01-02T03:04:05.000006Z", "d": "1.50",
                              "m": {"7": [1, 2]}, "l": None}) + "\\n")
json.dump({"words": words, "features": [{"name": "n", "type": "int64"}, {"name": "f", "type": "float64"}, {"name": "at", "type": "timestamp"},
           {"name": "d", "type": "decimal(38,2)"}, {"name": "m", "type": "map<int64,list<int64>>"}, {"name": "l", "type": "list<string>"}]},
          open(of("--out") + ".weir.json", "w"))
"""


class TrainingSets(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.command = Path(self.directory.name) / "weir"
        self.command.write_text(COMMAND)
        os.chmod(self.command, stat.S_IRWXU)

    def tearDown(self):
        self.directory.cleanup()

    def make(self, spine, **more):
        return weir.training_set("model", spine, "ts", project="there", command=self.command, **more)

    def test_values_come_back_as_their_types(self):
        at = datetime(2026, 1, 2, tzinfo=timezone.utc)
        made = self.make([{"k": "a", "ts": at}, {"k": None, "ts": at, "label": 1}])
        columns = made.to_dict()
        self.assertEqual(columns["k"], ["a", None])
        self.assertEqual(columns["label"], [None, 1])
        self.assertEqual(columns["n"], [0, 1])
        self.assertEqual(columns["f"][0], 0.5)
        self.assertNotEqual(columns["f"][1], columns["f"][1])  # NaN
        self.assertEqual(columns["at"][0], datetime(2026, 1, 2, 3, 4, 5, 6, timezone.utc))
        self.assertEqual(str(columns["d"][0]), "1.50")
        self.assertEqual(columns["m"][0], {7: [1, 2]})
        self.assertEqual(columns["l"], [None, None])
        self.assertEqual(len(made), 2)
        self.assertEqual(made.types["m"], "map<int64,list<int64>>")

    def test_a_version_and_options_are_handed_on(self):
        first = self.make([{"k": "a", "ts": 1}], known_at="by", before=True, raw=True, prefix="f_", on_error="skip")
        for words in (["--known-at", "by"], ["--before"], ["--raw"], ["--prefix", "f_"], ["--on-error", "skip"], ["-C", "there"]):
            at = first.manifest["words"].index(words[0])
            self.assertEqual(first.manifest["words"][at:at + len(words)], words)
        again = self.make([{"k": "a", "ts": 1}], version=first)
        self.assertIn("--version", again.manifest["words"])

    def test_rows_that_were_given_are_not_called_a_file(self):
        with self.assertRaises(weir.Error) as caught:
            weir.training_set("keyless", [{"q": "a", "ts": 1}], "ts", command=self.command)
        self.assertEqual(caught.exception.text, "the spine has no column k, a field of the key")
        path = os.path.join(self.directory.name, "labels.csv")
        with self.assertRaises(weir.Error) as caught:
            weir.training_set("keyless", path, "ts", command=self.command)
        self.assertEqual(caught.exception.text, path + " has no column k, a field of the key")

    def test_what_the_command_says_is_the_error(self):
        with self.assertRaises(weir.Error) as caught:
            weir.training_set("none", [{"k": "a", "ts": 1}], "ts", command=self.command)
        self.assertEqual((caught.exception.kind, caught.exception.text), ("invalid", "there is no view or service 'none'"))
        with self.assertRaises(weir.Error) as caught:
            weir.training_set("model", [], "ts", command="/there/is/none")
        self.assertEqual(caught.exception.kind, "not-found")
        with self.assertRaises(weir.Error) as caught:
            self.make(5)
        self.assertEqual(caught.exception.kind, "invalid")

    def test_a_frame_keeps_its_columns(self):
        try:
            import pandas
        except ImportError:
            self.skipTest("pandas is not installed")
        frame = pandas.DataFrame({"k": ["a", "b"], "ts": pandas.to_datetime(["2026-01-02", "2026-01-03"]), "x": [1.5, None]},
                                 index=[7, 9])
        got = self.make(frame).to_pandas()
        self.assertEqual(list(got.index), [7, 9])
        self.assertTrue(got[["k", "ts", "x"]].equals(frame))
        self.assertEqual(list(got["n"]), [0, 1])

    def test_progress_is_handed_on_and_is_no_error(self):
        lines = []
        self.make([{"k": "a", "ts": 1}], progress=lines.append)
        self.assertEqual(lines, ["reading the spine: half of it"])
        with self.assertRaises(weir.Error) as caught:
            weir.training_set("late", [{"k": "a", "ts": 1}], "ts", command=self.command, progress=lines.append)
        self.assertEqual(caught.exception.text, "the disk is full")


class Parquet(unittest.TestCase):
    def setUp(self):
        try:
            import pyarrow.parquet
        except ImportError:
            self.skipTest("pyarrow is not installed")
        self.parquet = pyarrow.parquet
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.command = Path(self.directory.name) / "weir"
        self.command.write_text(COMMAND)
        os.chmod(self.command, stat.S_IRWXU)
        self.path = Path(self.directory.name) / "train.parquet"

    def write(self, spine, name="model", **more):
        return weir.write_training_set(self.path, name, spine, "ts", command=self.command, **more)

    def test_parts_are_what_the_whole_is(self):
        spine = [{"k": "a", "ts": 1, "label": None, "mixed": 1}, {"k": "b", "ts": 2, "label": None, "mixed": 2},
                 {"k": None, "ts": 3, "label": 4, "mixed": "x"}, {"k": "d", "ts": 4, "late": True}, {"k": "e", "ts": 5, "label": 6}]
        manifest = self.write(spine, group_rows=2)
        made = weir.training_set("model", spine, "ts", command=self.command)
        file = self.parquet.ParquetFile(self.path)
        self.assertEqual(file.num_row_groups, 3)
        names = sorted(file.schema_arrow.names)
        whole = repr(made.to_arrow().select(names).to_pydict())  # NaN is not itself
        self.assertEqual(repr(file.read().select(names).to_pydict()), whole)
        types = {field.name: str(field.type) for field in file.schema_arrow}
        self.assertEqual([types[name] for name in ("k", "ts", "label", "mixed", "late")], ["string", "int64", "int64", "string", "bool"])
        self.assertEqual(json.loads(file.schema_arrow.metadata[b"weir"]), manifest)
        self.assertEqual(sorted(os.listdir(self.directory.name)), ["train.parquet", "weir"])
        made.to_parquet(self.path)
        self.assertEqual(repr(self.parquet.read_table(self.path).select(names).to_pydict()), whole)

    def test_a_frame_keeps_its_columns(self):
        import pandas
        frame = pandas.DataFrame({"k": ["a", "b", "c"], "ts": pandas.to_datetime(["2026-01-02", "2026-01-03", "2026-01-04"]),
                                  "x": [None, None, "late"]})
        self.write(frame, group_rows=1)
        got = self.parquet.read_table(self.path)
        self.assertEqual(got.column("x").to_pylist(), [None, None, "late"])
        self.assertEqual(got.column("n").to_pylist(), [0, 1, 2])
        self.assertTrue(got.select(["k", "ts"]).to_pandas().equals(frame[["k", "ts"]]))

    def test_no_rows_and_failures(self):
        self.write([])
        self.assertEqual(self.parquet.read_table(self.path).num_rows, 0)
        self.path.unlink()
        with self.assertRaises(weir.Error):
            self.write([{"k": "a", "ts": 1}], name="late")
        self.assertEqual(os.listdir(self.directory.name), ["weir"])


if __name__ == "__main__":
    unittest.main()
