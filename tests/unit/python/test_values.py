"""Messages, types and rows: what goes out, what comes in, and what is refused."""

import math
import pickle
import re
import unittest
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import msgpack

import weir
from weir import protocol
from weir.answer import Answer
from weir.rows import cell, gather, row_cells
from weir.types import EPOCH, Type
from scripted import result

try:
    import pandas
except ImportError:
    pandas = None
try:
    import pyarrow
except ImportError:
    pyarrow = None

ROOT = Path(__file__).resolve().parents[3]


def answer(types, *rows, **more):
    names = [f"f{i}" for i in range(len(types))]
    results = [result({"k": f"k{i}"}, *values, **more) for i, values in enumerate(rows)]
    return Answer({"view": "v", "version": "v1", "versions": {"v": "v1"}, "features": names, "types": list(types),
                   "roles": ["v"], "results": results}, len(rows))


class Versions(unittest.TestCase):
    def test_the_version_is_that_of_the_programs(self):
        header = (ROOT / "common/base/version.h").read_text()
        self.assertEqual(weir.__version__, re.search(r'WEIR_VERSION "(.*)"', header)[1])

    def test_status_words_are_those_of_the_programs(self):
        header = (ROOT / "common/base/status.h").read_text()
        words = set(re.findall(r'X \([A-Z_]+, "([a-z-]+)"\)', header)) - {"ok", "end"}
        self.assertEqual(set(weir.KINDS), words)

    def test_limits_are_those_of_the_protocol(self):
        header = (ROOT / "common/wire/wire.h").read_text()
        for name, value in (("MESSAGE_MAX = 16 << 20", protocol.MESSAGE_MAX == 16 << 20),
                            ("KEYS_MAX = 4096", protocol.KEYS_MAX == 4096),
                            ("CELLS_MAX = 1 << 20", protocol.CELLS_MAX == 1 << 20),
                            ("NAME_MAX = 255", protocol.NAME_MAX == 255)):
            self.assertIn(f"WIRE_{name}", header)
            self.assertTrue(value, name)


class Framing(unittest.TestCase):
    def test_a_message_is_five_elements(self):
        data = protocol.encode("get", 7, {"view": "v"})
        self.assertEqual(msgpack.unpackb(data), ["weir", 1, "get", 7, {"view": "v"}])
        self.assertEqual(protocol.decode(data), ("get", 7, {"view": "v"}))

    def test_what_is_no_message_is_dropped(self):
        good = ["weir", 1, "get.ok", 7, {}]
        for bad in (b"", b"\xc1", msgpack.packb(good) + b"\0", msgpack.packb(good)[:-1], msgpack.packb(good[:4]),
                    msgpack.packb(["wier", *good[1:]]), msgpack.packb(["weir", 1, 5, 7, {}]),
                    msgpack.packb(["weir", 1, "x", "7", {}]), msgpack.packb(["weir", 1, "x", True, {}]),
                    msgpack.packb(["weir", 1, "x", 7, []]), msgpack.packb(["weir", 1, "x", 7, {3: 4}]),
                    b"\x95\xa4weir\x01\xa1x\x07\x81\x90\x01", b"\x91" * 100_000, msgpack.packb(msgpack.ExtType(5, b"x"))):
            self.assertIsNone(protocol.decode(bad), bad[:40])

    def test_another_version_is_told(self):
        message = protocol.decode(msgpack.packb(["weir", 2, "get.ok", 7, {}]))
        self.assertEqual((message.kind, message.id), ("error", 7))
        self.assertEqual(protocol.told(message.body).kind, "version")

    def test_errors_keep_what_the_node_said(self):
        error = protocol.told({"status": "busy", "text": "no room", "retry_ms": 20})
        self.assertEqual((error.kind, error.text, error.retry_ms, error.passing), ("busy", "no room", 20, True))
        self.assertEqual(str(error), "busy: no room")
        self.assertEqual(pickle.loads(pickle.dumps(error)).retry_ms, 20)
        self.assertEqual(protocol.told({"status": 5, "text": None, "retry_ms": -1}).kind, "invalid")

    def test_what_cannot_be_sent_is_invalid(self):
        for value in ("\ud800", 1 << 64, -(1 << 63) - 1, object()):
            with self.assertRaises(weir.Error) as raised:
                protocol.encode("send", 1, {"x": value})
            self.assertEqual(raised.exception.kind, "invalid", value)
        with self.assertRaises(weir.Error) as raised:
            protocol.encode("send", 1, {"x": "a" * (17 << 20)})
        self.assertEqual(raised.exception.kind, "too-large")


