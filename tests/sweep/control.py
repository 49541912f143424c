"""The injector's control page (control.h), from the driver's side; and the faults that there are."""
import errno
import mmap
import os
import struct

MAGIC = 0x50455753
LAYOUT = struct.Struct("<IIIiQIIQ256s")
DISK, NET, MEMORY = 1, 2, 4
NONE, KILL, AFTER, TORN, ERROR, SHORT, STOP = range(7)

# name: (kinds of calls, what is done there, errno, from there on)
FAULTS = {
    "disk-kill": (DISK, KILL, 0, False),
    "disk-kill-after": (DISK, AFTER, 0, False),
    "disk-torn": (DISK, TORN, 0, False),
    "disk-eio": (DISK, ERROR, errno.EIO, False),
    "disk-enospc": (DISK, ERROR, errno.ENOSPC, False),
    "disk-full": (DISK, ERROR, errno.ENOSPC, True),
    "disk-broken": (DISK, ERROR, errno.EIO, True),
    "disk-eintr": (DISK, ERROR, errno.EINTR, False),
    "disk-enomem": (DISK, ERROR, errno.ENOMEM, False),
    "disk-emfile": (DISK, ERROR, errno.EMFILE, False),
    "disk-short": (DISK, SHORT, 0, False),
    "disk-stop": (DISK, STOP, 0, False),
    "net-kill": (NET, KILL, 0, False),
    "net-eintr": (NET, ERROR, errno.EINTR, False),
    "net-eagain": (NET, ERROR, errno.EAGAIN, False),
    "net-emfile": (NET, ERROR, errno.EMFILE, False),
    "net-emfile-on": (NET, ERROR, errno.EMFILE, True),
    "net-reset": (NET, ERROR, errno.ECONNRESET, False),
    "net-refused": (NET, ERROR, errno.ECONNREFUSED, False),
    "net-short": (NET, SHORT, 0, False),
    "net-stop": (NET, STOP, 0, False),
    "memory-kill": (MEMORY, KILL, 0, False),
    "memory-enomem": (MEMORY, ERROR, errno.ENOMEM, False),
}


class Control:
    """One page; made anew for each point."""

    def __init__(self, path, fault, at):
        self.path, self.fault = path, fault
        kinds, action, error, sticky = FAULTS[fault]
        with open(path, "wb") as page:
            page.write(LAYOUT.pack(MAGIC, action, kinds, error, at, sticky, 0, 0, b""))
        self.file = os.open(path, os.O_RDWR)
        self.page = mmap.mmap(self.file, LAYOUT.size)

    def close(self):
        self.page.close()
        os.close(self.file)

    @property
    def count(self):
        return LAYOUT.unpack(self.page[:])[7]

    @property
    def fired(self):
        """How often the fault was done."""
        return LAYOUT.unpack(self.page[:])[6]

    @property
    def what(self):
        return LAYOUT.unpack(self.page[:])[8].split(b"\0")[0].decode(errors="replace")

    @property
    def lasts(self):
        """Is it done at each call from now on?"""
        sticky, fired = LAYOUT.unpack(self.page[:])[5:7]
        return sticky and fired

    def once(self):
        """It is not done any more, if it was."""
        self.page[24:28] = struct.pack("<I", 0)
