"""The garbage collector of a worker: kept from stopping every request at once (ADR 23).

Python frees almost everything as soon as nothing refers to it. The collector looks for what refers to one another
only, and a full collection walks through every object of the process while all requests wait: a fifth of a second for
what the modules, models and routes of a gateway consist of, none of which is ever garbage.
"""

import gc

FULL_EVERY = 50
"""Collections of the middle generation between two full ones, five times what is usual: about 350 000 new containers,
which is more than five thousand new connections have, and less than 50 MB if all of them were garbage."""


def pause() -> None:
    """Look for no garbage while the process starts: there is none, and looking is a fifth of the start."""
    gc.disable()


def leave_out_what_is_there() -> None:
    """Look for garbage from now on, among what is made from now on, in a process that `pause` was called in."""
    if gc.isenabled():
        return
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_EVERY)
    gc.enable()
