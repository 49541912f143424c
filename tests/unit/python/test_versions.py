"""Versions of views and services: what is asked, what is made of the answers, and answers that are none."""

import unittest
from datetime import datetime, timezone
from unittest import mock

import weir
from weir.versions import author, compare, reference
from scripted import Node, refused


def version(name="v", number=1, kind="view", **more):
    return {"kind": kind, "name": name, "version": number, "state": "live", "created": 1_000_000, "author": "me@here",
            "message": "why", "annotations": [], **more}


class WithCoordinator(unittest.TestCase):
    def client(self, answer):
        self.coordinator = Node(answer)
        self.addCleanup(self.coordinator.close)
        client = weir.Client(coordinators=self.coordinator.endpoint, cluster="test")
        self.addCleanup(client.close)
        return client

    def fails(self, kind, call, *arguments, **more):
        with self.assertRaises(weir.Error) as raised:
            call(*arguments, **more)
        self.assertEqual(raised.exception.kind, kind, raised.exception)
        return raised.exception


class Listing(WithCoordinator):
    def test_all_is_told_typed(self):
        told = version(state="building", done=3, total=8, waits="a recompute", text="views:\n", annotations=[
            {"name": "accuracy", "value": "0.89", "time": 2_000_000, "author": "you"}])
        [one] = self.client(lambda *_: ("versions.ok", {"versions": [told]})).versions("v")
        self.assertEqual(self.coordinator.asked, [("versions", {"name": "v"})])
        self.assertEqual(one, weir.Version(
            "view", "v", 1, "building", datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), "me@here", "why",
            {"accuracy": weir.Annotation("0.89", datetime(1970, 1, 1, 0, 0, 2, tzinfo=timezone.utc), "you")}, "views:\n", 3, 8,
            "a recompute"))
        self.assertEqual(one.reference, "v@v1")

    def test_pages_are_asked_for_behind_each_other(self):
        pages = [[version("z", 9, "service"), version("z", 10, "service")], [version("a", 1)], [version("a", 2)]]
        client = self.client(lambda kind, body: ("versions.ok", {
            "versions": pages[len(self.coordinator.asked) - 1], "more": len(self.coordinator.asked) < 3}))
        self.assertEqual([one.reference for one in client.versions()], ["z@v9", "z@v10", "a@v1", "a@v2"])
        self.assertEqual(self.coordinator.bodies("versions"), [
            {}, {"after": {"kind": "service", "name": "z", "version": 10}}, {"after": {"kind": "view", "name": "a", "version": 1}}])

    def test_pages_that_do_not_go_on_are_an_error(self):
        for second in ([version("a", 2)], [version("a", 1)], [version("z", 9, "service")], []):
            pages = [[version("a", 2)], second]
            client = self.client(lambda kind, body: ("versions.ok", {
                "versions": pages[min(len(self.coordinator.asked), 2) - 1], "more": True}))
            self.fails("corrupt", client.versions)
            self.assertEqual(len(self.coordinator.asked), 2)

    def test_what_is_no_version_is_an_error(self):
        for broken in ({"versions": [5]}, {"versions": None}, {}, {"versions": [{}]},
                       {"versions": [version(annotations=[{"name": 5}])]}, {"versions": [version(version="1")]},
                       {"versions": [version(version=True)]}, {"versions": [version(text=5)]}, {"versions": [version(done="3")]}):
            self.fails("corrupt", self.client(lambda *_: ("versions.ok", broken)).versions)


