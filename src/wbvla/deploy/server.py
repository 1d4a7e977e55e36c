"""The policy server: one thread talks, another thinks; the latest observation of each robot wins, nothing stops it."""

import logging
import os
import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zmq

from wbvla.core.contract import Contract, differences
from wbvla.core.errors import LinkError, WbvlaError
from wbvla.core.interfaces import Policy
from wbvla.core.records import Action, BodyState, Image, Observation
from wbvla.deploy.keys import ServerKeys, require_private
from wbvla.deploy.packing import action_tensors, observation_from, terms_of
from wbvla.deploy.sockets import HandshakeMonitor, ZapGate, open_socket
from wbvla.deploy.wire import Message, WireError, decode, encode

log = logging.getLogger(__name__)
POLICY_FAULTS = (
    WbvlaError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    OSError,
    MemoryError,
)
"""whatever a model's code may raise over one observation; the next one deserves an answer again"""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where a server listens and how much it puts up with."""

    address: str = "tcp://127.0.0.1:5555"
    """ZeroMQ address; port * takes a free one; anything but loopback needs keys"""
    warm_up_calls: int = 2
    """calls of the policy before READY [-]"""
    max_clients: int = 4
    """robots served at once; more are told `busy` [-]"""
    client_timeout_s: float = 10.0
    """a silent robot's place is given away after this time [s]"""


@dataclass
class ServerStats:
    """What a server has done so far; a snapshot is safe to read at any time."""

    pid: int = field(default_factory=os.getpid)
    mechanism: str = "NULL"
    messages: int = 0
    served: int = 0
    superseded: int = 0
    """observations replaced by a newer one before the policy was free"""
    errors: Counter[str] = field(default_factory=Counter)
    """answers that were no action, by code"""
    handshakes: Counter[str] = field(default_factory=Counter)
    """as counted by the socket monitor"""
    refused_keys: int = 0
    infer_ms: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))


@dataclass
class _Client:
    """One robot as the talking thread knows it."""

    identity: bytes
    connection: int
    newest: tuple[int, int] = (-1, -1)
    """(episode, sequence) of its newest observation"""
    heard_s: float = 0.0
    pending: tuple[Message, float] | None = None
    """its newest observation that the policy has not seen, and when it came [s]"""


