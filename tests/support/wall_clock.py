"""A clock on the wall of one process that can be set while it runs, as root would set the machine's."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPILER = shutil.which("cc")
_SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True)
class WallClock:
    """What is started with `environ` goes by it; the clock that only goes forward is left as it is."""

    file: Path
    library: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "WALL_CLOCK": str(self.file)}

    def set(self, hours: float) -> None:
        """It is so many hours ahead of the machine's."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("=q", round(hours * 3600)))


def wall_clock(folder: Path) -> WallClock:
    """One that is right, in `folder`."""
    assert COMPILER is not None
    made = WallClock(folder / "clock", folder / "clock.so")
    made.file.write_bytes(bytes(8))
    command = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(made.library), str(_SOURCE)]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    return made
