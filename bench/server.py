"""Requests a second and latencies of `mentor serve` beside a minimal Python server with ONNX Runtime.

usage: python bench/server.py MENTOR RUN PICTURES/ [--seconds 10] [--rounds 3]
needs: see bench/onnx_server.py; prints a table. The client sends pictures over connections that stay open.
"""

import argparse
import http.client
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time


def load(port, pictures, clients, seconds):
    """Latencies in seconds of all requests of so many clients, each of which waits for its answer."""
    times, failures = [], []

    def client(first):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        own, index, end = [], first, time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            connection.request("POST", "/predict", pictures[index % len(pictures)])
            response = connection.getresponse()
            response.read()
            own.append(time.perf_counter() - start)
            if response.status != 200:
                failures.append(response.status)
            index += clients
        times.extend(own)

    threads = [threading.Thread(target=client, args=(index,)) for index in range(clients)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures, failures[:5]
    return sorted(times)


def wait_for(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing listens at port {port}")


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mentor")
    parser.add_argument("run")
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    kinds = {".png", ".jpg", ".jpeg"}
    files = [file for file in sorted(args.pictures.rglob("*")) if file.suffix.lower() in kinds]
    pictures = [file.read_bytes() for file in files]
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model.onnx"
        export = [args.mentor, "export", args.run, "--out", model]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        here = pathlib.Path(__file__).parent
        servers = {
            "mentor": ([args.mentor, "serve", args.run, "--port", "18080"], 18080),
            "python": ([sys.executable, here / "onnx_server.py", model, "18081"], 18081),
        }
        print("| server | clients | requests a second | p50 ms | p99 ms | CPU ms a request |")
        print("|---|---|---|---|---|---|")
        for clients in [1, 16]:
            for turn in range(args.rounds):
                for name, (command, port) in servers.items():
                    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
                    wait_for(port)
                    load(port, pictures, clients, 1)
                    before = cpu_seconds(process)
                    times = load(port, pictures, clients, args.seconds)
                    used = cpu_seconds(process) - before
                    process.terminate()
                    process.wait()
                    p50, p99 = (1000 * times[int(len(times) * share)] for share in [0.5, 0.99])
                    rate, cpu = len(times) / args.seconds, 1000 * used / len(times)
                    row = [name, clients, f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.2f}"]
                    print("|", " | ".join(map(str, row)), "|", flush=True)


main()