class Types(unittest.TestCase):
    def test_values_are_python_s_own_by_their_type(self):
        for word, raw, wanted in (
                ("int64", -(1 << 63), -(1 << 63)), ("float64", 3, 3.0), ("float64", -math.inf, -math.inf),
                ("bool", True, True), ("string", "ä\U0001f600", "ä\U0001f600"),
                ("decimal(38,2)", "-12.50", Decimal("-12.50")),
                ("timestamp", 1_500_000, datetime(1970, 1, 1, 0, 0, 1, 500_000, timezone.utc)),
                ("timestamp", 1 << 62, 1 << 62), ("duration", 5, 5), ("list<int64>", [1, None], [1, None]),
                ("list<decimal(38,1)>", ["1.0"], [Decimal("1.0")]), ("string", None, None), ("list<string>", None, None)):
            found = Type(word).python(raw)
            self.assertEqual((found, type(found)), (wanted, type(wanted)), word)
        self.assertEqual(str(Type("decimal(38,2)").python("1.00")), "1.00")
        self.assertTrue(math.isnan(Type("float64").python(math.nan)))

    def test_maps_say_whether_they_lack_keys(self):
        raw = {"keys": ["1.50", "2.00"], "values": [[1], [2, 3]], "capped": True, "total": 9}
        found = Type("map<decimal(38,2),list<int64>>").python(raw)
        self.assertEqual(found, {Decimal("1.50"): [1], Decimal("2.00"): [2, 3]})
        self.assertEqual((found.capped, found.total), (True, 9))

    def test_what_is_none_of_the_type_is_corrupt(self):
        for word, raw in (("int64", 1.0), ("int64", True), ("int64", 1 << 63), ("bool", 1), ("string", b"x"),
                          ("string", 1), ("float64", "1"), ("decimal(38,2)", 1), ("decimal(38,2)", "NaN"),
                          ("decimal(38,2)", "x"), ("timestamp", "now"), ("list<int64>", {}), ("list<int64>", ["1"]),
                          ("map<string,int64>", []), ("map<string,int64>", {"keys": ["a"], "values": []})):
            with self.assertRaises(weir.Error, msg=word) as raised:
                Type(word).python(raw)
            self.assertEqual(raised.exception.kind, "corrupt", (word, raw))

    def test_a_type_of_a_later_version_is_unsupported(self):
        for word in ("int128", "list<>", "map<string>", "list<list<x>>", "decimal(38)"):
            with self.assertRaises(weir.Error) as raised:
                Type(word)
            self.assertEqual(raised.exception.kind, "unsupported", word)
        with self.assertRaises(weir.Error) as raised:
            Type("list<" * 10_000)
        self.assertEqual(raised.exception.kind, "corrupt")


