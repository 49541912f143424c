"""What goes wrong, as one exception with the status words of docs/protocol.md."""

from __future__ import annotations

from typing import Mapping, Optional

KINDS: Mapping[str, str] = {
    "invalid": "arguments, or a request that breaks a rule: again will not help",
    "not-found": "no such view, stream, feature, project or key file",
    "exists": "it is there already",
    "corrupt": "what came is no answer to what was asked",
    "version": "the other side speaks another version of the protocol",
    "too-large": "over a limit of one message",
    "range": "a number outside what its type can hold",
    "io": "the disk or the network of this machine failed",
    "no-space": "a node's disk is full: ask again later",
    "busy": "a node has no room: ask again later, not before retry_ms",
    "stale": "ask again",
    "fenced": "ask again",
    "timeout": "nobody answered in time; it may have been done all the same",
    "unavailable": "nobody is there who can answer",
    "cancelled": "the client or the sender was closed",
    "unsupported": "not done by the version that answered, or a package is missing here",
    "denied": "the key is not accepted, or may not do that",
}

NO_ROOM = frozenset(("busy", "no-space"))
PASSING = NO_ROOM | {"unavailable", "timeout", "fenced", "stale"}


class Error(Exception):
    """Anything that weir could not do. `kind` is one of KINDS, the text says what and what to do, and `retry_ms` of
    "busy" and "no-space" in how many ms to ask again (None: it is not known)."""

    def __init__(self, kind: str, text: str, retry_ms: Optional[int] = None):
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.retry_ms = retry_ms

    def __reduce__(self) -> tuple[type[Error], tuple[str, str, Optional[int]]]:
        return type(self), (self.kind, self.text, self.retry_ms)

    @property
    def passing(self) -> bool:
        """May asking again help, without anything else being done?"""
        return self.kind in PASSING