class Changing(WithCoordinator):
    def answer(self, kind, body):
        if kind == "status":
            behind = len(self.coordinator.bodies("status")) < 3
            return "status.ok", {"nodes": [{"kind": "speed", "lease_left_us": 5, "definitions": 6 if behind else 7},
                                           {"kind": "serving", "lease_left_us": 0, "definitions": 1}, {"kind": "batch"}]}
        return f"{kind}.ok", {"version": 7, "changes": []}

    def test_promote_and_retire_wait_until_the_nodes_have_it(self):
        for kind in "promote", "retire":
            client = self.client(self.answer)
            self.assertEqual(getattr(client, kind)("spend@v12"), 7)
            self.assertEqual(self.coordinator.bodies(kind), [{"name": "spend", "version": 12}])
            self.assertEqual(len(self.coordinator.bodies("status")), 3)

    def test_what_is_refused_says_why(self):
        client = self.client(lambda *_: refused("invalid", "spend@v1 is the active version"))
        self.assertIn("is the active version", self.fails("invalid", client.retire, "spend@v1").text)

    def test_annotations_are_texts_and_none_takes_away(self):
        client = self.client(lambda kind, body: ("annotate.ok", {}))
        client.annotate("model@v2", {"accuracy": 0.89, "note": "of May", "old": None}, author="me")
        client.annotate("model@v2", {})
        self.assertEqual(self.coordinator.bodies("annotate"), [
            {"name": "model", "version": 2, "annotations": [{"name": "accuracy", "value": "0.89"}, {"name": "note", "value":
             "of May"}, {"name": "old", "value": ""}], "author": "me"},
            {"name": "model", "version": 2, "annotations": [], "author": author()}])
        for kind, wrong in (("invalid", [1]), ("invalid", {1: 2}), ("invalid", {"": "x"}), ("invalid", {"n" * 300: 1}),
                            ("too-large", {str(i): i for i in range(65)})):
            self.fails(kind, client.annotate, "model@v2", wrong)

    def test_only_a_version_is_one(self):
        client = self.client(lambda *_: None)
        for wrong in ("spend", "spend@v0", "spend@2", "spend@v01", "@v1", "spend@v1 ", "spend@v4294967296", "a-b@v1", 5, None):
            for call in client.promote, client.retire, client.diff, lambda one: client.annotate(one, {}):
                self.assertIn("is written user_spend@v2", self.fails("invalid", call, wrong).text)
        self.assertEqual(self.coordinator.asked, [])
        self.assertEqual(reference("a_1@v4294967295"), ("a_1", 4294967295))

    def test_a_user_that_has_no_name_has_one_here(self):
        with mock.patch("pwd.getpwuid", side_effect=KeyError), mock.patch("socket.gethostname", return_value="h" * 500):
            self.assertEqual(author(), "?@" + "h" * 120)


class Differing(WithCoordinator):
    def texts(self, **texts):
        return self.client(lambda *_: ("versions.ok", {"versions": [
            version(number=int(number[1:]), text=text, state="active" if number == "v2" else "retired")
            for number, text in texts.items()]}))

    def test_two_versions_or_one_and_the_active_one(self):
        client = self.texts(v1="a\nb\nc\n", v2="a\nx\nc\n", v3="a\nb\nc\n")
        self.assertEqual(client.diff("v@v1"), "  a\n- b\n+ x\n  c\n")
        self.assertEqual(client.diff("v@v2", "v@v1"), "  a\n- x\n+ b\n  c\n")
        self.assertEqual(client.diff("v@v1", "v@v3"), "")
        self.assertIn("there is no v@v4", self.fails("not-found", client.diff, "v@v4").text)
        self.fails("not-found", client.diff, "v@v1", "v@v4")
        self.assertIn("another version of v", self.fails("invalid", client.diff, "v@v1", "w@v2").text)
        self.assertIn("has no active version", self.fails("not-found", self.texts(v1="").diff, "v@v1").text)

    def test_the_lines_of_both_are_there_in_order(self):
        texts = ["", "a\n", "a\nb\n", "b\na\n", "\n\na\n", "a\nc\nb\nc\n"]
        for before in texts:
            for after in texts:
                lines = compare(before, after).splitlines()
                self.assertEqual(not lines, before == after)
                if lines:
                    self.assertEqual([line[2:] for line in lines if line[0] in " -"], before.splitlines())
                    self.assertEqual([line[2:] for line in lines if line[0] in " +"], after.splitlines())


if __name__ == "__main__":
    unittest.main()
