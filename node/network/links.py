"""All connections of one download, and waiting until one of them has news.

zmq.Poller looks at every socket each time: 80 us for 16 holders, 150 us for 32, more than the rest
of a turn takes. epoll looks only at those with news, but it watches libzmq's signals, not messages
(zmq_getsockopt(3), ZMQ_FD): sending may consume a signal, and the message then waits unannounced.
So each socket that was used is checked once more before waiting. Nothing is sent over a monitor:
its signals cannot be missed.
"""

import selectors
import time

import zmq
from shoal.node.fetching.inflow import Inflow
from shoal.node.fetching.steps import Event
from shoal.node.network.link import REPORT_MS, Link
from shoal.protocol.keyring import Towards
from shoal.system import link_rate
from shoal.wire.frames import has_mail
from shoal.wire.tracker_client import TrackerClient
from shoal.wire.wake import Wake


class Links:
    """The links by the names of their holders. Wakes up for `wake` and for `tracker` too."""

    def __init__(self, wake: Wake, tracker: "zmq.Socket[bytes]") -> None:
        self._by_node: dict[str, Link] = {}
        self._touched: dict[str, Link] = {}
        self._changed: dict[str, Link] = {}
        self._unbound: dict[str, Link] = {}
        self._unreached: dict[str, Link] = {}
        self._wake, self._tracker = wake, tracker
        self._selector = selectors.DefaultSelector()
        self._selector.register(wake.fileno(), selectors.EVENT_READ)
        self._selector.register(_signal_of(tracker), selectors.EVENT_READ)

    def renew(self, tracker: TrackerClient, towards: Towards | None) -> None:
        """Connect to the tracker again."""
        self._selector.unregister(_signal_of(self._tracker))
        tracker.renew(towards)
        self._tracker = tracker.socket
        self._selector.register(_signal_of(self._tracker), selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._by_node)

    def __getitem__(self, node: str) -> Link:
        return self._by_node[node]

    def __contains__(self, link: Link) -> bool:
        return self._by_node.get(link.node) is link

    def add(self, link: Link) -> None:
        self._by_node[link.node] = link
        self._changed[link.node] = self._unbound[link.node] = link
        if not link.is_reached:
            self._unreached[link.node] = link
        for sock in (link.socket, link.monitor):
            self._selector.register(_signal_of(sock), selectors.EVENT_READ, (link, sock))

    def remove(self, node: str) -> None:
        link = self._by_node.pop(node)
        self._touched.pop(node, None)
        self._changed.pop(node, None)
        self._unbound.pop(node, None)
        self._unreached.pop(node, None)
        self._selector.unregister(_signal_of(link.socket))
        self._selector.unregister(_signal_of(link.monitor))
        link.close()

    @property
    def are_unreached(self) -> bool:
        """Whether the host names of some are still being looked up."""
        return bool(self._unreached)

    def reach(self) -> list[Event]:
        """Connect to those whose host names are known by now; return the loss of the others."""
        lost = []
        for link in list(self._unreached.values()):
            if (event := link.reach()) is not None:
                lost.append(event)
            if link.is_reached:
                del self._unreached[link.node]
        return lost

    def touch(self, link: Link) -> None:
        """Note that something is sent, or that not everything was received."""
        self._touched[link.node] = link

    def touched(self, node: str) -> Link:
        """Return the link to a holder, to send something over it."""
        link = self._touched[node] = self._by_node[node]
        return link

    def is_empty(self, link: Link) -> None:
        """Note that everything was received: any further message is announced."""
        self._touched.pop(link.node, None)

    def changed(self) -> list[Link]:
        """Return the links whose connections may have been made or lost since the last call."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    def wait(self, timeout_s: float) -> list[Link]:
        """Return the links that may have something; wait for one, but no longer than that.

        Returns sooner for the tracker, and for `wake`, which is clear afterwards.
        """
        ready = {node: link for node, link in self._touched.items() if has_mail(link.socket)}
        self._touched.clear()
        for key, _ in self._selector.select(0.0 if ready else max(0.0, timeout_s)):
            if key.data is not None:
                link, sock = key.data
                (ready if sock is link.socket else self._changed)[link.node] = link
            elif key.fd == self._wake.fileno():
                self._wake.clear()
            else:  # A late answer, which nobody waits for, would wake us again and again.
                has_mail(self._tracker)
        return list(ready.values())

    def sending(self) -> list[str]:
        """Return the holders whose incomplete replies have grown since the last call."""
        return [node for node, link in self._by_node.items() if link.is_sending()]

    def excesses(self) -> list[Event]:
        """Return the loss of those that have sent far more than was asked of them."""
        return [lost for link in self._by_node.values() if (lost := link.excess()) is not None]

    def bound(self, inflow: Inflow) -> None:
        """Bound TCP's windows to each holder's share, where that is not done yet."""
        for link in list(self._unbound.values()):
            if link.bound(inflow, len(self)):
                del self._unbound[link.node]

    def rate(self) -> float | None:
        """Return the rate in bytes/s that the network card towards the holders reports."""
        local = {address for link in self._by_node.values() if (address := link.local_address)}
        return link_rate.of(local.pop()) if len(local) == 1 else None

    def close(self) -> None:
        """Close all; reports of wrong chunks go out first, if that is soon done."""
        self._hear_out(time.monotonic() + REPORT_MS / 1000)
        for node in list(self._by_node):
            self.remove(node)
        self._selector.close()

    def _hear_out(self, until: float) -> None:
        """Wait until all reports are answered; anything else is dropped."""
        reporting = [link for link in self._by_node.values() if link.reports]
        while reporting and (left_s := until - time.monotonic()) > 0:
            watched = [(link.socket, zmq.POLLIN) for link in reporting]
            zmq.zmq_poll(
                [*watched, *((link.monitor, zmq.POLLIN) for link in reporting)],
                int(1000 * left_s) + 1,
            )
            for link in reporting:
                link.receive()
            reporting = [link for link in reporting if link.reports and link.trouble() is None]


def _signal_of(sock: "zmq.Socket[bytes]") -> int:
    number = sock.getsockopt(zmq.FD)
    assert isinstance(number, int)
    return number
