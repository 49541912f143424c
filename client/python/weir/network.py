"""All nodes that are known, and one loop for all that is asked of them. Nothing happens outside of it: no thread runs
beside libzmq's own, which does the network's work."""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Iterable, Optional

import zmq

from .errors import Error
from .keys import Keyring
from .node import GOOD, WAITS, Node
from .project import Project, endpoint_is_local, endpoint_ok
from .protocol import COORDINATOR, SERVING, SPEED, WORDS, Message, encode

WAIT_MAX_S = 1.0  # of one poll: keys are looked at once a second
ROUTES_AGAIN_S = 0.5
NODES_MAX, COORDINATORS_KNOWN_MAX = 64, 16


def backoff(tries: int, asked_ms: Optional[int]) -> float:
    """Seconds to wait before asking again: ever longer, or as long as a node asked for if that is longer, and a little
    more at random, so that all who were told do not come back together."""
    wait = min(20 << min(tries, 7), 2000)
    if asked_ms is not None and asked_ms > wait:
        wait = min(asked_ms, 30000)  # longer than that nobody waits because a node says so
    return (wait + random.uniform(0, wait / 2)) / 1000


class Request:
    """Something that is asked, until it has a reply or an error."""

    def __init__(self, id: int, kind: str, role: str, data: bytes):
        self.id, self.kind, self.role, self.data = id, kind, role, data
        self.node: Optional[Node] = None  # that it is under way with
        self.losses = 0
        self.tries = 0
        self.sent = self.due = 0.0
        self.reply: Optional[dict[str, Any]] = None
        self.error: Optional[Error] = None

    @property
    def done(self) -> bool:
        return self.reply is not None or self.error is not None

    def result(self) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        assert self.reply is not None
        return self.reply

    def transmit(self, node: Node, now: float) -> bool:
        self.set_down()
        if not node.send(self.data):
            return False
        self.node, self.losses, self.sent = node, node.losses, now
        self.tries += 1
        node.asked += 1
        return True

    def set_down(self) -> None:
        if self.node is not None:
            self.node.asked -= 1
            self.node = None

    @property
    def lost(self) -> bool:
        return self.node is not None and self.node.losses != self.losses

    def step(self, network: Network, now: float) -> float:
        """Does what is due; when next."""
        raise NotImplementedError

    def take(self, network: Network, node: Node, message: Message, now: float) -> None:
        raise NotImplementedError


