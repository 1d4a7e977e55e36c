"""ZeroMQ sockets as both peers use them: bounded, impatient, encrypted, watched by a monitor and a gate."""

import struct
from collections import Counter

import zmq
import zmq.utils.z85

from wbvla.deploy.keys import ClientKeys, ServerKeys
from wbvla.deploy.wire import MAX_FRAME_BYTES

ZAP_ADDRESS, ZAP_DOMAIN = "inproc://zeromq.zap.01", b"wbvla"
HANDSHAKE_EVENTS: dict[int, str] = {
    zmq.Event.HANDSHAKE_SUCCEEDED: "succeeded",
    zmq.Event.HANDSHAKE_FAILED_AUTH: "failed_auth",
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "failed_protocol",
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "failed_no_detail",
    zmq.Event.DISCONNECTED: "disconnected",
}


def open_socket(context: zmq.Context, kind: int, keys: ServerKeys | ClientKeys | None) -> zmq.Socket:
    """A ROUTER or DEALER with small queues, heartbeats, a size limit and, with keys, CURVE."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 4)
    socket.setsockopt(zmq.RCVHWM, 4)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 500)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 2000)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 3000)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    if isinstance(keys, ServerKeys):
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.curve_server, socket.curve_secretkey, socket.curve_publickey = True, keys.secret, keys.public
    elif keys is not None:
        socket.curve_serverkey, socket.curve_secretkey, socket.curve_publickey = (
            keys.server,
            keys.secret,
            keys.public,
        )
    return socket


class HandshakeMonitor:
    """Counts what ZeroMQ's own monitor says about handshakes: a wrong key is silence everywhere else."""

    def __init__(self, socket: zmq.Socket) -> None:
        self.counts: Counter[str] = Counter()
        self._watched = socket
        self.socket = socket.get_monitor_socket(sum(HANDSHAKE_EVENTS))

    def drain(self) -> None:
        """Read all waiting events."""
        while self.socket.poll(0):
            event, _value = struct.unpack("=HI", self.socket.recv_multipart()[0])
            self.counts[HANDSHAKE_EVENTS.get(event, "other")] += 1

    def close(self) -> None:
        self._watched.disable_monitor()


class ZapGate:
    """Answers ZeroMQ's question who may connect (ZAP, RFC 27): the keys of the allow-list, nobody else."""

    def __init__(self, context: zmq.Context, allowed: frozenset[bytes]) -> None:
        self._allowed = allowed
        self.refused = 0
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ZAP_ADDRESS)

    def answer(self) -> None:
        """Answer one request; anything odd is refused."""
        frames = self.socket.recv_multipart()
        request = frames[1] if len(frames) > 1 else b""
        known = (
            len(frames) == 7
            and frames[0] == b"1.0"
            and frames[2] == ZAP_DOMAIN
            and frames[5] == b"CURVE"
            and zmq.utils.z85.encode(frames[6]) in self._allowed
        )
        self.refused += not known
        verdict = [b"200", b"OK"] if known else [b"400", b"key is not on the allow-list"]
        self.socket.send_multipart([b"1.0", request, *verdict, b"", b""])

    def close(self) -> None:
        self.socket.close()