class PolicyServer:
    """Serves one policy. `start` binds and warms up, `wait_ready` waits for it, `stop` ends both threads."""

    def __init__(
        self,
        policy: Policy,
        contract: Contract,
        config: ServerConfig | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        self.config = config or ServerConfig()
        require_private(self.config.address, keys is not None)
        self.stats = ServerStats(mechanism="NULL" if keys is None else "CURVE")
        self.address = self.config.address
        self._policy, self._contract, self._terms = policy, contract, terms_of(contract)
        self._context = zmq.Context()
        self._gate = ZapGate(self._context, keys.allowed) if keys is not None else None
        self._socket = open_socket(self._context, zmq.ROUTER, keys)
        self._monitor = HandshakeMonitor(self._socket)
        self._outbox = self._context.socket(zmq.PULL)
        self._outbox.bind("inproc://replies")
        self._clients: OrderedDict[bytes, _Client] = OrderedDict()
        self._lock = threading.Condition()
        self._ready, self._warmed, self._stopping = threading.Event(), threading.Event(), threading.Event()
        self._fault: BaseException | None = None
        self._last_caller: tuple[int, int] | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "PolicyServer":
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Bind and start both threads; raises LinkError when the address is taken."""
        try:
            self._socket.bind(self.config.address)
        except zmq.ZMQError as error:
            self._close()
            raise LinkError(f"cannot listen on {self.config.address}: {error}; choose another --address") from error
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        for name, target in (("talk", self._talk), ("think", self._think)):
            thread = threading.Thread(target=target, name=f"wbvla-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Block until the policy is warm; raises LinkError when it failed or took too long."""
        self._warmed.wait(timeout_s)
        if self._fault is not None:
            raise LinkError(f"the policy failed while warming up: {self._fault!r}") from self._fault
        if not self._ready.is_set():
            raise LinkError(f"the policy was not warm after {timeout_s} s")

    def stop(self) -> None:
        """End both threads and free the address; safe to call twice."""
        self._stopping.set()
        with self._lock:
            self._lock.notify_all()
        for thread in self._threads:
            thread.join(timeout=30.0)
        if self._threads or not self._socket.closed:
            self._threads = []
            self._close()

    def _close(self) -> None:
        if not self._socket.closed:
            self._monitor.close()
            self._socket.close()
            self._outbox.close()
            if self._gate is not None:
                self._gate.close()
            self._context.destroy(linger=0)

    # -- the thread that talks

    def _talk(self) -> None:
        poller = zmq.Poller()
        for socket in (self._socket, self._outbox, self._monitor.socket):
            poller.register(socket, zmq.POLLIN)
        if self._gate is not None:
            poller.register(self._gate.socket, zmq.POLLIN)
        while not self._stopping.is_set():
            ready = dict(poller.poll(100))
            if self._gate is not None and self._gate.socket in ready:
                self._gate.answer()
                self.stats.refused_keys = self._gate.refused
            if self._monitor.socket in ready:
                self._monitor.drain()
                self.stats.handshakes = Counter(self._monitor.counts)
            if self._outbox in ready:
                self._send(self._outbox.recv_multipart())
            if self._socket in ready:
                self._receive(self._socket.recv_multipart())

    def _send(self, frames: list[bytes]) -> None:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError:
            self.stats.errors["unsent"] += 1

    def _receive(self, frames: list[bytes]) -> None:
        """Answer one message; a bad one gets an error code."""
        self.stats.messages += 1
        identity = frames[0]
        message: Message | None = None
        try:
            message = decode(frames[1:])
            self._handle(identity, message)
        except WireError as error:
            self._refuse(identity, message, error.code, str(error))

    def _refuse(self, identity: bytes, message: Message | None, code: str, detail: str) -> None:
        """Answer with a code and one line; never a traceback."""
        self.stats.errors[code] += 1
        fields = {} if message is None else message.fields
        where = {n: fields.get(n, -1) for n in ("episode", "sequence")}
        self._reply(identity, message, "error", {**where, "code": code, "detail": detail[:300]})

    def _reply(self, identity: bytes, message: Message | None, kind: str, fields: dict[str, Any]) -> None:
        connection, request = (message.connection, message.request) if message is not None else (0, 0)
        self._send([identity, *encode(Message(kind, connection, request, fields))])

    def _handle(self, identity: bytes, message: Message) -> None:
        now = time.monotonic()
        if message.kind == "hello":
            self._greet(identity, message, now)
            return
        client = self._clients.get(identity)
        if client is None or client.connection != message.connection:
            raise WireError("handshake", "say hello first")
        client.heard_s = now
        if message.kind == "ping":
            fields = {"time_ns": message.fields["time_ns"], "served": self.stats.served}
            self._reply(identity, message, "pong", {**fields, "ready": self._ready.is_set()})
        elif message.kind == "observe":
            self._take(client, message, now)
        elif message.kind == "goodbye":
            with self._lock:
                del self._clients[identity]
        else:
            raise WireError("malformed", f"a server does not take {message.kind!r}")

    def _greet(self, identity: bytes, message: Message, now: float) -> None:
        """Give our terms; a robot whose terms differ learns them but may not send observations."""
        self._forget_silent(now)
        fits = not differences(self._terms, dict(message.fields["terms"]))
        with self._lock:
            known = self._clients.get(identity)
            if known is not None and not (fits and known.connection == message.connection):
                del self._clients[identity]
            elif known is not None:
                known.heard_s = now  # it greets again after a silence: what it asked for still counts
            elif fits and len(self._clients) >= self.config.max_clients:
                raise WireError("busy", f"{self.config.max_clients} robots are served already")
            if fits and identity not in self._clients:
                self._clients[identity] = _Client(identity, message.connection, heard_s=now)
        fields = {"terms": self._terms, "pid": self.stats.pid, "ready": self._ready.is_set()}
        if not fits:
            self.stats.errors["mismatch"] += 1
        self._reply(identity, message, "welcome", fields)

    def _forget_silent(self, now: float) -> None:
        with self._lock:
            for identity, client in list(self._clients.items()):
                if now - client.heard_s > self.config.client_timeout_s:
                    del self._clients[identity]

    def _take(self, client: _Client, message: Message, now: float) -> None:
        """Keep the newest observation of a client; older and repeated ones are refused."""
        stamp = (message.fields["episode"], message.fields["sequence"])
        if stamp <= client.newest:
            raise WireError("stale", f"observation {stamp} came after {client.newest}")
        if not self._ready.is_set():
            raise WireError("not_ready", "the policy is warming up")
        with self._lock:
            client.newest = stamp
            self.stats.superseded += client.pending is not None
            client.pending = (message, now)
            self._lock.notify_all()

    # -- the thread that thinks

    def _think(self) -> None:
        replies = self._context.socket(zmq.PUSH)
        replies.setsockopt(zmq.LINGER, 0)
        replies.connect("inproc://replies")
        try:
            for _ in range(self.config.warm_up_calls):
                self._policy.reset()
                self._policy.act(example_observation(self._contract))
            self._ready.set()
        except POLICY_FAULTS as error:
            self._fault = error
        self._warmed.set()
        while self._fault is None and not self._stopping.is_set():
            work = self._next()
            if work is not None:
                client, message, came = work
                replies.send_multipart([client.identity, *self._answer(message, came)])
        replies.close()

    def _next(self) -> tuple[_Client, Message, float] | None:
        """The observation that has waited longest among the newest of each client."""
        with self._lock:
            waiting = [(c.pending[1], c) for c in self._clients.values() if c.pending is not None]
            if not waiting:
                self._lock.wait(0.5)
                return None
            client = min(waiting, key=lambda pair: pair[0])[1]
            assert client.pending is not None
            (message, came), client.pending = client.pending, None
            return client, message, came

    def _answer(self, message: Message, came: float) -> list[bytes]:
        """Frames of the action, or of the error that this observation led to."""
        started = time.monotonic()
        where = {n: message.fields[n] for n in ("episode", "sequence")}
        try:
            if (started - came) * 1e6 > message.fields["budget_us"]:
                raise WireError("expired", f"waited {(started - came) * 1e3:.0f} ms for the policy")
            action = self._act(observation_from(message, self._terms), message)
        except WireError as error:
            code, detail = error.code, str(error)
        except POLICY_FAULTS as error:
            log.warning("the policy failed on observation %s", where, exc_info=error)
            code, detail = "policy_fault", type(error).__name__
        else:
            took = time.monotonic() - started
            self.stats.served += 1
            self.stats.infer_ms.append(took * 1e3)
            fields = {**where, "time_ns": message.fields["time_ns"], "rate_hz": float(action.rate_hz)}
            timing = {"queue_us": int((started - came) * 1e6), "infer_us": int(took * 1e6)}
            reply = Message("action", message.connection, message.request, fields | timing, action_tensors(action))
            return encode(reply)
        self.stats.errors[code] += 1
        fields = {**where, "code": code, "detail": detail[:300]}
        return encode(Message("error", message.connection, message.request, fields))

    def _act(self, observation: Observation, message: Message) -> Action:
        """Call the policy; a new episode or another robot makes it forget the past first."""
        caller = (message.connection, message.fields["episode"])
        if caller != self._last_caller:
            self._policy.reset()
            self._last_caller = caller
        return self._policy.act(observation)


def example_observation(contract: Contract) -> Observation:
    """A black, motionless observation as the contract describes it, to warm a policy up with."""
    joints = len(contract.joint_names)
    state = BodyState(
        time_s=0.0,
        q=np.zeros(joints),
        dq=np.zeros(joints),
        torque=np.zeros(joints),
        gripper=np.ones(2),
        gyro_b=np.zeros(3),
        gravity_b=np.array([0.0, 0.0, -1.0]),
    )
    images = {
        name: Image(rgb=np.zeros((facts["height"], facts["width"], 3), np.uint8), time_s=0.0)
        for name, facts in contract.details["cameras"].items()
    }
    return Observation(sequence=0, state=state, images=images, instruction="warm up")
