"""Which node is asked, what is asked again, and the sequences of a producer: against scripted nodes."""

import os
import signal
import threading
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import zmq

import weir
from weir.network import backoff
from weir.project import endpoint_is_local, endpoint_ok, read_project
from weir.sender import PRODUCER_AGE_S, Producer
from scripted import Node, acknowledged, got, refused, routes

KEY = {"k": "a"}


class WithNodes(unittest.TestCase):
    def setUp(self):
        self.nodes = []

    def node(self, answer, **more):
        self.nodes.append(Node(answer, **more))
        return self.nodes[-1]

    def tearDown(self):
        for node in self.nodes:
            node.close()

    def client(self, serving=(), speed=(), **more):
        """Of one coordinator that knows these."""
        self.coordinator = self.node(lambda kind, body: routes(serving, speed))
        client = weir.Client(coordinators=self.coordinator.endpoint, cluster="test", **more)
        self.addCleanup(client.close)
        return client

    def dying(self):
        """A node that ends when it is asked something. `then` is done just before."""
        heard = threading.Event()
        node = self.node(lambda *_: heard.set())
        node.then = lambda: None

        def die():
            if heard.wait(10):
                node.then()
                node.stop()

        killer = threading.Thread(target=die)
        killer.start()
        self.addCleanup(node.close)
        self.addCleanup(killer.join)
        return node

    def found_later(self, node, **routes_then):
        """What else there is is told when the dying node has been asked: so that this one is asked first."""
        node.then = lambda: setattr(self.coordinator, "answer", lambda *_: routes(**routes_then))

    def fails(self, kind, call, *arguments, **more):
        with self.assertRaises(weir.Error) as raised:
            call(*arguments, **more)
        self.assertEqual(raised.exception.kind, kind, raised.exception)
        return raised.exception


