"""The weir protocol as docs/protocol.md writes it: a client, and a producer of events."""
import os
import time
from pathlib import Path

import msgpack
import zmq
import zmq.auth

# Builds with sanitizers are slower: every deadline is stretched by this.
SLOWER = float(os.environ.get("WEIR_SLOWER", "1"))


class Refused(Exception):
    """The node answered with an error."""

    def __init__(self, body):
        super().__init__(f"{body['status']}: {body['text']}")
        self.status, self.text, self.body = body["status"], body["text"], body
        self.leader = body.get("leader")  # of a coordinator that does not lead: which one does, or ""


class Silent(Exception):
    """No answer within the time given."""


class Keys:
    """What a client of a cluster with security needs: its own pair, from the file of its secret key,
    and the nodes' public keys, the first of which is the right one until it proves not to be."""

    default = None  # of clients that are not given any: None is without security

    def __init__(self, secret_file):
        self.secret_file = Path(secret_file)
        self.read()

    def read(self):
        self.own = zmq.auth.load_certificate(self.secret_file)
        accepted = self.secret_file.parent / "accepted"
        self.servers = [zmq.auth.load_certificate(f)[0] for f in sorted(accepted.glob("*.node.pub"))]

    def use(self, socket):
        socket.curve_publickey, socket.curve_secretkey = self.own
        socket.curve_serverkey = self.servers[0]

    def next(self):
        """Another server may be the one, or another key of ours; as the files are now."""
        first = self.servers[0]
        self.read()
        if first in self.servers:
            at = self.servers.index(first) + 1
            self.servers = self.servers[at:] + self.servers[:at]


class Client:
    """A socket to one node, for one thread. After silence it connects anew."""

    def __init__(self, endpoint, keys=None):
        self.endpoint, self.id, self.socket = endpoint, 0, None
        self.context = zmq.Context.instance()
        self.keys = keys or Keys.default

    def close(self):
        if self.socket is not None:
            self.socket.close(0)
            self.socket = None

    def send_bytes(self, data):
        if self.socket is None:
            self.socket = self.context.socket(zmq.DEALER)
            self.socket.linger = 0
            self.socket.reconnect_ivl = 20
            if self.keys:
                self.keys.use(self.socket)
            self.socket.connect(self.endpoint)
        self.socket.send(data)

    def receive(self, seconds):
        """The next message of the node, decoded."""
        if not self.socket.poll(int(max(seconds, 0) * 1000)):
            raise Silent(f"no answer from {self.endpoint}")
        return msgpack.unpackb(self.socket.recv_multipart()[-1])

    def ask(self, kind, body=None, seconds=10 * SLOWER):
        self.id += 1
        self.send_bytes(msgpack.packb(["weir", 1, kind, self.id, body or {}]))
        deadline = time.monotonic() + seconds
        try:
            while True:
                _, _, kind_found, id_found, reply = self.receive(deadline - time.monotonic())
                if id_found == self.id:
                    break
        except Silent:
            self.close()
            raise Silent(f"no answer to {kind} from {self.endpoint} within {seconds:g} s") from None
        if kind_found == "error":
            raise Refused(reply)
        return reply

    def get(self, view, keys, seconds=10 * SLOWER, **more):
        """The results of a query, each with its values by name as "features"."""
        reply = self.ask("get", {"view": view, "keys": keys, **more}, seconds)
        for result in reply["results"]:
            result["features"] = dict(zip(reply["features"], result["values"]))
        return reply["results"]


class Producer:
    """Sends batches in order, each again and again to one speed worker after the other until it is
    acknowledged: so the batch that it sends is always the oldest that is not."""

    def __init__(self, endpoints, keys=None):
        self.id = (time.time_ns() // 1000).to_bytes(8, "big") + os.urandom(8)
        self.clients = [Client(endpoint, keys) for endpoint in endpoints]
        self.sequence, self.retries, self.next = 0, 0, 0

    def send(self, stream, columns, rows, seconds=30 * SLOWER, patience=1.0):
        self.sequence += 1
        body = {"stream": stream, "producer": self.id, "sequence": self.sequence, "oldest": self.sequence,
                "columns": columns, "rows": rows}
        deadline = time.monotonic() + seconds
        while True:
            client = self.clients[self.next % len(self.clients)]
            try:
                return client.ask("send", body, patience)
            except Silent as error:
                last = error
            except Refused as error:
                if error.status not in ("busy", "no-space", "unavailable", "timeout", "fenced", "stale"):
                    raise
                last = error
            if time.monotonic() > deadline:
                raise AssertionError(f"not acknowledged within {seconds:g} s: {last}")
            self.next += 1
            self.retries += 1
            time.sleep(0.02)

    def close(self):
        for client in self.clients:
            client.close()