class Network:
    def __init__(self, project: Project, keyring: Optional[Keyring]):
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.cluster = project.cluster
        self.keyring = keyring
        self.trusted = b""  # the server that proved to be one last
        self.may_be_far = project.may_be_far
        self.requests: dict[int, Request] = {}
        self._poller = zmq.Poller()
        self._open: set[Node] = set()
        self._next_id = 1
        self._keys_looked = time.monotonic()
        self._routes_id = 0
        self._routes_at = 0
        self._routes_due = 0.0
        self._routes_wanted = self._routes_told = False
        self.next_coordinator = 0
        named = {COORDINATOR: project.coordinators, SERVING: project.serving, SPEED: project.speed_workers}
        self.nodes = {role: [Node(self, role, endpoint) for endpoint in endpoints] for role, endpoints in named.items()}

    def close(self) -> None:
        for node in list(self._open):
            node.close()
        self.requests.clear()
        self.context.destroy(0)  # and sockets of an open that a signal has cut short

    # ---- asking ----

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def message(self, kind: str, body: dict[str, Any]) -> tuple[int, bytes]:
        id = self.new_id()
        return id, encode(kind, id, body)

    def submit(self, request: Request) -> None:
        """Where nobody was there a moment ago somebody may be now: who asks anew is not told what was."""
        nodes = self.nodes[request.role]
        if not any(node.shaken for node in nodes):
            for node in nodes:
                if node.why is not None and node.why.kind == "unavailable":
                    node.bad_until = 0.0
        self.requests[request.id] = request

    def withdraw(self, requests: Iterable[Request]) -> None:
        """What comes of them is of no interest any more."""
        for request in requests:
            request.set_down()
            self.requests.pop(request.id, None)

    def run(self, until: Callable[[], bool], wait: float = float("inf")) -> None:
        """Runs the loop until it is so, for at most `wait` seconds."""
        end = time.monotonic() + wait
        self.pump(0)
        while not until():
            left = end - time.monotonic()
            if left <= 0:
                return
            self.pump(left)

    def pump(self, wait: float) -> None:
        """Does what is due, and takes what has come, waiting for that for at most `wait` seconds."""
        now = time.monotonic()
        self.rekey(now)
        due = self._step(now)
        quiet = max(0.0, min(wait, due - now, WAIT_MAX_S))
        # Rounded up: a poll that ends just before what is due is one in vain.
        ready = self._poller.poll(int(quiet * 1000 + 0.999))
        if not ready:
            return
        now = time.monotonic()
        for node in list(self._open):
            node.take_messages(now)
            node.take_events(now)

    def _step(self, now: float) -> float:
        due = now + 3600.0
        for request in list(self.requests.values()):
            if not request.done:
                due = min(due, request.step(self, now))
        if self._routes_wanted and now >= self._routes_due:
            self._ask_routes(now)
        for node in list(self._open):
            due = min(due, node.step(now))
        return due

    def take(self, node: Node, message: Message, now: float) -> None:
        """A message of a node."""
        if message.id == node.ping_id and node.ping_id:
            node.take_ping(message, now)
            return
        if message.id == self._routes_id and self._routes_id:
            node.heard()
            self._take_routes(message)
            return
        request = self.requests.get(message.id)
        if request is not None and not request.done:
            node.heard()
            request.take(self, node, message, now)

    # ---- sockets ----

    def remember(self, node: Node) -> None:
        self._open.add(node)
        self._poller.register(node.socket, zmq.POLLIN)
        self._poller.register(node.monitor, zmq.POLLIN)

    def forget(self, node: Node) -> None:
        self._open.discard(node)
        for opened in (node.socket, node.monitor):
            if opened in self._poller:
                self._poller.unregister(opened)

    # ---- keys ----

    def rekey(self, now: float, at_once: bool = False) -> bool:
        """Takes other keys up when their files have changed, looking at most once a second unless `at_once`. True when
        it did: all connections are made anew."""
        if self.keyring is None or (not at_once and now < self._keys_looked + 1):
            return False
        self._keys_looked = now
        if not self.keyring.changed():
            return False
        try:
            self.keyring = Keyring(self.keyring.directory, self.keyring.key)
        except Error:
            return False  # files that are half changed are looked at again
        for node in list(self._open):
            node.close()
        for nodes in self.nodes.values():
            for node in nodes:
                node.bad_until, node.failures = 0.0, 0
        return True

    # ---- which node ----

    def choose(self, role: str, now: float, besides: Optional[Node] = None) -> Optional[Node]:
        """The good node that has least of ours; None when there is none."""
        good = [node for node in self.nodes[role] if node is not besides and node.look(now) == GOOD]
        return min(good, key=lambda node: node.asked, default=None)

    def nobody(self, role: str, now: float) -> Optional[Error]:
        """With no node good: None as long as one is to be waited for, otherwise what is wrong."""
        nodes = self.nodes[role]
        if any(node.look(now) in (GOOD, WAITS) for node in nodes):
            return None
        if role != COORDINATOR:
            self._routes_wanted = True
        if nodes:
            return self._worst(role)
        if not self._routes_told:
            return self.nobody(COORDINATOR, now)
        return Error("unavailable", f"the cluster has not got {WORDS[role]}")

    def foreign(self, role: str) -> bool:
        return any(node.foreign for node in self.nodes[role])

    def _worst(self, role: str) -> Error:
        """Of the troubles the one that says most: another cluster, a key, silence, nobody."""

        def weight(node: Node) -> int:
            kind = node.why.kind if node.why else "unavailable"
            return 3 if node.foreign else {"unavailable": 0, "timeout": 1}.get(kind, 2)

        worst = max(self.nodes[role], key=weight)
        if weight(worst) > 0 and worst.why is not None:
            return worst.why
        listed = ", ".join(node.endpoint for node in self.nodes[role])
        return Error("unavailable", f"cannot reach {WORDS[role]} at {listed}: is the cluster up? start it with `weir up -d`")

    # ---- other nodes ----

    def _ask_routes(self, now: float) -> None:
        coordinators = self.nodes[COORDINATOR]
        for i in range(len(coordinators)):
            node = coordinators[(self._routes_at + i) % len(coordinators)]
            if node.look(now) != GOOD:
                continue
            self._routes_at = (self._routes_at + i + 1) % len(coordinators)  # the next time another: this may stand by
            self._routes_id, data = self.message("routes", {})
            self._routes_due = now + ROUTES_AGAIN_S
            self._routes_wanted = False  # until somebody finds none again
            node.send(data)
            return

    def _take_routes(self, message: Message) -> None:
        self._routes_id = 0
        if message.kind == "routes.ok":
            for role, name in ((SERVING, "serving"), (SPEED, "speed")):
                names = message.body.get(name)
                for endpoint in names if isinstance(names, list) else []:
                    self._add(role, endpoint, NODES_MAX)
            self._routes_told = True
        elif message.kind == "error":
            self.take_leader(message)
            self._routes_due = 0.0

    def take_leader(self, message: Message) -> Optional[Node]:
        """The coordinator that an error names as leading; None when it names none."""
        return self._add(COORDINATOR, message.body.get("leader"), COORDINATORS_KNOWN_MAX)

    def _add(self, role: str, endpoint: object, most: int) -> Optional[Node]:
        """Those that are known stay. What a coordinator names is checked before anything connects to it."""
        if not isinstance(endpoint, str) or not endpoint_ok(endpoint):
            return None
        for node in self.nodes[role]:
            if node.endpoint == endpoint:
                return node
        if len(self.nodes[role]) >= most or not (self.may_be_far or endpoint_is_local(endpoint)):
            return None
        self.nodes[role].append(Node(self, role, endpoint))
        return self.nodes[role][-1]
