"""Nodes that speak the protocol over real sockets and answer as a test says: what no cluster does on demand."""

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import msgpack
import zmq


class Node:
    """Answers each message by `answer(kind, body)`: (kind of the reply, body), a list of such, bytes as they are, or None
    for silence. `ping` is answered by itself, with the cluster's name. Listens at an ipc path of its own."""

    def __init__(self, answer, cluster="test"):
        self.answer, self.cluster = answer, cluster
        self.asked = []  # (kind, body), in order; pings left out
        self.directory = TemporaryDirectory(prefix="weir-")
        self.endpoint = f"ipc://{Path(self.directory.name) / 'node'}"
        self.start()

    def start(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(self.endpoint)
        self.stopping = self.context.socket(zmq.PAIR)
        self.stopping.bind("inproc://stop")
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        stop = self.context.socket(zmq.PAIR)
        stop.connect("inproc://stop")
        poller = zmq.Poller()
        poller.register(stop, zmq.POLLIN)
        poller.register(self.socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if stop in ready:
                break
            *address, data = self.socket.recv_multipart()
            magic, version, kind, id, body = msgpack.unpackb(data)
            assert (magic, version) == ("weir", 1)
            if kind == "ping":
                replies = [("ping.ok", {"node": "n", "kind": "serving", "cluster": self.cluster, "incarnation": 1})]
            else:
                self.asked.append((kind, body))
                replies = self.answer(kind, body)
            for reply in replies if isinstance(replies, list) else [replies] if replies is not None else []:
                data = reply if isinstance(reply, bytes) else msgpack.packb(["weir", 1, reply[0], id, reply[1]])
                self.socket.send_multipart([*address, data])
        stop.close(0)
        self.socket.close(0)

    def stop(self):
        self.stopping.send(b"")
        self.thread.join()
        self.stopping.close(0)
        self.context.term()

    def close(self):
        if self.thread.is_alive():
            self.stop()
        self.directory.cleanup()

    def bodies(self, kind):
        return [body for asked, body in self.asked if asked == kind]


def refused(status, text="no", **more):
    return "error", {"status": status, "text": text, **more}


def routes(serving=(), speed=()):
    return "routes.ok", {"version": 1, "partitions": 1, "owners": [], "serving": [n.endpoint for n in serving],
                         "speed": [n.endpoint for n in speed]}


def result(key, *values, **more):
    return {"key": key, "values": list(values), "as_of": 1_000_000, "complete": True,
            "positions": {"s/k/0": 7}, "dataset": "d1", "latest": [500_000], **more}


def got(body, *values, types=("int64",), features=("n",), version="v1"):
    """The reply to a get: the same values for each key."""
    view = body["view"].split("@")[0]
    return "get.ok", {"view": view, "version": version, "versions": {view: version}, "features": list(features),
                      "types": list(types), "roles": [view], "results": [result(key, *values) for key in body["keys"]]}


def acknowledged(body, **more):
    return "send.ok", {"accepted": len(body["rows"]), "refused_count": 0, "refused": [],
                       "positions": {"s/k/0": body["sequence"]}, **more}
