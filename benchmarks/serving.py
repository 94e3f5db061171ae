"""What the service stands: load, large requests, half-sent ones, memory; `/ping` throughout.

    python benchmarks/serving.py [rows] [slow] [load] [memory]

The model is the case study's, learned from 6,000 rows: ridge, and a Gaussian process of 2,500
points. The service runs on core 0, this program and `hey` (the load tool, needed for **load** and
**memory**) on the other. `/ping` is asked 50 times a second by a client of its own while each part
runs; what is printed is the slowest of its answers.

**rows**: 10,000 and 100,000 rows in one request. **slow**: 1,000 requests without their rest, of
each of five kinds; how many are open after the time-out; SIGTERM with them open. **load**: 300
single rows per second for 60 s. **memory**: resident size over 100,000 requests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import reactor_yield as ry
from reactor_yield.files import write_text

CONDITIONS = ["Fao", "Fbo", "P", "To", "m", "Ta"]
JSON = {"content-type": "application/json", "accept": "application/json"}
LINE = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"
HALVES = {
    "nothing": b"",
    "part of a line": LINE[:10],
    "part of a head": LINE,
    "head and a byte": LINE + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n[",
    "part of a chunk": LINE + b"Transfer-Encoding: chunked\r\n\r\n100\r\n[",
}


class Service:
    """`reactor-yield serve` on core 0, and a client that pings it from the other."""

    def __init__(self, model_file: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reactor_yield", "serve", model_file, "--port", str(self.port)],
            stderr=subprocess.DEVNULL,
        )
        if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(self.process.pid, {0})
            os.sched_setaffinity(0, {1})
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.ping()
                break
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        with contextlib.closing(client):
            client.request(method, path, body, JSON)
            answer = client.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}")
            return answer.read()

    def ping(self) -> float:
        """Seconds that `/ping` takes."""
        begun = time.perf_counter()
        self.ask("GET", "/ping")
        return time.perf_counter() - begun

    @contextlib.contextmanager
    def pinged(self):
        """Ping all the time; the list gets the seconds of each answer."""
        seconds: list[float] = []
        stop = threading.Event()

        def go() -> None:
            while not stop.wait(0.02):
                seconds.append(self.ping())

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield seconds
        finally:
            stop.set()
            thread.join()

    def cpu(self) -> float:
        """CPU seconds used so far."""
        found = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident kB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])

    def stop(self) -> float:
        """Seconds from SIGTERM to the end."""
        begun = time.perf_counter()
        self.process.terminate()
        self.process.wait(120)
        return time.perf_counter() - begun


def bench_rows(service: Service, rows: list[dict[str, float]]) -> None:
    """Time 10,000 and 100,000 rows in one request."""
    for n_rows, n_times in ((10_000, 5), (100_000, 1)):
        body = json.dumps((rows * 10)[:n_rows]).encode()
        found = []
        with service.pinged() as pings:
            for _ in range(n_times):
                begun, used = time.perf_counter(), service.cpu()
                service.ask("POST", "/invocations", body)
                found.append((time.perf_counter() - begun, service.cpu() - used))
        seconds, cpu = (", ".join(f"{v:.2f}" for v in some) for some in zip(*found, strict=True))
        print(f"{n_rows} rows: {seconds} s; CPU {cpu} s; ping at most {1e3 * max(pings):.0f} ms")


def bench_slow(service: Service, n: int = 1_000) -> None:
    """Leave requests half-sent."""
    for name, text in HALVES.items():
        with service.pinged() as pings:
            clients = [_half_send(service.port, text) for _ in range(n)]
            at_once = service.ping()
            begun = time.perf_counter()
            while n_open := sum(map(_is_open, clients)):
                if time.perf_counter() - begun > 30:
                    break
                time.sleep(0.1)
            seconds = time.perf_counter() - begun
        for client in clients:
            client.close()
        print(
            f"{n} half-sent ({name}): ping at once {1e3 * at_once:.0f} ms, at most "
            f"{1e3 * max(pings):.0f} ms of {len(pings)}; {n_open} open after {seconds:.1f} s",
            flush=True,
        )
    clients = [_half_send(service.port, list(HALVES.values())[i % 5]) for i in range(n)]
    print(f"SIGTERM with {n} half-sent: down after {service.stop():.2f} s", flush=True)
    for client in clients:
        client.close()


def _half_send(port: int, text: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(text)
    client.setblocking(False)
    return client


def _is_open(client: socket.socket) -> bool:
    try:
        return client.recv(100) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def bench_load(service: Service, one: Path, seconds: int = 60) -> None:
    """Ask for 300 single rows a second with `hey`: 10 clients, 30 each."""
    used = service.cpu()
    with service.pinged() as pings:
        said = _hey(service, one, "-z", f"{seconds}s", "-c", "10", "-q", "30")
    print(said)
    share = (service.cpu() - used) / seconds
    print(
        f"CPU {100 * share:.0f} % of the core; ping at most {1e3 * max(pings):.0f} ms", flush=True
    )


def bench_memory(service: Service, one: Path, n: int = 100_000) -> None:
    """Watch the resident size."""
    _hey(service, one, "-n", "5000", "-c", "8")
    sizes = [service.memory()]
    for _ in range(10):
        said = _hey(service, one, "-n", str(n // 10), "-c", "8")
        sizes.append(service.memory())
    print(f"resident kB over {n} requests: {sizes}\n{said}", flush=True)


def _hey(service: Service, one: Path, *options: str) -> str:
    url = f"http://127.0.0.1:{service.port}/invocations"
    heads = ["-T", "application/json", "-A", "application/json", "-m", "POST", "-D", str(one)]
    command = ["hey", *options, *heads, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wanted = ("Requests/sec", "Slowest", "50%", "99%", "[200]", "[4", "[5", "rror")
    return "; ".join(
        " ".join(line.split()) for line in said.splitlines() if any(w in line for w in wanted)
    )


def main(parts: list[str]) -> None:
    """Run the named parts, or all, with each kind of model."""
    parts = parts or ["rows", "slow", "load", "memory"]
    if {"load", "memory"} & set(parts) and shutil.which("hey") is None:
        sys.exit("load and memory need hey, the load tool, on the path")
    split = ry.split_dataset(ry.generate_dataset())
    rows = split.test.sample(10_000, replace=True, random_state=0)[CONDITIONS].to_dict("records")
    with tempfile.TemporaryDirectory() as folder:
        one, file = Path(folder) / "one.json", Path(folder) / "model.zip"
        write_text(one, json.dumps(rows[:1]))
        for kind in ("ridge", "gp"):
            ry.fit_yield_model(split.train, model=kind, n_points=2_500).save(file)
            load = ", ".join(f"{v:.1f}" for v in os.getloadavg())
            print(f"\n## {kind}, {len(split.train)} rows; load average {load}", flush=True)
            service = Service(file)
            if "rows" in parts:
                bench_rows(service, rows)
            if "load" in parts:
                bench_load(service, one)
            if "memory" in parts:
                bench_memory(service, one)
            if "slow" in parts:
                bench_slow(service)
            service.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
