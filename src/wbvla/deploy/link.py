"""The robot's end of the wire: a thread talks to the policy server, so that the control loop never waits for it."""

import os
import secrets
import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Any

import zmq

from wbvla.core.contract import Contract, differences
from wbvla.core.errors import ContractMismatch, LinkError
from wbvla.core.records import Observation
from wbvla.deploy.keys import ClientKeys, require_private
from wbvla.deploy.packing import action_from, observation_tensors, require_robot, terms_of
from wbvla.deploy.sockets import HandshakeMonitor, open_socket
from wbvla.deploy.sources import Latest
from wbvla.deploy.wire import Message, WireError, decode, encode
from wbvla.robots.description import RobotSpec

HELLO_S, PING_S, POLL_MS, GOODBYE_MS = 0.25, 0.5, 50, 200
REMEMBERED = 256


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """How the robot talks to its server."""

    address: str = "tcp://127.0.0.1:5555"
    """the server's ZeroMQ address"""
    jpeg_quality: int = 90
    """compression of pictures, 1-100; 0 sends them raw [-]"""
    budget_s: float = 1.0
    """an observation that waited longer at the server is not worth an answer [s]"""
    lost_after_s: float = 1.5
    """a server not heard for this long counts as lost [s]"""


@dataclass
class LinkStatus:
    """What the link knows of its peer; `Link.status()` gives a snapshot."""

    state: str = "connecting"
    """`connecting`, `warming` (server not ready), `ready`, `mismatch` or `lost`"""
    address: str = ""
    mechanism: str = "NULL"
    client_pid: int = field(default_factory=os.getpid)
    server_pid: int = 0
    sent: int = 0
    received: int = 0
    dropped: int = 0
    """observations not sent because the queue was full, or replaced before they were"""
    invalid: int = 0
    """replies that could not be used"""
    errors: Counter[str] = field(default_factory=Counter)
    """error codes the server answered with"""
    handshakes: Counter[str] = field(default_factory=Counter)
    """as counted by the socket monitor: `succeeded`, `failed_auth` ..."""
    rtt_ms: list[float] = field(default_factory=list)
    """from handing over an observation to having its chunk, newest last [ms]"""
    server_ms: list[float] = field(default_factory=list)
    """the server's share of it: waiting and inference [ms]"""


