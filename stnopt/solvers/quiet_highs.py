"""HiGHS as a guest of the process: it prints nothing, and Ctrl-C stops it."""

from __future__ import annotations

import functools
import os
import sys
import threading

import highspy

#: Seconds that HiGHS has to notice that it is to stop.
_TIME_TO_STOP = 1.0


def new_highs() -> highspy.Highs:
    """Make a HiGHS object that prints nothing, on standard output neither."""
    _swallow_banner()
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("log_to_console", False)
    return highs


@functools.cache
def _swallow_banner() -> None:
    """Make the process's first object with standard output closed.

    HiGHS 1.16 prints its version there, before any option can be set.
    """
    try:
        sys.stdout.flush()
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    except (AttributeError, OSError, ValueError):
        return  # there is no standard output
    try:
        os.dup2(nowhere, 1)
        highspy.Highs()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def run_interruptibly(highs: highspy.Highs) -> highspy.HighsStatus:
    """Run HiGHS beside the main thread: Python sees a signal only between two calls of C code.

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
