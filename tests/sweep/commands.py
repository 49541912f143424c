"""What happens at a point to `weir send` and `weir load`: the command runs under the injector and is
given again, as one does, until it says that it is done. Then every row of its file counts once."""
import os
import time

from control import FAULTS, Control
from town import Failure, Town
from work import COLUMNS, DEFINITIONS, SHOPS, TIME, Life
from wire import Refused, Silent

ROWS = 23
POINTS_PER_TOWN = 60
TRIES = 6
COMMANDS = {"send": ["--batch", "5"], "load": []}


class Commands:
    """A cluster that lasts for many points: each has a file with a key of its own."""

    def __init__(self, directory, bin_directory, inject, port=0):
        self.directory, self.bin, self.inject, self.port = directory, bin_directory, inject, port
        self.town, self.points = None, 0

    def open(self):
        if self.town is None or self.points >= POINTS_PER_TOWN:
            self.close()
            self.town, self.points = Town(self.directory / "town", self.bin, DEFINITIONS,
                                          port=self.port), 0
            self.town.start()
            self.life = Life(self.town)
            self.life.apply()
            self.town.wait_owned()
        self.points += 1

    def close(self):
        if self.town is not None:
            self.town.end()
        self.town = None

    def run(self, program, fault, at, trace=None):
        began = time.monotonic()
        self.open()
        control = Control(self.directory / "control", fault, at)
        self.town.control, self.town.fired_at, self.town.target = control, None, None
        failure, text, crashes = None, "", []
        try:
            self.live(program, control, trace, crashes)
        except Failure as error:
            failure, text = error.kind, str(error)
        except (Refused, Silent, OSError, ValueError, KeyError) as error:
            failure, text = "wrong", f"{type(error).__name__}: {error}"
        result = {"program": program, "fault": fault, "at": at, "failure": failure, "text": text,
                  "count": control.count, "fired": control.fired, "what": control.what,
                  "crashes": crashes, "notes": [], "seconds": time.monotonic() - began}
        self.town.control = None
        control.close()
        return result

    def write(self):
        """A file whose rows all have a user that no other point has."""
        self.user = self.points
        path = self.town.directory / f"file-{self.user}.csv"
        rows = [[self.user, i % len(SHOPS), i + 1, TIME + i] for i in range(ROWS)]
        path.write_text("\n".join([",".join(COLUMNS)] + [",".join(map(str, r)) for r in rows]) + "\n")
        return path

    def live(self, program, control, trace, crashes):
        path = self.write()
        environment = dict(os.environ, LD_PRELOAD=str(self.inject), WEIR_SWEEP=str(control.path))
        if trace:
            environment["WEIR_SWEEP_TRACE"] = str(trace)
        for _ in range(TRIES):
            code, out, err = self.town.weir(program, "payments", path, *COMMANDS[program],
                                            environment=environment)
            environment = None
            if code == 0 or (program == "load" and "loaded" in err and "--again" in err):
                break
            crashes.append(code)
            if code > 0 and not err:
                raise Failure("wrong", f"weir {program} ended with status {code} and does not say why")
        else:
            raise Failure("hang", f"weir {program} does not succeed: {err}")
        if program == "load":
            self.town.until(self.visible, "the load is visible")
        if FAULTS[control.fault][3]:  # where nothing could be removed either; once more, when it can
            self.town.until(lambda: not control.lasts, "the fault is over")
            self.town.weir(program, "payments", path, *COMMANDS[program])
        self.check()
        self.clean()

    def visible(self):
        return all(l["state"] in ("visible", "failed") for l in self.town.coordinator("loads")["loads"])

    def check(self):
        serving = self.town.client(self.town.endpoints["serving"])

        def complete():
            [result] = serving.get("users", [{"user": self.user}], seconds=1, deadline_ms=800)
            return result if result["complete"] else None

        found = tuple(self.town.until(complete, "a complete answer")["values"])
        wanted = (ROWS, ROWS * (ROWS + 1) // 2, ROWS)
        if found != wanted:
            kind = "loss" if found[0] < ROWS else "duplicate" if found[0] > ROWS else "wrong"
            raise Failure(kind, f"the file's rows are {found} and should be {wanted}")

    def clean(self):
        """No copy of a file that nobody loads is left, and no half of a producer's file."""
        data = self.town.directory / "data"

        def cleaned():
            left = [str(p) for below in ("incoming", "producers") for p in (data / below).glob("*")
                    if below == "incoming" or p.suffix == ".tmp"]
            if left:
                raise Silent(str(left))
            return True

        try:
            self.town.until(cleaned, "nothing is left behind", seconds=1, kind="left")
        except Failure:
            for below in ("incoming", "producers"):  # so that the next point does not find it too
                for path in (data / below).glob("*"):
                    if below == "incoming" or path.suffix == ".tmp":
                        path.unlink(missing_ok=True)
            raise
