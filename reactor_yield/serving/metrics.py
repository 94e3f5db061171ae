"""Counters in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_HELP = {
    "requests_total": "Requests answered, by path and status.",
    "rows_total": "Rows predicted.",
    "rows_out_of_range_total": "Rows outside the model's training range.",
    "rows_not_judged_total": "Rows without a prediction.",
    "alarms_total": "Rows in alarm.",
    "model_reloads_total": "Exchanges of the model, by outcome.",
    "late_requests_total": "Connections closed since no whole request arrived in time.",
    "captured_rows_total": "Rows kept for monitoring.",
}
KNOWN_PATHS = ("/ping", "/invocations", "/execution-parameters", "/metrics", "/openapi.json")


class Metrics:
    """Counts of one service; used from its event loop only."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], float] = defaultdict(float)
        self._buckets = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0

    def count(self, name: str, labels: str = "", amount: float = 1) -> None:
        """Add to a counter; `labels` as Prometheus writes them, such as `path="/ping"`."""
        self._counts[name, labels] += amount

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one answer, and its time if it was a prediction."""
        # Unknown paths are one label: a scanner must not fill the memory.
        known = path if path in KNOWN_PATHS else "other"
        self.count("requests_total", f'path="{known}",status="{status}"')
        if path == "/invocations":
            self._buckets[bisect_left(_BUCKETS, seconds)] += 1
            self._seconds += seconds

    def text(self, gauges: dict[str, float], model: str) -> str:
        """All counts, and some values of this moment, as text."""
        lines = []
        for name, told in _HELP.items():
            full = f"reactor_yield_{name}"
            lines += [f"# HELP {full} {told}", f"# TYPE {full} counter"]
            found = sorted((k, v) for (n, k), v in self._counts.items() if n == name)
            lines += [f"{full}{{{k}}} {v:g}" if k else f"{full} {v:g}" for k, v in found]
            if not found and "," not in told:
                lines.append(f"{full} 0")
        full = "reactor_yield_request_seconds"
        lines += [f"# HELP {full} Time to answer a prediction.", f"# TYPE {full} histogram"]
        total = 0
        for edge, n in zip((*_BUCKETS, "+Inf"), self._buckets, strict=True):
            total += n
            lines.append(f'{full}_bucket{{le="{edge}"}} {total}')
        lines += [f"{full}_sum {self._seconds:g}", f"{full}_count {total}"]
        for name, value in gauges.items():
            lines += [f"# TYPE reactor_yield_{name} gauge", f"reactor_yield_{name} {value:g}"]
        lines += ["# TYPE reactor_yield_model_info gauge", f"reactor_yield_model_info{{{model}}} 1"]
        return "\n".join(lines) + "\n"
