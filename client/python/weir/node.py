"""One node: a connection that is made when somebody wants it, given up when it fails, and made anew.

libzmq says by a socket monitor what becomes of a connection: so what was sent to a node that is gone is known to be lost
at once, and nothing is ever queued for one that is not there. Nothing else than a `ping` is sent to a node before it
has said which cluster it is of."""

from __future__ import annotations

import socket as sockets
import traceback
from typing import TYPE_CHECKING, Optional

import zmq
from zmq.utils.monitor import parse_monitor_message

from .errors import Error
from .protocol import MESSAGE_MAX, WORDS, Message, decode, told

if TYPE_CHECKING:
    from .keys import Keyring
    from .network import Network

GOOD, WAITS, BAD = "good", "waits", "bad"

LOOK_S = 0.2  # so soon a node that was gone is tried again
DENIED_S = 0.5  # the same of one that does not accept our key, or is of another cluster
CONNECT_S = 3.0  # to connect, and to shake hands
PING_S = 1.0  # for the answer to a ping; doubled with each that has none, up to …
SILENT_MAX_S = 5.0
ROUNDS = 3  # a handshake is broken off by a node that starts, stops or takes another key, too: so often each server is tried
AGAIN_S = 0.05  # between these rounds
GREET_S = 0.5

_WATCHED = (zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_FAILED = (zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
           | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_MECHANISM_MISMATCH = 0x11000002

# TCP notices who vanished, within 6 s. (ZeroMQ's own heartbeats would too, but libzmq 4.3.4 aborts when one is due on a
# connection that broke while its queue was full.)
_OPTIONS = (
    (zmq.LINGER, 0), (zmq.MAXMSGSIZE, MESSAGE_MAX), (zmq.RECONNECT_IVL, -1), (zmq.CONNECT_TIMEOUT, 2000),
    (zmq.HANDSHAKE_IVL, 3000), (zmq.TCP_MAXRT, 6000), (zmq.TCP_KEEPALIVE, 1), (zmq.TCP_KEEPALIVE_IDLE, 2),
    (zmq.TCP_KEEPALIVE_INTVL, 1), (zmq.TCP_KEEPALIVE_CNT, 4))


def wants_key(endpoint: str) -> bool:
    """Does who listens there take only connections with keys? By its greeting (RFC 23, ZMTP 3.0), which names the
    mechanism. False when that is not certain within half a second."""
    ours = b"\xff\0\0\0\0\0\0\0\1\x7f\3"  # the signature, and a major version: the mechanism is told then
    try:
        if endpoint.startswith("ipc://"):
            stream = sockets.socket(sockets.AF_UNIX)
            stream.settimeout(GREET_S)
            stream.connect(endpoint[6:])
        else:
            host, port = endpoint[6:].rsplit(":", 1)
            stream = sockets.create_connection((host.strip("[]"), int(port)), GREET_S)
        with stream:
            stream.sendall(ours)
            theirs = b""
            while len(theirs) < 32:
                more = stream.recv(64)
                if not more:
                    return False
                theirs += more
            return theirs[12:32].rstrip(b"\0") == b"CURVE" and theirs[0] == 0xff and theirs[9] == 0x7f
    except OSError:
        return False


class Node:
    def __init__(self, network: Network, role: str, endpoint: str):
        self.network, self.role, self.endpoint = network, role, endpoint
        self.socket: Optional[zmq.Socket[bytes]] = None
        self.monitor: Optional[zmq.Socket[bytes]] = None
        self.shaken = False  # the handshake is over
        self.recognized = network.cluster is None  # it has said that it is of our cluster
        self.ping_id = 0  # 0: none is under way
        self.due = 0.0  # of what is waited for in `open` and of a ping
        self.silent = 0  # pings without an answer, one after the other
        self.failures = 0  # handshakes, one after the other
        self.server = 0  # which of the trusted it is taken for
        self.again = 0.0  # when a handshake that was broken off is tried again
        self.bad_until = 0.0
        self.why: Optional[Error] = None
        self.foreign = False
        self.losses = 0  # connections: what was under way over one will not be answered
        self.asked = 0  # gets that are under way

    # ---- its state ----

    def look(self, now: float) -> str:
        """GOOD: it can be sent to. WAITS: that is being found out. BAD: it is passed over for a while; see `why`."""
        if now < self.bad_until:
            return BAD
        if self.socket is None and now >= self.again:
            self._open(now)
        if self.socket is None:
            return BAD if now < self.bad_until else WAITS
        return GOOD if self.shaken and self.recognized else WAITS

    def send(self, data: bytes) -> bool:
        """To one that is GOOD. False: it takes no more just now."""
        assert self.socket is not None
        try:
            self.socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def heard(self) -> None:
        self.bad_until = 0.0
        self.silent = 0

    def pass_over(self, now: float, seconds: float, why: Error) -> None:
        self.why = why
        self.bad_until = max(self.bad_until, now + seconds)

    def says_nothing(self, now: float, seconds: float) -> None:
        self.pass_over(now, seconds, Error("timeout", f"{WORDS[self.role]}: {self.endpoint} does not answer"))

    def close(self) -> None:
        if self.socket is None:
            return
        self.network.forget(self)
        if self.monitor is not None:
            self.socket.disable_monitor()
            self.monitor.close(0)
        self.socket.close(0)
        self.socket = self.monitor = None
        self.shaken = False
        self.ping_id = 0
        self.losses += 1

    def _drop(self, now: float, seconds: float, why: Error) -> None:
        self.close()
        self.pass_over(now, seconds, why)

    # ---- connecting ----

    def _open(self, now: float) -> None:
        keyring, server = self.network.keyring, None
        if keyring is not None:
            if not keyring.servers:
                more = f" that can be used: {keyring.complaint}" if keyring.complaint else ""
                self.pass_over(now, DENIED_S, Error("denied", "no node is trusted: keys/accepted has no NAME.node.pub"
                                                    f"{more}; see docs/security.md"))
                return
            if self.failures == 0 and self.network.trusted in keyring.servers:
                self.server = keyring.servers.index(self.network.trusted)
            server = keyring.servers[self.server % len(keyring.servers)]
        try:
            self._connect(now, keyring, server)
        except zmq.ZMQError as error:
            self._drop(now, DENIED_S, Error("invalid", f"{self.endpoint} cannot be connected to: {error}"))
        except BaseException as error:
            # A signal: a socket that only the frames of its making know would keep the context from ending.
            traceback.clear_frames(error.__traceback__)
            self.close()
            raise

    def _connect(self, now: float, keyring: Optional[Keyring], server: Optional[bytes]) -> None:
        self.socket = self.network.context.socket(zmq.DEALER)
        for option, value in _OPTIONS:
            self.socket.setsockopt(option, value)
        self.socket.setsockopt(zmq.IPV6, int("[" in self.endpoint))
        if keyring is not None and server is not None:
            keyring.use(self.socket, server)
        self.monitor = self.socket.get_monitor_socket(_WATCHED)
        self.due = now + CONNECT_S
        self.network.remember(self)
        self.socket.connect(self.endpoint)

    def step(self, now: float) -> float:
        """What is due; when next."""
        if self.socket is None or (self.shaken and self.ping_id == 0):
            return now + 3600
        if now < self.due:
            return self.due
        if self.shaken:
            wait = min(LOOK_S * 2 ** min(self.silent, 5), SILENT_MAX_S)
            self.silent += 1
        else:
            wait = LOOK_S
        self._drop(now, wait, Error("timeout", f"{WORDS[self.role]}: {self.endpoint} does not answer"))
        return now

    def take_events(self, now: float) -> None:
        """What has become of the connection."""
        while self.monitor is not None:
            try:
                told_event = parse_monitor_message(self.monitor.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            event = told_event["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._succeeded(now)
            elif event & _FAILED or (event == zmq.EVENT_DISCONNECTED and not self.shaken):
                self._failed(now, event, told_event["value"])
            elif event == zmq.EVENT_DISCONNECTED:
                self._drop(now, 0, Error("unavailable", f"{self.endpoint} has closed the connection"))
            elif event == zmq.EVENT_CLOSED:
                self._drop(now, LOOK_S, Error("unavailable", f"nobody listens at {self.endpoint}: is the node running? "
                                              "(`weir up` starts all nodes)"))

    def _succeeded(self, now: float) -> None:
        self.shaken = True
        self.failures = 0
        keyring = self.network.keyring
        if keyring is not None:
            self.network.trusted = keyring.servers[self.server % len(keyring.servers)]
        if not self.recognized:
            self.ping_id, data = self.network.message("ping", {})
            self.due = now + PING_S
            self.send(data)

    def _failed(self, now: float, event: int, value: int) -> None:
        """A handshake. Where it was broken off another of the nodes' keys may be the right one."""
        keyring = self.network.keyring
        self.failures += 1
        if keyring is None:
            self._failed_without_keys(now, event, value)
            return
        refused = event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
        if (refused or self.failures % len(keyring.servers) == 0) and self.network.rekey(now, at_once=True):
            return  # with other keys it is another matter
        if refused:
            self._drop(now, DENIED_S, Error(
                "denied", f"{self.endpoint} does not accept this key (public key {keyring.public.decode()}): its operator "
                "has to put it into keys/accepted, which nodes read once a second; see docs/security.md"))
        elif self.failures < ROUNDS * len(keyring.servers):
            self.server += 1
            self._again(now, AGAIN_S if self.failures % len(keyring.servers) == 0 else 0.0)
        else:
            self.failures = 0
            self._drop(now, DENIED_S, Error(
                "denied", f"who listens at {self.endpoint} has none of the {len(keyring.servers)} nodes' keys in "
                "keys/accepted, or no security at all; see docs/security.md"))

    def _failed_without_keys(self, now: float, event: int, value: int) -> None:
        certain = event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and value == _MECHANISM_MISMATCH
        if certain or wants_key(self.endpoint):
            self._drop(now, DENIED_S, Error(
                "denied", f"who listens at {self.endpoint} wants a key, and none is set: the cluster has security on; put "
                "`security: {keys: DIR}` into weir.yaml, or give `keys=DIR`, with a secret key and the nodes' public one "
                "in DIR; see docs/security.md"))
            return
        if self.failures < ROUNDS:
            self._again(now, AGAIN_S)
            return
        self.failures = 0
        self._drop(now, LOOK_S, Error("unavailable", f"{self.endpoint} has broken the handshake off: it is no node of weir, "
                                      "or one that is just starting or stopping"))

    def _again(self, now: float, wait: float) -> None:
        self.close()
        self.again = now + wait

    # ---- messages ----

    def take_messages(self, now: float) -> None:
        opened = self.socket
        while opened is not None and self.socket is opened:
            try:
                frames = opened.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            message = decode(frames[-1])
            if message is not None:
                self.network.take(self, message, now)

    def take_ping(self, message: Message, now: float) -> None:
        self.ping_id = 0
        self.heard()
        if message.kind == "error":
            self._drop(now, DENIED_S, told(message.body))
            return
        cluster = message.body.get("cluster")
        self.foreign = message.kind != "ping.ok" or cluster != self.network.cluster
        if self.foreign:
            self._drop(now, DENIED_S, Error("invalid", f"{self.endpoint} is cluster '{cluster}', not "
                                            f"'{self.network.cluster}'"))
        self.recognized = not self.foreign
