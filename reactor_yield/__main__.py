"""`python -m reactor_yield` is the command `reactor-yield`."""

from reactor_yield.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