class Link:
    """A source of actions behind a socket. `offer` and `latest` return at once; `ask` waits, for lock-step runs.

    Deadlines and latencies are measured on the robot's clock only: the server echoes its stamps.
    """

    finished = False

    def __init__(
        self,
        contract: Contract,
        spec: RobotSpec,
        config: LinkConfig | None = None,
        keys: ClientKeys | None = None,
    ) -> None:
        require_robot(contract, spec)
        self.config = config or LinkConfig()
        require_private(self.config.address, keys is not None)
        self.rate_hz = float(contract.rate_hz)
        self._terms = terms_of(contract)
        cameras = contract.details.get("cameras", {})
        self._required = [name for name, facts in cameras.items() if facts.get("required", True)]
        self._connection = secrets.randbits(62)
        self._request, self._episode = 0, 0
        self._lock = threading.Condition()
        self._slot: tuple[int, Observation, int] | None = None
        self._sent: OrderedDict[tuple[int, int], tuple[float, int]] = OrderedDict()
        self._newest: tuple[int, Latest] | None = None
        self._answered: tuple[int, int] = (-1, -1)
        self._mismatch: list[str] = []
        self._heard_s = self._spoke_s = -1e9
        self._status = LinkStatus(address=self.config.address, mechanism="NULL" if keys is None else "CURVE")
        self._rtt_ms: deque[float] = deque(maxlen=100_000)
        self._server_ms: deque[float] = deque(maxlen=100_000)
        self._context = zmq.Context()
        self._socket = open_socket(self._context, zmq.DEALER, keys)
        self._monitor = HandshakeMonitor(self._socket)
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._talk, name="wbvla-link", daemon=True)

    def __enter__(self) -> "Link":
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self, timeout_s: float = 30.0) -> None:
        """Wait until the server is ready; raises ContractMismatch, or LinkError with what the monitor saw."""
        if not self._thread.is_alive():
            self._socket.connect(self.config.address)
            self._thread.start()
        limit = time.monotonic() + timeout_s
        with self._lock:
            while self._status.state != "ready" and not self._mismatch and time.monotonic() < limit:
                if self._status.handshakes["failed_auth"]:
                    break
                self._lock.wait(0.05)
            state, handshakes = self._status.state, dict(self._status.handshakes)
        if self._mismatch:
            self.close()
            raise ContractMismatch(f"server at {self.config.address}", self._mismatch)
        if state != "ready":
            self.close()
            raise LinkError(self._why(state, handshakes))

    def _why(self, state: str, handshakes: dict[str, int]) -> str:
        """One sentence on why there is no ready server."""
        where = f"no policy from {self.config.address}"
        if handshakes.get("failed_auth"):
            return f"{where}: HANDSHAKE_FAILED_AUTH, our key is not allowed; put client.public into its DIR/allowed"
        if handshakes.get("failed_protocol") or handshakes.get("failed_no_detail"):
            return f"{where}: the CURVE handshake failed; server.public here is not that server's, or it has no keys"
        if handshakes.get("succeeded"):
            return f"{where}: it answers but is {state} ({dict(self._status.errors)}); wait until it prints READY"
        return f"{where}: nobody answered; start it with `wbvla serve BUNDLE` and check address and keys"

    def close(self) -> None:
        """End the thread and free the socket; safe to call twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._wake()
            self._thread.join(timeout=10.0)
        if not self._socket.closed:
            self._monitor.close()
            self._socket.close(linger=GOODBYE_MS)
            self._context.destroy(linger=GOODBYE_MS)
            os.close(self._wake_in)
            os.close(self._wake_out)

    def reset(self) -> None:
        """Begin a new episode: older answers no longer count, and the policy forgets the past."""
        with self._lock:
            self._episode += 1
            self._slot, self._newest = None, None
            self._sent.clear()

    def offer(self, observation: Observation) -> None:
        """Hand over an observation; a newer one replaces one not sent yet, one without its pictures is not sent."""
        with self._lock:
            if any(name not in observation.images for name in self._required):
                self._status.dropped += 1
                return
            self._status.dropped += self._slot is not None
            self._slot = (self._episode, observation, time.monotonic_ns())
        self._wake()

    def latest(self) -> Latest | None:
        """The newest valid chunk of this episode."""
        with self._lock:
            return self._newest[1] if self._newest is not None else None

    def ask(self, observation: Observation, timeout_s: float) -> Latest:
        """Offer an observation and wait for its own answer; raises LinkError when none comes in time."""
        self.offer(observation)
        limit = time.monotonic() + timeout_s
        with self._lock:
            wanted = (self._episode, observation.sequence)
            while self._answered != wanted and time.monotonic() < limit:
                self._lock.wait(0.1)
            newest = self._newest
        if newest is None or newest[1][1] != observation.sequence:
            raise LinkError(
                f"the server at {self.config.address} gave no action for observation {observation.sequence} within "
                f"{timeout_s} s; errors so far: {dict(self._status.errors)}"
            )
        return newest[1]

    def last_rtt_s(self) -> float:
        """Round trip of the last answer [s]; 0 before the first."""
        with self._lock:
            return self._rtt_ms[-1] / 1e3 if self._rtt_ms else 0.0

    def status(self) -> LinkStatus:
        """A snapshot."""
        with self._lock:
            self._refresh(time.monotonic())
            copy = replace(self._status, rtt_ms=list(self._rtt_ms), server_ms=list(self._server_ms))
            copy.errors, copy.handshakes = Counter(self._status.errors), Counter(self._status.handshakes)
            return copy

    # -- the thread

    def _wake(self) -> None:
        try:
            os.write(self._wake_out, b"\0")
        except BlockingIOError:
            return  # the pipe is full: the thread is being woken already

    def _talk(self) -> None:
        poller = zmq.Poller()
        for readable in (self._socket, self._monitor.socket, self._wake_in):
            poller.register(readable, zmq.POLLIN)
        while not self._stopping.is_set():
            ready = dict(poller.poll(POLL_MS))
            if self._wake_in in ready:
                os.read(self._wake_in, 4096)
            if self._monitor.socket in ready:
                self._monitor.drain()
            while self._socket.poll(0):
                self._receive(self._socket.recv_multipart())
            self._speak(time.monotonic())
        if self._status.state in ("ready", "warming"):
            self._send("goodbye", {})

    def _speak(self, now: float) -> None:
        """Send what is due: hello until welcomed, then observations, and pings in between."""
        with self._lock:
            self._status.handshakes = Counter(self._monitor.counts)
            self._refresh(now)
            state, slot = self._status.state, self._slot
            if state == "ready":
                self._slot = None
            self._lock.notify_all()
        if state == "mismatch":
            return
        if state in ("connecting", "lost"):
            if now - self._spoke_s >= HELLO_S:
                self._send("hello", {"terms": self._terms})
        elif slot is not None and state == "ready":
            self._send_observation(*slot)
        elif now - self._spoke_s >= PING_S:
            self._send("ping", {"time_ns": time.monotonic_ns()})

    def _refresh(self, now: float) -> None:
        """A welcomed server that is not heard any more is lost."""
        if self._status.state in ("ready", "warming") and now - self._heard_s > self.config.lost_after_s:
            self._status.state = "lost"

    def _send_observation(self, episode: int, observation: Observation, offered_ns: int) -> None:
        stamps, tensors = observation_tensors(observation, self._terms["cameras"])
        with self._lock:
            self._sent[(episode, observation.sequence)] = (observation.state.time_s, offered_ns)
            while len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
        fields = {
            "episode": episode,
            "sequence": observation.sequence,
            "time_ns": offered_ns,
            "budget_us": int(self.config.budget_s * 1e6),
            "instruction": observation.instruction,
            "stamps": stamps,
        }
        self._send("observe", fields, tensors)

    def _send(self, kind: str, fields: dict[str, Any], tensors: dict[str, Any] | None = None) -> None:
        self._request += 1
        self._spoke_s = time.monotonic()
        message = Message(kind, self._connection, self._request, fields, tensors or {})
        try:
            self._socket.send_multipart(encode(message, self.config.jpeg_quality), zmq.NOBLOCK)
        except zmq.Again:
            with self._lock:
                self._status.dropped += kind == "observe"
            return
        with self._lock:
            self._status.sent += 1

    def _receive(self, frames: list[bytes]) -> None:
        """Take one reply; whatever is not exactly what was agreed is counted and dropped."""
        try:
            message = decode(frames)
            if message.connection != self._connection and message.kind != "error":
                raise WireError("handshake", "reply to another connection")
            latest = self._action(message) if message.kind == "action" else None
        except WireError:
            with self._lock:
                self._status.invalid += 1
            return
        with self._lock:
            self._status.received += 1
            self._heard_s = time.monotonic()
            self._learn(message, latest)
            self._lock.notify_all()

    def _action(self, message: Message) -> Latest:
        """Chunk, sequence and our own time of the observation; raises WireError on an answer to nothing we asked."""
        key = (message.fields["episode"], message.fields["sequence"])
        with self._lock:
            asked = self._sent.get(key)
        if asked is None or asked[1] != message.fields["time_ns"]:
            raise WireError("stale", "an answer to no observation of this episode")
        return action_from(message, self._terms), message.fields["sequence"], asked[0]

    def _learn(self, message: Message, latest: Latest | None) -> None:
        """Update what is known; holds the lock."""
        fields, status = message.fields, self._status
        if message.kind == "welcome":
            self._mismatch = differences(self._terms, dict(fields["terms"]))
            status.server_pid = fields["pid"]
            status.state = "mismatch" if self._mismatch else ("ready" if fields["ready"] else "warming")
        elif message.kind == "pong":
            status.state = "ready" if fields["ready"] else "warming"
        elif message.kind == "error":
            status.errors[fields["code"][:40]] += 1
            self._answered = (fields["episode"], fields["sequence"])
            if fields["code"] == "handshake":
                status.state = "connecting"  # the server is new: it has to be greeted again
        elif latest is not None and fields["episode"] == self._episode:
            self._answered = (fields["episode"], fields["sequence"])
            if self._newest is None or latest[1] > self._newest[1][1]:
                self._newest = (self._episode, latest)
            self._rtt_ms.append((time.monotonic_ns() - fields["time_ns"]) / 1e6)
            self._server_ms.append((fields["queue_us"] + fields["infer_us"]) / 1e3)
