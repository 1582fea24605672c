"""Runs a command that may not choose how its threads are scheduled: a filter of seccomp says EPERM.

``python forbidding.py COMMAND ...``
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

# Of each machine: its AUDIT_ARCH, and the number of sched_setscheduler.
MACHINES = {"x86_64": (0xC000003E, 144), "aarch64": (0xC00000B7, 119)}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM = 0x7FFF0000, 0x00050001
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2


class Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid() -> None:
    machine, call = MACHINES[platform.machine()]
    steps = [
        (LOAD, 0, 0, 4),
        (EQUAL, 0, 3, machine),
        (LOAD, 0, 0, 0),
        (EQUAL, 0, 1, call),
        (RETURN, 0, 0, EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    content = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = Program(len(steps), content)
    libc = ctypes.CDLL(None, use_errno=True)
    for asked in (
        (NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*asked) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
