"""Rows of one stream in batches, several under way, each until it is acknowledged."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence

from . import protocol
from .errors import Error
from .protocol import CELLS_MAX, PRODUCER_SIZE, ROWS_MAX, WINDOW_MAX
from .requests import BUSY_PATIENCE, Batch
from .rows import Cells, check_columns, gather, row_cells

if TYPE_CHECKING:
    from .client import Client

BATCH_BYTES = 8 << 20  # a batch is cut in two above that
PRODUCER_AGE_S = 86400.0  # then a sender takes another id
LISTED_MAX = 10_000  # refused rows that a report lists


class Refused(NamedTuple):
    """A row that was not taken: its number, from 0 in the order given, and why."""

    row: int
    reason: str


@dataclass
class Report:
    """What has come of rows. All that is acknowledged is durable, and seen by every query from then on."""

    rows: int = 0  # given
    acknowledged: int = 0  # of these: in batches that were
    accepted: int = 0
    refused_count: int = 0
    refused: list[Refused] = field(default_factory=list)  # the first ones: 100 of a batch, 10,000 in all
    positions: dict[str, int] = field(default_factory=dict)  # by "stream/key/partition": all rows are below

    def add(self, batch: Batch, body: dict[str, Any]) -> None:
        accepted, refused = protocol.field(body, "accepted", int), protocol.field(body, "refused_count", int)
        told = [Refused(batch.first_row + protocol.field(one, "row", int), protocol.field(one, "reason", str))
                for one in protocol.items(body, "refused", dict)]
        positions = protocol.mapping(body, "positions", int)
        self.acknowledged += batch.rows
        self.accepted += accepted
        self.refused_count += refused
        self.refused += told[:max(0, LISTED_MAX - len(self.refused))]
        for log, position in positions.items():
            self.positions[log] = max(position, self.positions.get(log, 0))


def new_producer() -> bytes:
    """A new producer's id, for those who keep it: the time, and random bytes."""
    return (time.time_ns() // 1000).to_bytes(8, "big") + os.urandom(8)


class Producer:
    """An id, and its sequences: which is next, and which are not acknowledged. None goes out before the one `window`
    below it is acknowledged, so that owners can tell all that are under way apart."""

    def __init__(self, id: Optional[bytes] = None, first: int = 1, window: int = 16):
        self.id = id if id is not None else new_producer()
        self.own = id is None
        self.made = time.monotonic()
        self.window = window
        self.next = first
        self.open: set[int] = set()

    @property
    def oldest(self) -> int:
        """The oldest that is not acknowledged; all below are."""
        return min(self.open, default=self.next)

    @property
    def has_room(self) -> bool:
        return self.next < self.oldest + self.window

    @property
    def is_old(self) -> bool:
        """Owners refuse ids two days after they were made. Whoever gave one has to know that himself."""
        return self.own and time.monotonic() > self.made + PRODUCER_AGE_S

    def take(self) -> int:
        """The next sequence, which is under way from now on."""
        assert self.has_room
        self.open.add(self.next)
        self.next += 1
        return self.next - 1

    def acknowledge(self, sequence: int) -> None:
        self.open.discard(sequence)


class Sender:
    """Made by Client.sender. `put` gathers rows into batches, `flush` waits until all are acknowledged, which leaving a
    `with` block does too. An Error that ends it (a batch was refused as a whole, nobody acknowledged anything for
    patience_ms) is raised by every later call, too."""

    def __init__(self, client: Client, stream: str, columns: Optional[Sequence[str]], batch_rows: int, linger_ms: int,
                 window: int, patience_ms: int, producer: Optional[bytes], first_sequence: int, resumed: bool):
        if not isinstance(stream, str) or not 1 <= len(stream.encode(errors="replace")) <= protocol.NAME_MAX:
            raise Error("invalid", f"a sender names a stream, in 1 to {protocol.NAME_MAX} bytes")
        if not 1 <= batch_rows <= ROWS_MAX:
            raise Error("invalid", f"a batch has 1 to {ROWS_MAX} rows")
        if not 1 <= window <= WINDOW_MAX:
            raise Error("invalid", f"a window is 1 to {WINDOW_MAX} batches")
        if producer is not None and len(producer) != PRODUCER_SIZE:
            raise Error("invalid", f"a producer's id has {PRODUCER_SIZE} bytes (weir.new_producer makes one)")
        if producer is None and (resumed or first_sequence != 1):
            raise Error("invalid", "`first_sequence` and `resumed` are for a `producer` that goes on")
        if not 1 <= first_sequence < 1 << 62:
            raise Error("invalid", "first_sequence is 1 or more")
        self._client, self.stream = client, stream
        self._columns = None if columns is None else check_columns(columns)
        if self._columns is not None and batch_rows * len(self._columns) > CELLS_MAX:
            raise Error("invalid", f"a batch has at most {CELLS_MAX} values")
        self._batch_rows, self._linger, self._patience = batch_rows, linger_ms / 1000, patience_ms / 1000
        # Owners remember each id for days: one that has nothing under way is used again.
        pooled = client._producers.pop(stream, None) if producer is None else None
        self._producer = pooled if pooled is not None else Producer(producer, first_sequence)
        self._producer.window = window
        self._resumed = resumed
        self._batches: dict[int, Batch] = {}
        self._rows: list[Any] = []  # of the batch that is gathered
        self._gathered_at = 0.0
        self._progress = time.monotonic()  # when something was acknowledged last, or nothing was under way
        self._ended: Optional[Error] = None
        self._report = Report()

    # ---- what it says ----

    @property
    def report(self) -> Report:
        """What has come of all rows so far."""
        return self._report

    @property
    def producer(self) -> bytes:
        return self._producer.id

    @property
    def next_sequence(self) -> int:
        """That of the next batch."""
        return self._producer.next

    @property
    def acknowledged_sequence(self) -> int:
        """The highest below and at which all are acknowledged: what a producer keeps that is to go on after its end."""
        return self._producer.oldest - 1

    # ---- rows ----

    def put(self, row: Any) -> None:
        """Adds a row, copied: a mapping from fields to values, or a value for each of the columns. Waits while the
        window is full. Error "invalid" for a row that cannot be sent, which harms nothing; whatever else is raised, a
        KeyboardInterrupt too, ends the sender."""
        with self._client._alone:
            self._check()
            cells = row_cells(row, self._columns, self._report.rows)
            try:
                self._put(cells)
            except BaseException as error:
                self._end_of(error)
                raise

    def push(self) -> None:
        """Sends the rows put so far without waiting for more: the end of a batch. Waits while the window is full."""
        with self._client._alone:
            self._check()
            try:
                self._push()
            except BaseException as error:
                self._end_of(error)
                raise

    def flush(self, timeout_ms: Optional[int] = None) -> Report:
        """Pushes, and waits until everything is acknowledged. Error "timeout" when that takes longer than `timeout_ms`;
        then it may be asked again."""
        self.push()
        with self._client._alone:
            wait = float("inf") if timeout_ms is None else timeout_ms / 1000
            self._drive(lambda: not self._batches, wait)
            if self._batches:
                raise Error("timeout", f"{len(self._batches)} batches are not acknowledged yet")
            return self._report

    def close(self) -> None:
        """Gives up what is not acknowledged: flush first."""
        with self._client._alone:
            if self._ended is None and not self._batches and self._producer.own and self._client._network is not None:
                self._client._producers[self.stream] = self._producer
            self._give_up(Error("cancelled", "the sender was closed"))

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    # ---- inside ----

    def _check(self) -> None:
        if self._ended is not None:
            raise self._ended

    def _give_up(self, error: Error) -> None:
        if self._ended is None:
            self._ended = error
        network = self._client._network
        if network is not None:
            network.withdraw(self._batches.values())
        self._batches.clear()
        self._rows.clear()

    def _end_of(self, error: BaseException) -> None:
        """Of rows that a signal came upon while they were given away it is not known what was sent."""
        self._give_up(error if isinstance(error, Error) else Error("cancelled", "the sender was interrupted"))

    def _put(self, cells: Any) -> None:
        now = time.monotonic()
        if not self._rows:
            self._gathered_at = now
        self._rows.append(cells)
        self._report.rows += 1
        if len(self._rows) >= self._batch_rows or now >= self._gathered_at + self._linger:
            self._push()

    def _push(self) -> None:
        if self._rows:
            first = self._report.rows - len(self._rows)
            rows, self._rows = self._rows, []
            self._send(gather(rows, self._columns), first)

    def _put_all(self, cells: Cells) -> None:
        """Rows of a frame, as a batch of their own."""
        with self._client._alone:
            self._check()
            try:
                self._push()
                self._report.rows += len(cells.rows)
                self._send(cells, self._report.rows - len(cells.rows))
            except BaseException as error:
                self._end_of(error)
                raise

    def _send(self, cells: Cells, first_row: int) -> None:
        """Under the next sequence, when there is room in the window: as several where they are too much for one."""
        count = len(cells.rows)
        if count * len(cells.columns) > CELLS_MAX:
            self._halve(cells, first_row)
            return
        if self._producer.is_old:
            self._drive(lambda: not self._batches)
            self._producer = Producer(window=self._producer.window)
        self._drive(lambda: self._producer.has_room)
        network = self._client._alive()
        id = network.new_id()
        body: dict[str, Any] = {
            "stream": self.stream, "producer": self.producer, "sequence": self._producer.next,
            "oldest": self._producer.oldest, "columns": cells.columns, "rows": cells.rows}
        if self._resumed:
            body["resumed"] = True
        try:
            data = protocol.encode("send", id, body)
        except Error as error:
            if error.kind == "too-large" and count > 1:
                self._halve(cells, first_row)
                return
            raise Error(error.kind, f"row {first_row if count == 1 else _culprit(cells, first_row)}: {error.text}") from None
        if len(data) > BATCH_BYTES and count > 1:
            self._halve(cells, first_row)
            return
        sequence = self._producer.take()
        if not self._batches:
            self._progress = time.monotonic()
        batch = self._batches[sequence] = Batch(id, data, sequence, count, first_row)
        network.submit(batch)
        self._drive(lambda: True)

    def _halve(self, cells: Cells, first_row: int) -> None:
        half = (len(cells.rows) + 1) // 2
        if half == len(cells.rows):
            raise Error("too-large", f"row {first_row} is over the limit of a message")
        self._send(Cells(cells.columns, cells.rows[:half]), first_row)
        self._send(Cells(cells.columns, cells.rows[half:]), first_row + half)

    def _drive(self, until: Any, wait: float = float("inf")) -> None:
        """Runs the loop, taking acknowledgements, until it is so."""

        def look() -> bool:
            self._collect()
            return bool(until())

        self._client._alive().run(look, wait)
        self._check()

    def _collect(self) -> None:
        done = [batch for batch in self._batches.values() if batch.done]
        try:
            for batch in done:
                self._client._alive().withdraw([batch])
                self._report.add(batch, batch.result())
                del self._batches[batch.sequence]
                self._producer.acknowledge(batch.sequence)
                self._progress = time.monotonic()
        except BaseException as error:
            self._end_of(error)
            raise
        self._check_patience()

    def _check_patience(self) -> None:
        now = time.monotonic()
        waited = now - self._progress
        if not self._batches or waited < self._patience:
            return
        no_room = max(batch.no_room for batch in self._batches.values())
        if no_room > 0 and now - no_room < self._patience and waited < BUSY_PATIENCE * self._patience:
            return  # they are there, and say when there will be room
        why = next((batch.complaint.text for batch in self._batches.values() if batch.complaint is not None),
                   "no speed worker answers")
        error = Error("unavailable", f"{len(self._batches)} batches were not acknowledged for {waited:.0f} s: {why}")
        self._give_up(error)
        raise error


def _culprit(cells: Cells, first_row: int) -> int:
    """The number of the row that cannot be encoded."""
    for at, row in enumerate(cells.rows):
        try:
            protocol.encode("send", 0, {"row": row})
        except Error:
            return first_row + at
    return first_row
