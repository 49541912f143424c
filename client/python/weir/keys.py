"""Keys as docs/security.md has them: our own pair, and the public keys of the nodes that are trusted."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Optional

import zmq

from .errors import Error

_FILE_MAX = 4096
_LINE = r'^[ \t]*{}[ \t]*=[ \t]*"([^"\n]{{40}})"'


def _read(path: Path) -> tuple[bytes, int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Error("not-found", f"cannot read the key {path}: there is no such file") from None
    except OSError as error:
        raise Error("io", f"cannot read the key {path}: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise Error("invalid", f"the key {path} is no file that can be read")
        return file.read(_FILE_MAX), mode


def _find(data: bytes, name: str) -> Optional[bytes]:
    found = re.search(_LINE.format(name).encode(), data, re.M)
    return found[1] if found else None


def _pair(path: Path) -> tuple[bytes, bytes]:
    data, mode = _read(path)
    if mode & 0o077:
        raise Error("invalid", f"others than its owner may use the secret key {path} (mode {mode & 0o777:03o}): "
                    f"`chmod 600 {path}`, and if they may have read it, make a new one with `weir keygen`")
    public, secret = _find(data, "public-key"), _find(data, "secret-key")
    if public is None or secret is None:
        raise Error("invalid", f'{path} has no lines public-key = "..." and secret-key = "..." with keys of 40 '
                    "characters; `weir keygen` writes such files")
    try:
        belongs = zmq.curve_public(secret) == public
    except (zmq.ZMQError, ValueError):
        belongs = False
    if not belongs:
        raise Error("invalid", f"the two keys in {path} do not belong together; `weir keygen` makes new ones")
    return public, secret


class Keyring:
    """The files of a directory of keys as they were when they were read. `complaint` says of a file of a node's key
    that it is not as it should be: it is not used."""

    def __init__(self, directory: Path, key: Optional[Path]):
        self.directory = directory
        self.key = key if key is not None else directory / "client.secret"
        self.print = self._take_print()  # first: what changes while we read is read again
        self.complaint = ""
        try:
            self.public, self._secret = _pair(self.key)
        except Error as error:
            if error.kind != "not-found":
                raise
            raise Error("not-found", "the cluster has security on, and this needs a key (`weir keygen client --role "
                        f"admin` makes one; `key=` names another): {error.text}") from None
        self.servers = self._read_servers()

    def __repr__(self) -> str:
        return f"<Keyring {self.directory}>"  # and no key

    def _read_servers(self) -> list[bytes]:
        found: list[bytes] = []
        accepted = self.directory / "accepted"
        if not accepted.is_dir():
            raise Error("not-found", f"cannot read the directory of accepted keys {accepted} (`weir keygen` makes it)")
        for path in sorted(accepted.glob("*.node.pub")):
            try:
                data, mode = _read(path)
            except Error as error:
                self.complaint = self.complaint or error.text
                continue
            key = _find(data, "public-key")
            if mode & 0o022:
                self.complaint = self.complaint or (
                    f"others than its owner may write to the accepted key {path} (mode {mode & 0o777:03o}): `chmod 644 "
                    f"{path}`, and look whether it is still the key that it was")
            elif key is None:
                self.complaint = self.complaint or f'{path} has no line public-key = "..." with a key of 40 characters'
            elif key not in found:
                found.append(key)
        return found

    def _take_print(self) -> tuple[object, ...]:
        """Names, sizes and times of all that was read."""
        paths = [self.key, self.directory / "accepted", *sorted((self.directory / "accepted").glob("*.node.pub"))]
        return tuple((str(path), *_about(path)) for path in paths)

    def changed(self) -> bool:
        return self._take_print() != self.print

    def use(self, socket: zmq.Socket[bytes], server: bytes) -> None:
        """Makes a socket speak CURVE with our pair, and take the other side for `server`."""
        socket.curve_publickey, socket.curve_secretkey = self.public, self._secret
        socket.curve_serverkey = server


def _about(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
