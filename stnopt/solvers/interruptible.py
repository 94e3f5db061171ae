"""A run of HiGHS that Ctrl-C stops: Python sees a signal only between two calls of C code."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import highspy

#: Seconds that HiGHS has to notice that it is to stop.
_TIME_TO_STOP = 1.0


def run_interruptibly(highs: highspy.Highs) -> highspy.HighsStatus:
    """Run HiGHS beside the main thread, which can then be interrupted.

    `Highs.solve` with `HandleKeyboardInterrupt` prints on standard output and swallows the
    interrupt; this does neither.

    Raises
    ------
    KeyboardInterrupt
        When it came while HiGHS ran; HiGHS is told to stop first.
    """
    if threading.current_thread() is not threading.main_thread():
        return highs.run()  # signals are the main thread's
    highs.HandleUserInterrupt = True
    ended: list[highspy.HighsStatus] = []
    over = threading.Event()  # an interrupted `join` takes its thread for ended (bpo-45274)

    def work() -> None:
        try:
            ended.append(highs.run())
        finally:
            over.set()

    try:
        threading.Thread(target=work, daemon=True).start()
        while not over.wait(0.5):  # without a limit, Windows would not see Ctrl-C
            pass
    except KeyboardInterrupt:
        highs.cancelSolve()
        over.wait(_TIME_TO_STOP)
        raise
    return ended[0]