class Answers(unittest.TestCase):
    def test_a_result_keeps_what_it_says_of_itself(self):
        one = answer(["int64", "float64"], [1, None], complete=False, errors={"f1": "too large"},
                     incomplete=[{"log": "s/k/0", "reason": "moved"}])[0]
        self.assertEqual((one["f0"], one.features, one.key), (1, {"f0": 1, "f1": None}, {"k": "k0"}))
        self.assertEqual((one.view, one.version, one.versions, one.dataset), ("v", "v1", {"v": "v1"}, "d1"))
        self.assertEqual((one.complete, one.incomplete), (False, [("s/k/0", "moved")]))
        self.assertEqual((one.errors, one.positions), ({"f1": "too large"}, {"s/k/0": 7}))
        self.assertEqual((one.as_of, one.as_of_us), (EPOCH + timedelta(seconds=1), 1_000_000))
        self.assertEqual((one.latest, one.expired), ({"v": EPOCH + timedelta(seconds=0.5)}, []))
        self.assertEqual(one.to_dict(), {"k": "k0", "f0": 1, "f1": None})
        with self.assertRaisesRegex(KeyError, "f0, f1"):
            one["f2"]

    def test_a_key_that_was_never_seen_or_is_expired_is_told(self):
        self.assertEqual(answer(["int64"], [0], latest=[-(1 << 63)])[0].latest, {"v": None})
        self.assertEqual(answer(["int64"], [None], expired=[0])[0].expired, ["v"])
        for latest in ([], [1, 2], ["x"], [None]):
            with self.assertRaisesRegex(weir.Error, "corrupt"):
                answer(["int64"], [0], latest=latest)

    def test_many_are_columns(self):
        many = answer(["int64", "string"], [1, "a"], [None, "b"], errors={"f0": "x"})
        self.assertEqual(many.to_dict(), {"k": ["k0", "k1"], "f0": [1, None], "f1": ["a", "b"]})
        self.assertEqual(many.to_dict(about=True)["complete"], [True, True])
        self.assertEqual(many.errors, [(0, "f0", "x"), (1, "f0", "x")])
        self.assertEqual(many.types, {"f0": "int64", "f1": "string"})
        self.assertEqual([one["f1"] for one in many], ["a", "b"])

    def test_names_that_clash_are_not_overwritten(self):
        body = {"view": "v", "version": "v1", "versions": {"v": "v1"}, "features": ["k"],
                "types": ["int64"], "roles": ["v"], "results": [result({"k": "a"}, 1)]}
        with self.assertRaisesRegex(weir.Error, "same name"):
            Answer(body, 1).to_dict()
        self.assertEqual(Answer(body, 1)[0].features, {"k": 1})

    def test_an_answer_that_does_not_fit_is_corrupt(self):
        good = {"view": "v", "version": "v1", "versions": {"v": "v1"}, "features": ["n"],
                "types": ["int64"], "roles": ["v"], "results": [result({}, 1)]}
        Answer(good, 1)
        for broken in ({"view": 1}, {"versions": {"v": 1}}, {"features": ["n", "m"]}, {"types": [1]}, {"types": None}, {"results": []},
                       {"results": [5]}, {"results": [{**result({}, 1), "values": []}]},
                       {"results": [{**result({}, 1), "as_of": None}]}, {"results": [{**result({}, 1), "complete": 1}]},
                       {"results": [{**result({}, 1), "positions": {"x": "y"}}]},
                       {"results": [{**result({}, 1), "errors": [1]}]}, {"roles": [1]}, {"roles": []},
                       {"results": [{**result({}, 1), "latest": None}]}, {"results": [{**result({}, 1), "expired": ["v"]}]},
                       {"results": [{**result({}, 1), "incomplete": [{"log": 1}]}]}):
            with self.assertRaises(weir.Error, msg=broken) as raised:
                Answer({**good, **broken}, 1)
            self.assertEqual(raised.exception.kind, "corrupt", broken)