class Queries(WithNodes):
    def test_the_body_says_what_was_asked(self):
        serving = self.node(lambda kind, body: got(body, 5))
        client = self.client([serving])
        found = client.get("v@v2", ["n"], {"k": "a"}, as_of=7, before=True, request={"x": 1.5}, deadline_ms=900,
                           refuse_incomplete=True)
        self.assertEqual(found["n"], 5)
        self.assertEqual(serving.bodies("get"), [{
            "view": "v@v2", "features": ["n"], "keys": [{"k": "a"}], "as_of": 7, "before": True, "request": [{"x": 1.5}],
            "deadline_ms": 900, "refuse_incomplete": True}])
        self.assertEqual(len(self.coordinator.bodies("routes")), 1)
        client.get_many("v", "n", [KEY, KEY], as_ofs=[1, 2])
        self.assertEqual(serving.bodies("get")[1], {"view": "v", "features": ["n"], "keys": [KEY, KEY], "as_ofs": [1, 2]})

    def test_many_keys_are_asked_in_parts_of_one_time_and_version(self):
        serving = self.node(lambda kind, body: got(body, len(body["keys"]), version="v3"))
        found = self.client([serving]).get_many("v", None, [{"k": str(i)} for i in range(2500)], before=True)
        self.assertEqual([one.key["k"] for one in found], [str(i) for i in range(2500)])
        first, *rest = serving.bodies("get")
        self.assertEqual((first["view"], first["before"], "as_of" in first), ("v", True, False))
        self.assertEqual([(b["view"], b["as_of"], b["before"], len(b["keys"])) for b in rest],
                         [("v@v3", 1_000_001, True, 1024), ("v@v3", 1_000_001, True, 452)])

    def test_a_node_that_is_gone_is_passed_over(self):
        gone, here = self.node(lambda *_: None), self.node(lambda kind, body: got(body, 1))
        client = self.client([gone, here])
        gone.stop()
        self.assertEqual(client.get("v", None, KEY)["n"], 1)

    def test_what_was_under_way_with_a_node_that_dies_is_asked_of_another(self):
        dying, other = self.dying(), self.node(lambda kind, body: got(body, 2))
        client = self.client([dying])
        self.found_later(dying, serving=[other])
        self.assertEqual(client.get("v", None, KEY, patience_ms=5000)["n"], 2)
        self.assertEqual((len(dying.asked), len(other.asked)), (1, 1))

    def test_a_node_that_says_nothing_is_asked_beside_another_at_half_of_the_time(self):
        falls_silent, other = (self.node(lambda kind, body: got(body, 3)) for _ in range(2))
        client, end = self.client([falls_silent, other]), time.monotonic() + 10
        client.get("v", None, KEY)
        while not all(node.recognized for node in client._network.nodes["serving"]) and time.monotonic() < end:
            client.get("v", None, KEY)
        falls_silent.answer = lambda *_: None
        del falls_silent.asked[:], other.asked[:]
        began = time.monotonic()
        self.assertEqual(client.get("v", None, KEY, deadline_ms=200)["n"], 3)  # it has 1.2 s
        self.assertEqual((len(falls_silent.asked), len(other.asked)), (1, 1))
        self.assertGreater(time.monotonic() - began, 0.5)

    def test_no_answer_in_time_is_a_timeout(self):
        client = self.client([self.node(lambda *_: None)])
        self.fails("timeout", client.get, "v", None, KEY, deadline_ms=1)

    def test_busy_is_told_or_waited_for_as_long_as_was_said(self):
        times = []

        def answer(kind, body):
            times.append(time.monotonic())
            return refused("busy", retry_ms=150) if len(times) % 2 else got(body, 4)

        client = self.client([self.node(answer)])
        self.assertEqual(self.fails("busy", client.get, "v", None, KEY).retry_ms, 150)
        times.clear()
        self.assertEqual(client.get("v", None, KEY, patience_ms=5000)["n"], 4)
        self.assertGreaterEqual(times[1] - times[0], 0.15)

    def test_answers_to_nothing_and_junk_are_passed_over(self):
        client = self.client([self.node(lambda kind, body: [b"junk", b"", got(body, 6)])])
        self.assertEqual(client.get("v", None, KEY)["n"], 6)

    def test_a_reply_that_is_none_is_corrupt(self):
        for reply in (("send.ok", {}), ("get.ok", {}), ("get.ok", {"view": "v"})):
            self.fails("corrupt", self.client([self.node(lambda kind, body: reply)]).get, "v", None, KEY)

    def test_nodes_of_another_cluster_are_refused(self):
        other = self.node(lambda kind, body: got(body, 1), cluster="other")
        error = self.fails("invalid", self.client([other]).get, "v", None, KEY)
        self.assertIn("is cluster 'other', not 'test'", error.text)
        self.assertEqual(other.asked, [])

    def test_nobody_there_is_told_at_once(self):
        with TemporaryDirectory() as directory, weir.Client(coordinators=f"ipc://{directory}/x") as client:
            began = time.monotonic()
            self.assertIn("is the cluster up?", self.fails("unavailable", client.get, "v", None, KEY).text)
            self.fails("unavailable", client.status)
            self.assertLess(time.monotonic() - began, 8)

    def test_ctrl_c_ends_a_wait_and_harms_nothing(self):
        # Python leaves it alone where whoever began the tests ignores it, as a shell does for what runs behind it.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        waiting, answers = threading.Event(), []

        def answer(kind, body):
            waiting.set()
            return answers[0](body) if answers else None

        client = self.client([self.node(answer)])
        killer = threading.Thread(target=lambda: (waiting.wait(10), os.kill(os.getpid(), signal.SIGINT)))
        killer.start()
        with self.assertRaises(KeyboardInterrupt):
            client.get("v", None, KEY, deadline_ms=60_000)
        killer.join()
        self.assertEqual(client._network.requests, {})
        answers.append(lambda body: got(body, 8))
        self.assertEqual(client.get("v", None, KEY)["n"], 8)

    def test_ctrl_c_while_a_connection_is_made_leaves_nothing_behind(self):
        client = self.client()

        def cut_short(context, kind):
            made = zmq.Socket(context, kind)
            raise KeyboardInterrupt(made)

        closer = threading.Thread(target=client.close, daemon=True)
        try:
            with mock.patch.object(zmq.Context, "socket", cut_short):
                client.get("v", None, KEY)
        except KeyboardInterrupt as interrupt:
            interrupt.args = ()
            closer.start()  # while what was raised is still at hand
            closer.join(10)
        self.assertFalse(closer.is_alive())

    def test_threads_wait_for_each_other(self):
        client, found = self.client([self.node(lambda kind, body: got(body, body["as_of"]))]), {}
        threads = [threading.Thread(target=lambda i=i: found.update(
            {i: [client.get("v", None, KEY, as_of=i)["n"] for _ in range(20)]})) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {i: [i] * 20 for i in range(4)})

    def test_a_client_from_before_a_fork_says_so(self):
        client = self.client([self.node(lambda kind, body: got(body, 1))])
        client.get("v", None, KEY)
        child = os.fork()
        if child == 0:
            try:
                client.get("v", None, KEY)
            except weir.Error as error:
                os._exit(0 if error.kind == "invalid" and "fork" in error.text else 1)
            os._exit(2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(client.get("v", None, KEY)["n"], 1)

    def test_a_handler_of_a_signal_is_told_to_have_its_own(self):
        kinds = []

        def handler(number, frame):
            try:
                client.get("v", None, KEY)
            except weir.Error as error:
                kinds.append(error.kind)

        def answer(kind, body):
            os.kill(os.getpid(), signal.SIGUSR1)
            while not kinds and time.monotonic() < end:
                time.sleep(0.001)
            return got(body, 1)

        client, end = self.client([self.node(answer)]), time.monotonic() + 5
        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.assertEqual(client.get("v", None, KEY)["n"], 1)
        self.assertEqual(kinds, ["invalid"])

    def test_a_closed_client_says_so(self):
        client = self.client()
        client.close()
        client.close()
        self.fails("cancelled", client.get, "v", None, KEY)
        self.fails("cancelled", client.send, "s", [{"a": 1}])


class Coordinators(WithNodes):
    def test_one_that_stands_by_is_passed_over_for_the_one_that_it_names(self):
        leader = self.node(lambda kind, body: (f"{kind}.ok", {"cluster": "test", "changes": []}))
        standing = self.node(lambda kind, body: refused("unavailable", leader=leader.endpoint))
        with weir.Client(coordinators=standing.endpoint) as client:
            self.assertEqual(client.status()["cluster"], "test")
            self.assertEqual(client.apply({"a.yaml": "x"}, dry_run=True, message="m", author="me"), [])
        self.assertEqual((len(standing.asked), len(leader.asked)), (1, 2))
        self.assertEqual(leader.bodies("apply"), [{"files": [{"name": "a.yaml", "text": "x"}], "dry_run": True,
                                                   "message": "m", "author": "me"}])

    def test_what_may_do_harm_is_asked_once(self):
        dying = self.dying()
        standing = self.node(lambda kind, body: refused("unavailable", leader=dying.endpoint))
        with weir.Client(coordinators=standing.endpoint) as client:
            self.assertIn("may have been done", self.fails("timeout", client.apply, {}).text)
        self.assertEqual(len(dying.asked), 1)

    def test_names_beyond_this_machine_are_not_taken_without_keys(self):
        far = ("routes.ok", {"serving": ["tcp://192.0.2.7:7601", "nonsense", 5], "speed": []})
        coordinator = self.node(lambda *_: far)
        with weir.Client(coordinators=coordinator.endpoint) as client:
            self.assertIn("has not got a serving node", self.fails("unavailable", client.get, "v", None, KEY).text)


class Sending(WithNodes):
    def test_each_batch_says_which_is_the_oldest_that_is_not_acknowledged(self):
        tries = []

        def answer(kind, body):
            tries.append(body["sequence"])
            return refused("busy", retry_ms=1) if body["sequence"] == 1 and tries.count(1) < 4 else acknowledged(body)

        speed = self.node(answer)
        client = self.client(speed=[speed])
        report = client.send("s", [{"a": i} for i in range(50)], batch_rows=5, window=4)
        self.assertEqual((report.rows, report.acknowledged, report.accepted), (50, 50, 50))
        for body in speed.bodies("send"):
            self.assertTrue(body["oldest"] <= body["sequence"] < body["oldest"] + 4, body)
        before = tries[:len(tries) - tries[::-1].index(1)]  # until the first one was taken
        self.assertEqual((max(before), {body["oldest"] for body in speed.bodies("send")[:len(before)]}), (4, {1}))
        rows = {body["sequence"]: body["rows"] for body in speed.bodies("send")}
        self.assertEqual([row for _, part in sorted(rows.items()) for row in part], [[i] for i in range(50)])
        self.assertEqual(len({body["producer"] for body in speed.bodies("send")}), 1)

    def test_sends_of_one_client_go_on_with_one_producer(self):
        speed = self.node(lambda kind, body: acknowledged(body))
        client = self.client(speed=[speed])
        for _ in range(3):
            client.send("s", [{"a": 1}])
        client.send("other", [{"a": 1}])
        bodies = speed.bodies("send")
        self.assertEqual([body["sequence"] for body in bodies], [1, 2, 3, 1])
        self.assertEqual(len({body["producer"] for body in bodies}), 2)
        with client.sender("s") as one, client.sender("s") as two:
            self.assertNotEqual(one.producer, two.producer)

    def test_a_producer_that_failed_is_not_used_again(self):
        replies = [refused("invalid", "no such thing"), None]
        speed = self.node(lambda kind, body: replies[0] or acknowledged(body))
        client = self.client(speed=[speed])
        self.fails("invalid", client.send, "s", [{"a": 1}])
        replies[0] = None
        client.send("s", [{"a": 1}])
        first, second = speed.bodies("send")
        self.assertNotEqual(first["producer"], second["producer"])
        self.assertEqual(second["sequence"], 1)

    def test_a_lost_batch_goes_to_the_next_worker_as_it_was(self):
        dying, other = self.dying(), self.node(lambda kind, body: acknowledged(body))
        client = self.client(speed=[dying])
        self.found_later(dying, speed=[other])
        self.assertEqual(client.send("s", [{"a": 1}]).accepted, 1)
        self.assertEqual(dying.asked, other.asked)

    def test_a_worker_that_says_nothing_is_passed_over(self):
        falls_silent, other = (self.node(lambda kind, body: acknowledged(body)) for _ in range(2))
        client, end = self.client(speed=[falls_silent, other]), time.monotonic() + 10
        while not falls_silent.asked and time.monotonic() < end:  # until both are known to be there
            client.send("s", [{"a": 0}, {"a": 1}], batch_rows=1)
        falls_silent.answer = lambda *_: None
        del falls_silent.asked[:], other.asked[:]
        with mock.patch("weir.requests.ANSWER_S", 0.2):
            self.assertEqual(client.send("s", [{"a": i} for i in range(9)], batch_rows=1, window=1).accepted, 9)
        self.assertIn(len(falls_silent.asked), (1, 2))  # and not each second batch
        self.assertEqual(len({body["sequence"] for body in other.bodies("send")}), 9)

    def test_refused_rows_keep_their_numbers(self):
        def answer(kind, body):
            return acknowledged(body, accepted=1, refused_count=1, refused=[{"row": 1, "reason": "bad"}])

        report = self.client(speed=[self.node(answer)]).send("s", [{"a": i} for i in range(6)], batch_rows=2)
        self.assertEqual(sorted(report.refused), [(1, "bad"), (3, "bad"), (5, "bad")])
        self.assertEqual((report.accepted, report.refused_count, report.positions), (3, 3, {"s/k/0": 3}))

    def test_patience_ends_and_no_room_is_waited_for_longer(self):
        client = self.client(speed=[self.node(lambda *_: refused("unavailable", "leaving"))])
        began = time.monotonic()
        self.assertIn("leaving", self.fails("unavailable", client.send, "s", [{"a": 1}], patience_ms=200).text)
        self.assertLess(time.monotonic() - began, 8)
        began = time.monotonic()
        full = self.client(speed=[self.node(lambda *_: refused("busy", "full", retry_ms=20))])
        self.assertIn("full", self.fails("unavailable", full.send, "s", [{"a": 1}], patience_ms=300).text)
        self.assertGreater(time.monotonic() - began, 0.55)

    def test_a_batch_that_is_too_large_is_cut(self):
        speed = self.node(lambda kind, body: acknowledged(body))
        report = self.client(speed=[speed]).send("s", [{"a": str(i) + "x" * 3_000_000} for i in range(7)])
        self.assertEqual((report.rows, report.accepted), (7, 7))
        self.assertGreater(len(speed.bodies("send")), 2)
        rows = [row[0][0] for body in sorted(speed.bodies("send"), key=lambda b: b["sequence"]) for row in body["rows"]]
        self.assertEqual(rows, list("0123456"))
        error = self.fails("too-large", self.client(speed=[speed]).send, "s", [{"a": "x" * (17 << 20)}])
        self.assertIn("row 0", error.text)

    def test_a_producer_that_goes_on_says_so(self):
        speed = self.node(lambda kind, body: acknowledged(body))
        producer = weir.new_producer()
        with self.client(speed=[speed]).sender("s", ["a"], producer=producer, first_sequence=5, resumed=True) as sender:
            sender.put([1])
            sender.push()
            sender.put([2])
            self.assertEqual(sender.flush().accepted, 2)
            self.assertEqual((sender.acknowledged_sequence, sender.next_sequence), (6, 7))
        self.assertEqual([(b["producer"], b["sequence"], b["resumed"]) for b in speed.bodies("send")],
                         [(producer, 5, True), (producer, 6, True)])

    def test_a_row_that_cannot_be_sent_harms_no_other(self):
        speed = self.node(lambda kind, body: acknowledged(body))
        with self.client(speed=[speed]).sender("s", linger_ms=1 << 30) as sender:
            sender.put({"a": 1})
            for bad in ({"a": 1 << 64}, {"a": "\ud800"}, {1: 2}, {"a": object()}):
                self.assertIn("row 1", self.fails("invalid", sender.put, bad).text, bad)
            sender.put({"a": (1 << 64) - 1})
            self.assertEqual(sender.flush().accepted, 2)

    def test_wrong_arguments_are_told_before_anything_is_sent(self):
        client = self.client()
        for arguments, more in ((("", []), {}), (("s",), {"rows": {"a": 1}}), (("s", [{}]), {}), (("s", [{1: 2}]), {}),
                                (("s", [[1]], ["a", "a"]), {}), (("s", [{"a": 1}]), {"window": 65}),
                                (("s", [{"a": 1}]), {"batch_rows": 0})):
            self.fails("invalid", client.send, *arguments, **more)
        self.fails("invalid", client.sender, "s", producer=b"short")
        self.fails("invalid", client.sender, "s", resumed=True)
        self.fails("invalid", client.get, "v", ["n", "n"], KEY)
        self.fails("invalid", client.get_many, "v", None, [])
        self.fails("invalid", client.get_many, "v", None, KEY)
        self.fails("invalid", client.get_many, "v", None, [KEY], as_ofs=[1, 2])
        self.fails("invalid", client.get, "v", None, KEY, as_of=1.5)
        self.fails("invalid", client.get, "v", KEY)
        self.fails("invalid", client.get, "v", [], KEY)
        self.fails("invalid", client.get, "v", None, KEY, deadline_ms=0.5)
        self.assertEqual(self.coordinator.asked, [])


class Producers(unittest.TestCase):
    def test_the_window_is_from_the_oldest_that_is_open(self):
        producer = Producer(window=3)
        self.assertEqual([producer.take() for _ in range(3)], [1, 2, 3])
        self.assertFalse(producer.has_room)
        producer.acknowledge(2)
        producer.acknowledge(3)
        self.assertEqual((producer.oldest, producer.has_room), (1, False))
        producer.acknowledge(1)
        self.assertEqual((producer.oldest, producer.next, producer.has_room), (4, 4, True))
        self.assertEqual((producer.take(), producer.oldest), (4, 4))

    def test_an_id_has_its_time_and_is_given_up_when_it_is_old(self):
        before = time.time_ns() // 1000
        producer = Producer()
        made = int.from_bytes(producer.id[:8], "big")
        self.assertTrue(before <= made <= time.time_ns() // 1000 and len(producer.id) == 16)
        self.assertFalse(producer.is_old)
        producer.made -= PRODUCER_AGE_S + 1
        self.assertTrue(producer.is_old)
        given = Producer(bytes(16))
        given.made -= PRODUCER_AGE_S + 1
        self.assertFalse(given.is_old)

    def test_waits_double_and_are_not_shorter_than_what_was_asked_for(self):
        for _ in range(50):
            self.assertTrue(0.02 <= backoff(0, None) <= 0.03)
            self.assertTrue(2 <= backoff(50, None) <= 3)
            self.assertTrue(5 <= backoff(0, 5000) <= 7.5)
            self.assertTrue(30 <= backoff(0, 10**9) <= 45)


class Projects(unittest.TestCase):
    def read(self, text):
        with TemporaryDirectory() as directory:
            (Path(directory) / "weir.yaml").write_text(text)
            return read_project(directory)

    def test_defaults_are_those_of_the_programs(self):
        project = self.read("cluster: c\n")
        self.assertEqual(project.coordinators, ["tcp://127.0.0.1:7600"])
        self.assertEqual(project.serving, ["tcp://127.0.0.1:7601"])
        self.assertEqual(project.speed_workers, ["tcp://127.0.0.1:7611", "tcp://127.0.0.1:7612"])
        self.assertEqual((project.cluster, project.keys, project.open), ("c", None, False))

    def test_nodes_and_keys_are_read(self):
        project = self.read("cluster: c\nnodes: {base_port: 9000, serving: 'tcp://192.0.2.7:1', coordinators: ['ipc:///x', "
                            "'ipc:///y']}\nsecurity: {keys: ./k}\n")
        self.assertEqual(project.coordinators, ["ipc:///x", "ipc:///y"])
        self.assertEqual((project.serving, project.speed_workers[0]), (["tcp://192.0.2.7:1"], "tcp://127.0.0.1:9011"))
        self.assertEqual((project.keys.name, project.may_be_far), ("k", True))

    def test_what_is_wrong_is_invalid(self):
        for text in ("", "nodes: {}", "cluster: c\ncluster: d\n", "cluster: [", "cluster: c\nnodes: {serving: 5}\n",
                     "cluster: c\nnodes: {serving: 'tcp://192.0.2.7:1'}\n", "cluster: c\nnodes: 7\n",
                     "cluster: c\nnodes: {base_port: x}\n", "cluster: c\nnodes: {serving: []}\n"):
            with self.assertRaises(weir.Error, msg=text) as raised:
                self.read(text)
            self.assertEqual(raised.exception.kind, "invalid", text)
        with self.assertRaises(weir.Error) as raised, TemporaryDirectory() as directory:
            weir.Client(directory)
        self.assertEqual(raised.exception.kind, "not-found")

    def test_endpoints_are_checked(self):
        for good in ("tcp://127.0.0.1:1", "tcp://localhost:65535", "tcp://[::1]:7600", "ipc:///tmp/x", "tcp://a-b.c:7"):
            self.assertTrue(endpoint_ok(good), good)
        for bad in ("tcp://0.0.0.0:1", "tcp://*:1", "tcp://a:0", "tcp://a:65536", "tcp://a", "udp://a:1", "ipc://@x", "ipc://",
                    "ipc://a b", "tcp://:1", 5, "tcp://-a:1"):
            self.assertFalse(endpoint_ok(bad), bad)
        self.assertTrue(endpoint_is_local("tcp://127.0.0.9:1"))
        self.assertFalse(endpoint_is_local("tcp://127.0.0.1.example.org:1") or endpoint_is_local("tcp://0127.0.0.1:1"))


if __name__ == "__main__":
    unittest.main()
