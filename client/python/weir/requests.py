"""How each kind of request is asked, and asked again: queries, batches of rows, and calls of the coordinator."""

from __future__ import annotations

import time
from typing import Any, Optional

from .errors import NO_ROOM, PASSING, Error
from .network import Network, Request, backoff
from .node import GOOD, WAITS, Node
from .protocol import COORDINATOR, SERVING, SPEED, WORDS, Message, told

GET_S = 10.0  # a query without a deadline of its own
GRACE_S = 1.0  # past the deadline that the serving node keeps
INSIST_SECURED_S = 2.0  # a node that takes another key listens again within this
LOOK_S = 0.05  # while one is looked for
WATCH_S = 0.2  # while something is under way
ANSWER_S = 6.0  # before a batch is sent again: longer than a speed worker takes to give up itself
BUSY_PATIENCE = 10  # times as long as others one waits for those who say that they have no room


def _wrong_reply(request: Request, message: Message) -> Error:
    return Error("corrupt", f"{WORDS[request.role]} answered {request.kind} with {message.kind}")


class Query(Request):
    """A get. A node that is gone is passed over for another at once, one that is silent at half of the time."""

    def __init__(self, network: Network, body: dict[str, Any], deadline_ms: Optional[int], patience_ms: int):
        id, data = network.message("get", body)
        super().__init__(id, "get", SERVING, data)
        now = time.monotonic()
        seconds = deadline_ms / 1000 + GRACE_S if deadline_ms else GET_S
        self.patient = now + patience_ms / 1000  # until then that nobody can answer is not the end, …
        insist = INSIST_SECURED_S if network.keyring is not None else 0.0
        self.insist = max(self.patient, now + insist)  # … and until then not that nobody listens
        self.deadline = now + seconds + patience_ms / 1000
        self.half = now + seconds / 2
        self.rekeyed = False
        self.last: Optional[Node] = None

    def step(self, network: Network, now: float) -> float:
        if self.lost:
            self.set_down()
            self.due = now
        if now >= self.deadline:
            where = f" at {self.last.endpoint}" if self.last is not None else ""
            self._end(Error("timeout", f"{WORDS[SERVING]}{where} did not answer in time"))
            return now
        if self.node is not None and now >= self.half:
            self.half = self.deadline
            other = network.choose(SERVING, now, besides=self.node)
            if other is not None:
                self._send(other, now)
        if self.node is None and now >= self.due:
            self._find(network, now)
        wake = min(self.half, now + WATCH_S) if self.node is not None else max(self.due, now + LOOK_S)
        return min(wake, self.deadline)

    def _send(self, node: Node, now: float) -> bool:
        self.last = node
        return self.transmit(node, now)

    def _find(self, network: Network, now: float) -> None:
        node = network.choose(SERVING, now)
        if node is not None:
            if not self._send(node, now):
                self.due = now + LOOK_S
            return
        error = network.nobody(SERVING, now)
        if error is None:
            return
        until = self.insist if error.kind == "unavailable" else self.patient
        if network.foreign(SERVING) or (error.kind != "timeout" and now >= until):
            self._end(error)
        else:
            self.due = now + LOOK_S

    def _end(self, error: Error) -> None:
        self.set_down()
        self.error = error

    def take(self, network: Network, node: Node, message: Message, now: float) -> None:
        if message.kind == "error":
            self._refused(network, told(message.body), now)
            return
        if message.kind != "get.ok":
            self._end(_wrong_reply(self, message))
            return
        self.set_down()
        self.reply = message.body

    def _refused(self, network: Network, error: Error, now: float) -> None:
        """What is not accepted may be so with the keys that are in the files now."""
        if error.kind == "denied" and not self.rekeyed and network.rekey(now, at_once=True):
            self.rekeyed = True
            self.set_down()
            self.due = now
        elif error.kind in PASSING and now < self.patient:
            self.set_down()
            self.due = now + backoff(self.tries, error.retry_ms)
        else:
            self._end(error)