class Rows(unittest.TestCase):
    def test_cells_are_exact(self):
        zone = timezone(timedelta(hours=2))
        for value, wanted in ((Decimal("1E+3"), "1000"), (Decimal("-0.10"), "-0.10"), (1 << 60, 1 << 60), (None, None),
                              (datetime(2026, 1, 2, 3, 4, 5, 6, zone), "2026-01-02T01:04:05.000006Z"),
                              (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05.000000"), (date(2026, 1, 2), "2026-01-02"),
                              (True, True), ("ä", "ä")):
            self.assertEqual((cell(value), type(cell(value))), (wanted, type(wanted)))
        for bad in (b"x", [1], {}, Decimal("NaN"), Decimal("Infinity"), object(), timedelta(1)):
            with self.assertRaises(TypeError, msg=bad):
                cell(bad)

    def test_a_field_that_is_not_there_is_null(self):
        rows = [row_cells(row, None, i) for i, row in enumerate([{"a": 1}, {"b": "x", "a": 2}])]
        self.assertEqual(gather(rows, None), (["a", "b"], [[1, None], [2, "x"]]))
        self.assertEqual(row_cells({"b": 2}, ["a", "b"], 0), {"a": None, "b": 2})
        self.assertEqual(row_cells((1, 2), ["a", "b"], 0), [1, 2])

    def test_a_row_that_cannot_be_sent_is_told_with_its_number(self):
        for row, columns, what in (({"a": b"x"}, None, "row 7, 'a': a bytes"), ((1,), None, "row 7 is a tuple"),
                                   ((1,), ["a", "b"], "row 7 has 1 values"), ({"c": 1}, ["a"], "row 7 has 'c'"),
                                   ("ab", ["a", "b"], "row 7 is a str"), ({"a": 1 << 64}, None, "row 7, 'a': "),
                                   ((1, -(1 << 63) - 1), ["a", "b"], "row 7, 'b': "), (["\ud800"], ["a"], "row 7, 'a': "),
                                   ({"a": 1, 2: 3}, None, "row 7: 2 is no name"), ({"": 1}, None, "row 7: '' is no name"),
                                   ({"é" * 128: 1}, None, "is no name"), ({"\ud800": 1}, None, "is no name"),
                                   (dict.fromkeys(map(str, range(1025))), None, "row 7 has 1025 fields")):
            with self.assertRaises(weir.Error) as raised:
                row_cells(row, columns, 7)
            self.assertIn(what, raised.exception.text)


@unittest.skipUnless(pandas, "pandas is not installed")
class Pandas(unittest.TestCase):
    def test_columns_have_the_narrowest_right_type(self):
        types = ["int64", "float64", "bool", "string", "timestamp", "decimal(38,2)", "list<int64>"]
        row = [1 << 62, math.nan, True, "a", 1_500_000, "1.50", [1]]
        frame = answer(types, row, row).to_pandas(about=True)
        self.assertEqual([str(t) for t in frame.dtypes[1:5]], ["int64", "float64", "bool", "string"])
        self.assertEqual(frame["f0"][0], 1 << 62)
        self.assertIn(str(frame["f4"].dtype), ("datetime64[us, UTC]", "datetime64[ns, UTC]"))
        self.assertEqual(frame["f4"][0], EPOCH + timedelta(seconds=1.5))
        self.assertEqual((frame["f5"][0], frame["f6"][0]), (Decimal("1.50"), [1]))
        self.assertEqual(list(frame["complete"]), [True, True])

    def test_null_and_nan_are_told_apart(self):
        types = ["int64", "float64", "bool", "string", "timestamp", "decimal(38,2)"]
        frame = answer(types, [None] * 6, [(1 << 53) + 1, math.nan, False, "", 0, "0.00"]).to_pandas()
        self.assertEqual([str(t) for t in frame.dtypes[1:5]], ["Int64", "Float64", "boolean", "string"])
        for name in ("f0", "f1", "f2", "f3"):
            self.assertIs(frame[name].array[0], pandas.NA, name)
        self.assertEqual(int(frame["f0"].array[1]), (1 << 53) + 1)
        self.assertTrue(math.isnan(frame["f1"].array._data[1]) and not frame["f1"].array._mask[1])
        self.assertIs(frame["f4"][0], pandas.NaT)
        self.assertIsNone(frame["f5"][0])

    def test_frames_become_cells(self):
        from weir.rows import frame_chunks
        times = pandas.to_datetime(["2026-01-02T03:04:05.000006Z", None])
        frame = pandas.DataFrame({
            "i": [1, 2], "n": pandas.array([1, None], dtype="Int64"), "f": [1.5, math.nan], "b": [True, False],
            "s": ["a", None], "t": times, "d": [Decimal("1.20"), None], "c": pandas.Categorical(["x", "y"]),
            "p": pandas.to_datetime(["2026-01-02 03:04:05", None])}, index=[5, 6])
        [part] = frame_chunks(frame, 10, True)
        self.assertEqual(part.columns, list(frame.columns))
        self.assertEqual(part.rows, [
            [1, 1, 1.5, True, "a", "2026-01-02T03:04:05.000006Z", "1.20", "x", "2026-01-02T03:04:05.000000"],
            [2, None, None, False, None, None, None, "y", None]])
        self.assertEqual([type(value) for value in part.rows[0]], [int, int, float, bool, str, str, str, str, str])
        local = pandas.to_datetime(["2026-07-01 12:00:00.1234567", "1969-12-31 23:00:00.0000000"])
        noon = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        zoned = pandas.DataFrame({"t": local.tz_localize("Europe/Berlin"), "o": pandas.Series([noon, None], dtype=object)})
        [part] = frame_chunks(zoned, 10, True)
        self.assertEqual(part.rows, [["2026-07-01T10:00:00.123456Z", "2026-07-01T10:00:00.000000Z"],
                                     ["1969-12-31T22:00:00.000000Z", None]])
        [part] = frame_chunks(frame[["f"]], 10, False)
        self.assertTrue(math.isnan(part.rows[1][0]))
        self.assertEqual([len(p.rows) for p in frame_chunks(frame, 1, True)], [1, 1])
        msgpack.packb(part.rows)


@unittest.skipUnless(pyarrow, "pyarrow is not installed")
class Arrow(unittest.TestCase):
    def test_tables_have_the_types_of_the_answer(self):
        types = ["int64", "float64", "bool", "string", "timestamp", "decimal(38,2)", "list<timestamp>",
                 "map<decimal(38,2),list<int64>>"]
        values = {"keys": ["1.00"], "values": [[1, None]], "capped": False, "total": 2}
        table = answer(types, [1, math.nan, True, "a", 5, "1.50", [5], values], [None] * 8).to_arrow()
        self.assertEqual([str(t) for t in table.schema.types[1:]], [
            "int64", "double", "bool", "string", "timestamp[us, tz=UTC]", "decimal128(38, 2)",
            "list<item: timestamp[us, tz=UTC]>", "map<decimal128(38, 2), list<item: int64>>"])
        self.assertEqual([column.null_count for column in table.columns[1:]], [1] * 8)
        self.assertEqual(table["f7"][0].as_py(), [(Decimal("1.00"), [1, None])])
        self.assertTrue(math.isnan(table["f1"][0].as_py()))

    def test_tables_become_cells(self):
        from weir.rows import frame_chunks
        table = pyarrow.table({
            "i": pyarrow.array([1, None]), "f": pyarrow.array([math.nan, None], pyarrow.float64()),
            "d": pyarrow.array([Decimal("1.20"), None]), "s": pyarrow.array(["a", None]).dictionary_encode(),
            "t": pyarrow.array([1_500_000_001, None], pyarrow.timestamp("ns", tz="Europe/Berlin"))})
        [part] = frame_chunks(table, 10, True)
        self.assertTrue(math.isnan(part.rows[0].pop(1)))
        self.assertEqual(part.rows, [[1, "1.20", "a", "1970-01-01T00:00:01.500000Z"], [None] * 5])


    def test_times_that_python_has_not_got_are_told_with_their_row(self):
        from weir.rows import frame_chunks
        table = pyarrow.table({"t": pyarrow.array([0, 253402300800000000], pyarrow.timestamp("us"))})
        with self.assertRaises(weir.Error) as raised:
            list(frame_chunks(table, 10, True))
        self.assertEqual(raised.exception.kind, "invalid")
        self.assertIn("row 1, 't'", raised.exception.text)

    @unittest.skipUnless(pandas, "pandas is not installed")
    def test_frames_of_arrow_s_types_become_cells(self):
        from weir.rows import frame_chunks
        at = pandas.Timestamp("2026-01-02T03:04:05.000006789+02:00")

        def column(values, kind):
            return pandas.Series(pandas.array(values, dtype=pandas.ArrowDtype(kind)))

        frame = pandas.DataFrame({
            "t": column([at, None], pyarrow.timestamp("ns", tz="Europe/Berlin")),
            "u": column([at.floor("us").tz_convert("UTC"), None], pyarrow.timestamp("us", tz="UTC")),
            "p": column([at.floor("us").tz_localize(None), None], pyarrow.timestamp("us")),
            "d": column([date(2026, 1, 2), None], pyarrow.date32()), "i": column([1 << 62, None], pyarrow.int64()),
            "f": column([1.5, None], pyarrow.float64()), "s": column(["a", None], pyarrow.string()),
            "b": column([True, None], pyarrow.bool_()), "e": column([Decimal("1.20"), None], pyarrow.decimal128(9, 2))})
        [part] = frame_chunks(frame, 10, True)
        self.assertEqual(part.rows, [
            ["2026-01-02T01:04:05.000006Z", "2026-01-02T01:04:05.000006Z", "2026-01-02T03:04:05.000006", "2026-01-02",
             1 << 62, 1.5, "a", True, "1.20"], [None] * 9])


class Missing(unittest.TestCase):
    def test_a_package_that_is_not_there_is_named(self):
        from weir.types import need
        with self.assertRaisesRegex(weir.Error, "unsupported: .*pip install no_such_package"):
            need("no_such_package")


if __name__ == "__main__":
    unittest.main()
