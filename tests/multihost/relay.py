"""A cable that loses, delays, reorders, repeats and forges packets: a process between two devices.

Not every kernel has netem, so each packet passes through here. Knows nothing of hosts or switches.
Run as a program it needs no other module of ours, and draws everything from its seed.
"""

import dataclasses
import heapq
import json
import random
import select
import socket
import struct
import sys
import time
from typing import Any

SOL_PACKET = 263  # Of Linux; not in Python's socket module.
PACKET_VNET_HDR = 15  # With each frame comes what the network card was still to do with it.
PACKET_IGNORE_OUTGOING = 23
ALL_PROTOCOLS = 3
MOST_FRAME_BYTES = 1 << 17
BURST = 64  # Frames taken from one side before it is the other's turn.
NO_WORK = bytes(10)  # A struct virtio_net_hdr: no checksum and no cutting is left to the card.
ETHERNET, IPV4, TCP = 14, b"\x08\x00", 6
RESET_AND_ACKNOWLEDGE = 0x14
FAULTS = ("lost", "delayed", "repeated", "held_back", "too_long", "reset")
COUNTS = (*FAULTS, "carried", "overflowed")


@dataclasses.dataclass(frozen=True)
class Way:
    """What happens to the packets of one direction. Shares are of one, times in seconds."""

    lost: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0  # At most, on top of the delay; the order is kept.
    held_back: float = 0.0  # So many are overtaken by others, …
    held_back_s: float = 0.005  # … for this long.
    repeated: float = 0.0
    reset: float = 0.0  # So many with data become the end of their connection.
    longest_bytes: int = MOST_FRAME_BYTES  # Longer ones vanish, and nobody is told.


CLEAR = Way()
BLACK_HOLE = Way(lost=1.0)


class Relay:
    """The way to a relay's process, for whoever has started it with the other end of a socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def set(self, *, up: Way = CLEAR, down: Way = CLEAR) -> dict[str, int]:
        """Change both directions (up: from the host); return what has happened so far."""
        ways = [dataclasses.asdict(way) for way in (up, down)]
        self._channel.send(json.dumps(ways).encode())
        counts: dict[str, int] = json.loads(self._channel.recv(1 << 12))
        return counts

    def close(self) -> None:
        self._channel.close()


class Cable:
    """Both directions, what is on its way, and what has happened to it."""

    def __init__(self, ends: tuple[socket.socket, socket.socket], rng: random.Random) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        self.ways = [CLEAR, CLEAR]
        self.ends = ends
        self._rng = rng
        self._flying: list[tuple[float, int, int, bytes]] = []  # Until when, which, from where.
        self._count = 0
        self._last_due = [0.0, 0.0]

    def take(self, side: int, now: float) -> None:
        """Take in what has come from one side."""
        for _ in range(BURST):
            try:
                frame = self.ends[side].recv(MOST_FRAME_BYTES)
            except OSError:  # There is no more, or the device is down.
                return
            self.fly(side, frame, now)

    def land(self, now: float) -> float | None:
        """Send what is due; return in how many seconds the next one is."""
        while self._flying and self._flying[0][0] <= now:
            _, _, side, frame = heapq.heappop(self._flying)
            try:
                self.ends[1 - side].send(frame)
                self.counts["carried"] += 1
            except OSError:  # As a switch's, the queue of a limited link is short.
                self.counts["overflowed"] += 1
        return self._flying[0][0] - now if self._flying else None

    def fly(self, side: int, frame: bytes, now: float) -> None:
        """Let a frame that has come from one side set out for the other, if it is to arrive."""
        way, chance = self.ways[side], self._rng.random
        if len(frame) - len(NO_WORK) - ETHERNET > way.longest_bytes:
            self.counts["too_long"] += 1
        elif chance() < way.lost:
            self.counts["lost"] += 1
        else:
            if way.reset and chance() < way.reset and (forged := _reset(frame)) is not None:
                frame = forged
                self.counts["reset"] += 1
            due = now + way.delay_s + way.jitter_s * chance()
            self.counts["delayed"] += due > now
            if chance() < way.held_back:
                due += way.held_back_s
                self.counts["held_back"] += 1
            else:
                due = self._last_due[side] = max(due, self._last_due[side])
            self._depart(due, side, frame)
            if chance() < way.repeated:
                self._depart(due, side, frame)
                self.counts["repeated"] += 1

    def _depart(self, due: float, side: int, frame: bytes) -> None:
        self._count += 1
        heapq.heappush(self._flying, (due, self._count, side, frame))


def _end(device: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    end.bind((device, ALL_PROTOCOLS))
    end.settimeout(0)
    return end


def _reset(frame: bytes) -> bytes | None:
    """Return the frame as the end of its connection, None if it carries no data of one."""
    packet = frame[len(NO_WORK) + ETHERNET :]
    if frame[len(NO_WORK) + 12 :][:2] != IPV4 or packet[9] != TCP:
        return None
    begin = 4 * (packet[0] & 15)
    data_at = begin + 4 * (packet[begin + 12] >> 4)
    if struct.unpack_from(">H", packet, 2)[0] == data_at:
        return None
    addresses, ports_and_numbers = packet[12:20], packet[begin : begin + 12]
    parts = struct.pack(">BBHHH", 5 << 4, RESET_AND_ACKNOWLEDGE, 0, 0, 0)
    pseudo = addresses + struct.pack(">BBH", 0, TCP, 20)
    sum_ = _checksum(pseudo + ports_and_numbers + parts)
    segment = ports_and_numbers + parts[:4] + struct.pack(">HH", sum_, 0)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, TCP, 0) + addresses
    head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
    return NO_WORK + frame[len(NO_WORK) :][:ETHERNET] + head + segment


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    total: int = sum(word for (word,) in struct.iter_unpack(">H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main(channel_number: str, seed: str, *devices: str) -> None:
    """Carry frames between two devices, until the channel is closed."""
    channel = socket.socket(fileno=int(channel_number))
    host, network = devices
    cable = Cable((_end(host), _end(network)), random.Random(seed))
    channel.send(b"{}")
    watched: list[Any] = [*cable.ends, channel]
    wait_s: float | None = None
    while True:
        ready, _, _ = select.select(watched, [], [], wait_s)
        now = time.monotonic()
        if channel in ready:
            order = channel.recv(1 << 12)
            if not order:
                return
            cable.ways = [Way(**way) for way in json.loads(order)]
            channel.send(json.dumps(cable.counts).encode())
        for side, end in enumerate(cable.ends):
            if end in ready:
                cable.take(side, now)
        wait_s = cable.land(now)


if __name__ == "__main__":
    main(*sys.argv[1:])
