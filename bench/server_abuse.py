"""`mentor serve` under malformed requests and many connections: statuses, and memory before and after.

usage: python bench/server_abuse.py PORT PID PICTURE [--requests 10000] [--connections 1000]
needs: nothing but Python; a server that runs as process PID. Raise `ulimit -n` for many connections.
"""

import argparse
import collections
import pathlib
import random
import socket
import threading
import time


def memory(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def ask(port, request, is_damaged=False):
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as stream:
            stream.sendall(request)
            stream.settimeout(0.25 if is_damaged else 30)
            try:
                answer = stream.recv(65536)
            except TimeoutError:
                # It waits for the rest. The server drops a request whose client sends no more.
                stream.shutdown(socket.SHUT_WR)
                stream.settimeout(30)
                answer = stream.recv(65536)
            return int(answer.split(b" ")[1]) if answer else 0
    except (OSError, IndexError, ValueError):
        return 0


def request(path, media_type, body):
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {media_type}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def seeds(picture):
    form = b"--b\r\ncontent-disposition: form-data; name=a; filename=a\r\n\r\n" + picture + b"\r\n--b--\r\n"
    tensor = b'{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,1,1,3],"data":[1,2,3]}]}'
    return [
        request("/predict", "image/png", picture),
        request("/predict", "multipart/form-data; boundary=b", form),
        request("/embed", "x", b"P5 60000 60000 255\n"),
        request("/v2/models/x/infer", "application/json", tensor),
        b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ]


def damaged(rng, seed):
    bytes_ = bytearray(seed)
    kind, place = rng.randrange(4), rng.randrange(len(seed))
    if kind == 0:
        del bytes_[place:]
    elif kind == 1:
        for _ in range(rng.randrange(1, 20)):
            bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
    elif kind == 2:
        bytes_[place:place] = rng.randbytes(rng.randrange(1, 200))
    else:
        del bytes_[place : place + rng.randrange(1, 50)]
    return bytes(bytes_)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--connections", type=int, default=1000)
    args = parser.parse_args()
    picture = args.picture.read_bytes()
    whole = seeds(picture)

    def several(count, threads, make):
        statuses, lock = collections.Counter(), threading.Lock()

        def work(number):
            rng, own = random.Random(number), collections.Counter()
            for _ in range(count // threads):
                own[ask(args.port, make(rng), True)] += 1
            with lock:
                statuses.update(own)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        [worker.start() for worker in workers]
        [worker.join() for worker in workers]
        return dict(sorted(statuses.items()))

    print(f"memory at the start: {memory(args.pid):.0f} MiB")
    found = [ask(args.port, whole[0]) for _ in range(1000)].count(200)
    print(f"after {found} good requests: {memory(args.pid):.0f} MiB")
    for turn in range(2):
        found = several(args.requests // 2, 40, lambda rng: damaged(rng, rng.choice(whole)))
        print(f"after {(turn + 1) * args.requests // 2} malformed ones: {memory(args.pid):.0f} MiB; {found}")

    streams = [socket.create_connection(("127.0.0.1", args.port), 60) for _ in range(args.connections)]
    print(f"{len(streams)} connections are open: {memory(args.pid):.0f} MiB")
    start = time.perf_counter()
    for stream in streams:
        stream.sendall(whole[0])
    statuses = collections.Counter(int(stream.recv(65536).split(b" ")[1]) for stream in streams)
    taken = time.perf_counter() - start
    print(f"a request on each, at once: {dict(statuses)} in {taken:.1f} s; {memory(args.pid):.0f} MiB")
    [stream.close() for stream in streams]
    silent = [socket.create_connection(("127.0.0.1", args.port), 60) for _ in range(args.connections)]
    for stream in silent:
        stream.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-le")
    start = time.perf_counter()
    answers = collections.Counter(stream.recv(1024)[9:12].decode() or "closed" for stream in silent)
    taken = time.perf_counter() - start
    print(f"connections that never end their head: {dict(answers)} after {taken:.1f} s")
    time.sleep(1)
    print(f"a good request: {ask(args.port, whole[0])}; {memory(args.pid):.0f} MiB")


main()
