"""Messages as docs/protocol.md writes them: framing, and reading bodies that nobody has checked."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import msgpack

from .errors import KINDS, Error

MAGIC = "weir"
VERSION = 1
MESSAGE_MAX = 16 << 20  # bytes
KEYS_MAX = 4096  # in one get
ROWS_MAX = 65536  # in one send
COLUMNS_MAX = 1024
CELLS_MAX = 1 << 20
NAME_MAX = 255  # bytes
WINDOW_MAX = 64  # sequences of a producer that owners tell apart
PRODUCER_SIZE = 16

COORDINATOR, SERVING, SPEED = "coordinator", "serving", "speed"
WORDS = {COORDINATOR: "the coordinator", SERVING: "a serving node", SPEED: "a speed worker"}


class Message(NamedTuple):
    kind: str
    id: int
    body: dict[str, Any]


def encode(kind: str, id: int, body: dict[str, Any]) -> bytes:
    """The bytes of a message. Error: text that is not UTF-8, a number past 64 bits, or all of it too large."""
    try:
        data: bytes = msgpack.packb([MAGIC, VERSION, kind, id, body], use_bin_type=True)
    except UnicodeEncodeError as error:
        raise Error("invalid", f"a text is not Unicode that can be sent: {error}") from None
    except (OverflowError, ValueError, TypeError) as error:
        raise Error("invalid", f"a value cannot be sent: {error}") from None
    if len(data) > MESSAGE_MAX:
        raise Error("too-large", f"the request has {len(data)} bytes, and a message at most {MESSAGE_MAX}")
    return data


def decode(data: bytes) -> Optional[Message]:
    """A message; None for bytes that are none, which are dropped."""
    try:
        whole = msgpack.unpackb(data, raw=False, unicode_errors="surrogateescape")
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError):
        return None
    if not isinstance(whole, list) or len(whole) != 5 or whole[0] != MAGIC:
        return None
    _, version, kind, id, body = whole
    if not isinstance(kind, str) or not _is_int(id) or not isinstance(body, dict):
        return None
    if version != VERSION:
        return Message("error", id, {"status": "version", "text": f"the answer is of version {version!r} of the "
                                     f"protocol, and this package speaks {VERSION}"})
    return Message(kind, id, body)


def told(body: dict[str, Any]) -> Error:
    """The error of an `error` message."""
    status, text, retry = body.get("status"), body.get("text"), body.get("retry_ms")
    kind = status if isinstance(status, str) and status in KINDS else "invalid"
    wait = retry if isinstance(retry, int) and retry > 0 else None
    return Error(kind, text if isinstance(text, str) else "", wait)


# ---- fields of a body that came from outside: there, and of their type ----


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def corrupt(what: str) -> Error:
    return Error("corrupt", f"the answer does not fit the question: {what}")


def field(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise corrupt(f"{name!r} is {'not there' if value is None else f'a {type(value).__name__}'}")
    return value


def items(body: dict[str, Any], name: str, kind: type, optional: bool = False) -> list[Any]:
    """A list of what is all of one type."""
    if optional and body.get(name) is None:
        return []
    values: list[Any] = field(body, name, list)
    if not all(isinstance(value, kind) and (kind is not int or not isinstance(value, bool)) for value in values):
        raise corrupt(f"{name!r} has something else than {kind.__name__} in it")
    return values


def mapping(body: dict[str, Any], name: str, kind: type, optional: bool = False) -> dict[str, Any]:
    """A map from names to what is all of one type."""
    if optional and body.get(name) is None:
        return {}
    found: dict[str, Any] = field(body, name, dict)
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, kind):
            raise corrupt(f"{name!r} has something else than names and {kind.__name__} in it")
    return found