class Batch(Request):
    """Rows under a producer and a sequence: sent again, to one speed worker after the other, until it is acknowledged.
    When to give up is for the sender to say."""

    def __init__(self, id: int, data: bytes, sequence: int, rows: int, first_row: int):
        super().__init__(id, "send", SPEED, data)
        self.sequence, self.rows, self.first_row = sequence, rows, first_row
        self.complaint: Optional[Error] = None  # the last reason to try again
        self.no_room = 0.0  # when a worker said last that it has none

    def step(self, network: Network, now: float) -> float:
        if self.lost:
            self._try_again(now, None)
        if self.node is not None and now >= self.sent + ANSWER_S:
            # It is there and says nothing: others first, for as long as this has taken.
            self.node.says_nothing(now, ANSWER_S)
            self._try_again(now, None)
        if self.node is None and now >= self.due:
            self._transmit(network, now)
        return now + WATCH_S if self.node is not None else max(self.due, now + LOOK_S)

    def _try_again(self, now: float, asked_ms: Optional[int]) -> None:
        self.set_down()
        self.due = now + backoff(self.tries - 1, asked_ms)

    def _transmit(self, network: Network, now: float) -> None:
        nodes = network.nodes[SPEED]
        first = self.sequence + self.tries
        for i in range(len(nodes)):
            node = nodes[(first + i) % len(nodes)]
            if node.look(now) == GOOD and self.transmit(node, now):
                return
        error = network.nobody(SPEED, now)
        if error is not None and network.foreign(SPEED):
            self.error = error
        elif error is not None:
            self.complaint = error
            self.tries += 1
            self._try_again(now, None)

    def take(self, network: Network, node: Node, message: Message, now: float) -> None:
        if message.kind == "send.ok":
            self.set_down()
            self.reply = message.body
            return
        error = told(message.body) if message.kind == "error" else _wrong_reply(self, message)
        if error.kind == "denied" and network.rekey(now, at_once=True):
            error = Error("unavailable", error.text)  # by the key that we had
        if error.kind not in PASSING:
            self.set_down()
            self.error = error
            return
        self.complaint = error
        if error.kind in NO_ROOM:
            self.no_room = now
        if self.node is not None:
            self._try_again(now, error.retry_ms)


class Call(Request):
    """Asks the coordinator that leads. One that stands by is passed over: it has not done what it was asked for. So is
    one that is silent or gone, where asking twice does no harm."""

    def __init__(self, network: Network, kind: str, body: dict[str, Any], seconds: float, harmless: bool = True):
        id, data = network.message(kind, body)
        super().__init__(id, kind, COORDINATOR, data)
        now = time.monotonic()
        self.harmless = harmless
        self.deadline = now + seconds
        several = len(network.nodes[COORDINATOR]) > 1
        self.each = seconds / 3 if harmless and several else seconds
        self.insist = now + INSIST_SECURED_S if network.keyring is not None and harmless else now
        self.standing = False  # somebody was there, but none that leads
        self.rekeyed = False
        self.at = network.next_coordinator
        self.passed: set[Node] = set()  # in this round: they said that they stand by, or nothing

    def step(self, network: Network, now: float) -> float:
        if self.lost:
            if not self.harmless:
                return self._end(Error("timeout", "the connection to the coordinator was lost; it may have been done all "
                                       "the same"), now)
            self._next(now)
        if now >= self.deadline:
            return self._end(self._late(network), now)
        if self.node is not None and now >= self.sent + self.each:
            self._next(now)
        if self.node is None and now >= self.due:
            self._find(network, now)
        return min(self.sent + self.each, now + WATCH_S, self.deadline) if self.node is not None else (
            min(max(self.due, now + LOOK_S), self.deadline))

    def _late(self, network: Network) -> Error:
        if self.standing and self.harmless:
            return Error("unavailable", f"no coordinator leads just now, of {len(network.nodes[COORDINATOR])}")
        return Error("timeout", f"{WORDS[COORDINATOR]} did not answer in time")

    def _end(self, error: Error, now: float) -> float:
        self.set_down()
        self.error = error
        return now

    def _next(self, now: float) -> None:
        if self.node is not None:
            self.passed.add(self.node)
        self.set_down()
        self.due = now

    def _find(self, network: Network, now: float) -> None:
        nodes = network.nodes[COORDINATOR]
        for i in range(len(nodes)):
            node = nodes[(self.at + i) % len(nodes)]
            if node not in self.passed and node.look(now) == GOOD and self.transmit(node, now):
                return
        error = network.nobody(COORDINATOR, now)
        if error is None:
            if not any(node.look(now) == WAITS for node in nodes):
                self.passed.clear()  # all were asked: another round, a moment later
                self.due = now + LOOK_S
            return
        again = error.kind == "unavailable" and (self.standing or now < self.insist)
        if again or error.kind == "timeout":
            self.due = now + LOOK_S
        else:
            self._end(error, now)

    def take(self, network: Network, node: Node, message: Message, now: float) -> None:
        if message.kind == f"{self.kind}.ok":
            self.set_down()
            network.next_coordinator = network.nodes[COORDINATOR].index(node)
            self.reply = message.body
            return
        if message.kind != "error":
            self._end(_wrong_reply(self, message), now)
            return
        error = told(message.body)
        if "leader" in message.body:
            self._stands_by(network, node, message, now)
        elif error.kind == "denied" and not self.rekeyed and network.rekey(now, at_once=True):
            self.rekeyed = True
            self.set_down()
            self.due = now
        else:
            self._end(error, now)

    def _stands_by(self, network: Network, node: Node, message: Message, now: float) -> None:
        self.standing = True
        leader = network.take_leader(message)
        self._next(now)
        if leader is not None and leader is not node:
            self.at = network.nodes[COORDINATOR].index(leader)
