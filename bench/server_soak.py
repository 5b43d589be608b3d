"""`mentor serve` under minutes of mixed requests: statuses, times, and memory over time.

usage: python bench/server_soak.py PORT PID PICTURES/ [--seconds 300] [--requests 100000] [--clients 8]
needs: nothing but Python; a server that runs as process PID and has an index of pictures for /search.

Of ten requests six ask for one picture, one for eight pictures, one for an embedding, one for the nearest
pictures, and one is damaged: a picture that is cut, an unknown route or a body that is no form. A client
keeps its connection; every tenth answer it closes it. The soak ends after the seconds or the requests, whichever
comes first. A line of figures is printed every tenth of the time.
"""

import argparse
import collections
import http.client
import pathlib
import random
import statistics
import threading
import time

FORM = "multipart/form-data; boundary=b"


def memory(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def form(pictures):
    head = b"--b\r\ncontent-disposition: form-data; name=a; filename=a\r\n\r\n"
    return b"".join(head + picture + b"\r\n" for picture in pictures) + b"--b--\r\n"


def drawn(rng, pictures):
    """Path, media type, body, and the statuses that are right for it."""
    picture, kind = rng.choice(pictures), rng.randrange(10)
    if kind < 6:
        return "/predict", "image/png", picture, {200}
    if kind == 6:
        return "/predict", FORM, form(rng.choices(pictures, k=8)), {200}
    if kind == 7:
        return "/embed", "image/png", picture, {200}
    if kind == 8:
        return "/search?top=5", "image/png", picture, {200}
    damaged = [
        ("/predict", "image/png", picture[: len(picture) // 2], {200, 422}),
        ("/nothing", "image/png", picture, {404}),
        ("/predict", FORM, picture, {400}),
        ("/predict", "text/plain", b"a text", {415}),
    ]
    return rng.choice(damaged)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    files = sorted(path for path in args.pictures.rglob("*") if path.suffix.lower() in {".png", ".jpg"})
    pictures = [path.read_bytes() for path in files]
    statuses, wrong, times, lock = collections.Counter(), collections.Counter(), [], threading.Lock()
    end = time.monotonic() + args.seconds
    left = iter(range(args.requests))

    def work(seed):
        rng, connection = random.Random(seed), None
        while time.monotonic() < end and next(left, None) is not None:
            path, media_type, body, right = drawn(rng, pictures)
            start = time.perf_counter()
            # Behind a body that it did not read a server may close: a client asks again on a new connection.
            for is_kept in [True, False] if connection else [False]:
                connection = connection or http.client.HTTPConnection("127.0.0.1", args.port, timeout=60)
                try:
                    connection.request("POST", path, body, {"content-type": media_type})
                    answer = connection.getresponse()
                    answer.read()
                    status = answer.status
                    break
                except OSError as error:
                    status, connection = "asked again" if is_kept else type(error).__name__, None
                    statuses[status] += is_kept
            taken = time.perf_counter() - start
            if connection and rng.randrange(10) == 0:
                connection.close()
                connection = None
            with lock:
                statuses[status] += 1
                wrong[f"{path} {status}"] += status not in right
                times.append(taken)

    print(f"{len(pictures)} pictures; memory at the start {memory(args.pid):.0f} MiB", flush=True)
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(args.clients)]
    [worker.start() for worker in workers]
    for _ in range(10):
        time.sleep(args.seconds / 10)
        with lock:
            print(f"{sum(statuses.values())} requests, memory {memory(args.pid):.0f} MiB", flush=True)
        if not any(worker.is_alive() for worker in workers):
            break
    [worker.join() for worker in workers]
    time.sleep(1)
    cuts = statistics.quantiles(times, n=100)
    print(f"statuses: {dict(sorted(statuses.items(), key=str))}")
    print(f"wrong: {dict(+wrong)}")
    print(f"p50 {1e3 * cuts[49]:.1f} ms, p99 {1e3 * cuts[98]:.1f} ms, largest {1e3 * max(times):.0f} ms")
    print(f"memory at the end {memory(args.pid):.0f} MiB")


main()
