"""Run one service as a child of the supervisor: ``python -m nimbus_embedded.child <parent pid> <lock> <module>``.

On Linux the kernel is asked to end the service when the supervisor dies, however it dies, so that a killed
supervisor leaves no service behind that holds the port.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent ends; end at once when it has ended already."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Entry point: ``child.py <parent pid> <lock> <module> [argument ...]``.

    The lock is a file descriptor that stays open as long as this process lives, and is not for what it starts.
    """
    parent, lock, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _die_with_parent(parent)
    os.set_inheritable(lock, False)  # noqa: FBT003 - positional by its signature
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
