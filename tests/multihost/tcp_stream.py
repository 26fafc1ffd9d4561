"""One TCP stream between two hosts and its rate: what iperf would say, without needing iperf.

Run on the hosts:  tcp_stream.py receive ADDRESS   |   tcp_stream.py send ADDRESS SECONDS
"""

import json
import socket
import sys
import time

PORT = 5201
BLOCK = bytes(64 * 1024)
CONNECT_TIMEOUT_S = 1.0
WARM_UP_BYTES = 512 * 1024  # The rate limiter's full bucket goes out at once; don't count it.


def receive(address: str) -> None:
    """Accept one stream, read it to its end, print its rate in Mbit/s of payload."""
    with socket.create_server((address, PORT)) as server:
        print("listening", flush=True)
        stream, _ = server.accept()
        with stream:
            count = 0
            while count < WARM_UP_BYTES and (block := stream.recv(len(BLOCK))):
                count += len(block)
            started, count = time.monotonic(), 0
            while block := stream.recv(len(BLOCK)):
                count += len(block)
    print(json.dumps({"rate_mbit": count * 8 / 1e6 / (time.monotonic() - started)}))


def send(address: str, duration_s: float) -> None:
    with socket.create_connection((address, PORT), CONNECT_TIMEOUT_S) as stream:
        stream.settimeout(None)
        end_at = time.monotonic() + duration_s
        while time.monotonic() < end_at:
            stream.sendall(BLOCK)


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(sys.argv[2])
    else:
        send(sys.argv[2], float(sys.argv[3]))
