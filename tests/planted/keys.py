"""Planted faults that let in whom the keys keep out, or cut off whom they let in."""

from tests.planted.fault import NODE, UNIT, fault

WIRE = UNIT + "wire/test_curve.py"

KEY_FAULTS = (
    fault(
        "any key is let in",
        "wire/curve.py",
        "return None if gate.who(keys[0]) is None else keys[0].hex().encode()",
        "return keys[0].hex().encode()",
        WIRE,
    ),
    fault(
        "without an answer everybody is let in",
        "wire/curve.py",
        "router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)",
        "router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)",
        WIRE,
    ),
    fault(
        "a wrong key is tried again and again",
        "wire/curve.py",
        "sock.setsockopt(zmq.RECONNECT_STOP, zmq.RECONNECT_STOP_HANDSHAKE_FAILED)",
        "pass",
        UNIT + "wire/test_handshake.py",
    ),
    fault(
        "who has lost its key is still answered",
        "wire/listener.py",
        "return self._gate is not None and asker.who is None",
        "return False",
        WIRE,
    ),
    fault(
        "the connections of who has lost its key stay",
        "wire/listener.py",
        "self.connections.end_those(lambda one: gate.who(one.key) is None)",
        "pass",
        WIRE,
    ),
    fault(
        "what CURVE adds is not counted",
        "wire/listener.py",
        "self._added_bytes = 0 if gate is None else curve.ADDED_BYTES",
        "self._added_bytes = 0",
        WIRE,
    ),
    fault(
        "a loss of access is not noticed",
        "protocol/keyring.py",
        "lost = [key for key, who in self._table.items() if table.get(key) != who]",
        "lost = []",
        UNIT + "protocol/test_keyring.py",
    ),
    fault(
        "holders without a key are asked",
        "node/fetching/roster.py",
        "if not self.knows(holder.node):",
        "if not holder.node:",
        NODE + "fetching/test_roster.py",
    ),
    fault(
        "a node may speak for another to a holder",
        "node/network/front.py",
        "None if asker.who is None else permits.refusal(asker.who, request)",
        "None",
        NODE + "network/test_front.py",
    ),
)  # fmt: skip
