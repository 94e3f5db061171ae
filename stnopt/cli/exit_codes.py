"""What the command's exit code says."""

OK = 0
#: The input cannot be used.
BAD_INPUT = 2
#: What was asked for is impossible: no schedule whatever exists.
IMPOSSIBLE = 3
#: A limit came before it was decided, or it was decided for some event points only.
UNDECIDED = 4
#: Stopped by Ctrl-C or SIGTERM; what was found so far is printed.
INTERRUPTED = 130
#: Nobody reads the output any more.
BROKEN_PIPE = 141
