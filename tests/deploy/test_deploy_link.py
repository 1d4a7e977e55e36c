"""Server and link over real sockets: happy path, keys, mismatch, faults, a lost server and the loop that goes on."""

import threading
import time

import numpy as np
import pytest
import zmq
from deploy_fakes import IdealBody, chunk

from wbvla.core.contract import Contract
from wbvla.core.errors import ConfigError, ContractMismatch, LinkError
from wbvla.core.records import Observation
from wbvla.deploy.keys import client_keys, make_keys, server_keys
from wbvla.deploy.link import Link, LinkConfig
from wbvla.deploy.packing import observation_tensors, terms_of
from wbvla.deploy.runtime import RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.server import PolicyServer, ServerConfig
from wbvla.deploy.sources import LocalSource, LockstepSource
from wbvla.deploy.wire import Message, decode, encode

CAMERAS = ("head", "left_hand", "right_hand")


def contract_of(spec, **details) -> Contract:
    cameras = {n: {"width": 16, "height": 12, "required": True} for n in CAMERAS}
    action = {"steps": 10, "rate_hz": 10.0, "arm_joints": list(spec.arm_joints)}
    return Contract(
        kind="vla",
        robot=spec.name,
        joint_names=spec.joint_names,
        rate_hz=10.0,
        details={"cameras": cameras, "action": action, **details},
    )


@pytest.fixture
def contract(spec):
    return contract_of(spec)


def serve(policy, contract, address="tcp://127.0.0.1:*", keys=None, **config):
    return PolicyServer(policy, contract, ServerConfig(address=address, **config), keys)


def observation(body, sequence=0, instruction="go"):
    return Observation(sequence=sequence, state=body.read(), images=body.images(), instruction=instruction)


def wait_for(condition, seconds=5.0):
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.005)
    assert condition()


@pytest.mark.parametrize("quality", [0, 90])
def test_observation_arrives_whole_and_action_comes_back(spec, body, policy, contract, quality):
    body.time_s, body.q[3] = 12.5, 0.25
    with serve(policy, contract) as server:
        config = LinkConfig(address=server.address, jpeg_quality=quality)
        with Link(contract, spec, config) as link:
            action, sequence, time_s = link.ask(observation(body, 7), 5.0)
            status = link.status()
    seen = policy.seen[-1]
    assert (sequence, time_s, seen.sequence, seen.instruction) == (7, 12.5, 7, "go")
    np.testing.assert_allclose(seen.state.q, body.q, atol=1e-6)
    np.testing.assert_allclose(seen.images["head"].rgb, body.images()["head"].rgb, atol=0 if quality == 0 else 3)
    np.testing.assert_allclose(action.arm_targets, policy.act(seen).arm_targets, atol=1e-6)
    assert status.state == "ready"
    assert status.handshakes["succeeded"] == 1
    assert len(status.rtt_ms) == 1
    assert status.received >= 2


def test_curve_lets_the_right_key_in_and_the_monitor_names_the_wrong_one(spec, body, policy, contract, tmp_path):
    make_keys(tmp_path / "a")
    make_keys(tmp_path / "b")
    ours, stranger = client_keys(tmp_path / "a"), client_keys(tmp_path / "b")
    with serve(policy, contract, keys=server_keys(tmp_path / "a")) as server:
        config = LinkConfig(address=server.address)
        with Link(contract, spec, config, ours) as link:
            link.ask(observation(body), 5.0)
            assert link.status().mechanism == "CURVE"
            assert link.status().handshakes == {"succeeded": 1}
            wait_for(lambda: server.stats.handshakes["succeeded"] == 1)
        intruder = type(ours)(public=stranger.public, secret=stranger.secret, server=ours.server)
        with pytest.raises(LinkError, match="HANDSHAKE_FAILED_AUTH"):
            Link(contract, spec, config, intruder).connect(5.0)
        with pytest.raises(LinkError, match=r"handshake failed|nobody answered"):
            Link(contract, spec, config, stranger).connect(1.0)
        with pytest.raises(LinkError):
            Link(contract, spec, config).connect(1.0)
        assert server.stats.refused_keys >= 1
        assert server.stats.served == 1
        with Link(contract, spec, config, ours) as link:
            link.ask(observation(body), 5.0)


def test_open_network_without_keys_is_refused_on_both_sides(spec, policy, contract):
    for address in ("tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://192.168.1.100:5555"):
        with pytest.raises(ConfigError, match="keys"):
            serve(policy, contract, address=address)
        with pytest.raises(ConfigError, match="keys"):
            Link(contract, spec, LinkConfig(address=address))


def test_other_contract_is_refused_with_the_difference_named(spec, policy, contract):
    other = contract_of(spec, codebook=64)
    action = {"steps": 30, "rate_hz": 10.0, "arm_joints": list(spec.arm_joints)}
    longer = contract_of(spec, action=action)
    with serve(policy, contract) as server:
        for theirs, named in ((other, "contract_sha256"), (longer, "steps: 30 here, 10 there")):
            with pytest.raises(ContractMismatch, match=named):
                Link(theirs, spec, LinkConfig(address=server.address)).connect(5.0)
        assert server.stats.errors["mismatch"] == 2
    for wrong in (contract_of(spec, cameras={"wrist": {"width": 1, "height": 1}}), contract_of(spec, action={})):
        with pytest.raises(ContractMismatch, match=r"wrist|arm_joints"):
            Link(wrong, spec)


class Raw:
    """A peer that speaks frames, not the protocol."""

    def __init__(self, address):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)

    def send(self, frames):
        self.socket.send_multipart(frames)
        assert self.socket.poll(3000), "the server is silent"
        return decode(self.socket.recv_multipart()).fields.get("code", "")

    def close(self):
        self.socket.close()
        self.context.term()


def test_bad_requests_get_codes_and_the_next_good_one_an_answer(spec, body, policy, contract):
    stamps, tensors = observation_tensors(observation(body), list(CAMERAS))
    fields = {"episode": 1, "sequence": 5, "time_ns": 1, "budget_us": 10**7, "instruction": "", "stamps": stamps}

    def frames(sequence, changed=None, **more):
        return encode(Message("observe", 9, 1, {**fields, "sequence": sequence, **more}, changed or tensors))

    with serve(policy, contract) as server:
        raw = Raw(server.address)
        assert raw.send(frames(5)) == "handshake"
        assert raw.send(encode(Message("hello", 9, 1, {"terms": terms_of(contract)}))) == ""
        assert raw.send([b"\xc1garbage"]) == "malformed"
        assert raw.send([b"", b"", b""]) == "malformed"
        nan = {**tensors, "q": np.full(31, np.nan, np.float32)}
        assert raw.send(frames(1, nan)) == "not_finite"
        assert raw.send(frames(1, {**tensors, "q": tensors["q"][:30]})) == "shape"
        assert raw.send(frames(2, {k: v for k, v in tensors.items() if k != "gyro_b"})) == "fields"
        assert raw.send(frames(3, {**tensors, "q": tensors["q"].astype(np.float16)})) == "shape"
        assert raw.send(frames(4, stamps=[1.0])) == "fields"
        assert raw.send(frames(5)) == ""
        assert raw.send(frames(5)) == "stale"
        assert raw.send(frames(4)) == "stale"
        assert raw.send(frames(6, budget_us=-1)) == "expired"
        act = policy.act
        policy.act = lambda o: act(o).nothing
        assert raw.send(frames(7)) == "policy_fault"
        policy.act = act
        assert raw.send(frames(8)) == ""
        raw.socket.send_multipart([bytes(9 * 2**20)])
        raw.close()
        with Link(contract, spec, LinkConfig(address=server.address)) as link:
            link.ask(observation(body), 5.0)


def test_place_of_a_robot_is_free_after_its_goodbye_and_taken_before(spec, body, policy, contract):
    with serve(policy, contract, max_clients=1) as server:
        config = LinkConfig(address=server.address)
        for _ in range(3):
            with Link(contract, spec, config) as link:
                link.ask(observation(body), 5.0)
                second = Link(contract, spec, config)
                with pytest.raises(LinkError, match="busy"):
                    second.connect(0.6)
        assert server.stats.served == 3


def test_policy_that_cannot_warm_up_never_gets_ready(policy, contract):
    policy.act = lambda o: 1 / 0
    server = serve(policy, contract)
    server.start()
    with pytest.raises(LinkError, match="warming up"):
        server.wait_ready(10.0)
    server.stop()


def test_slow_server_the_latest_observation_wins(spec, body, policy, contract):
    act, thinking, go_on = policy.act, threading.Event(), threading.Event()

    def slow(seen):
        thinking.set()
        assert go_on.wait(10.0)
        return act(seen)

    with (
        serve(policy, contract, warm_up_calls=1) as server,
        Link(contract, spec, LinkConfig(address=server.address, budget_s=20.0)) as link,
    ):
        policy.act = slow
        link.offer(observation(body, 0))
        assert thinking.wait(10.0)
        for sequence in range(1, 6):
            link.offer(observation(body, sequence))
            time.sleep(0.01)
        wait_for(lambda: server.stats.superseded + link.status().dropped == 4)
        go_on.set()
        wait_for(lambda: (link.latest() or (0, -1))[1] == 5)
    assert [o.sequence for o in policy.seen[1:]] == [0, 5]


def test_lockstep_runs_are_the_same_over_the_wire_and_in_process(spec, lmo, policy, contract):
    arm = spec.column("default")[spec.indices(spec.arm_joints)]
    policy.act = lambda o: chunk(arm + 0.3 * np.sin(o.sequence) + 0.01 * o.state.q[3])

    def run(source):
        body = IdealBody(spec)
        report = RobotLoop(body, spec, lmo, source, SafetyLayer(spec)).run(60, "go")
        assert report.chunks >= 10
        return np.stack([t.q for t in body.written])

    here = run(LocalSource(policy, latency_ticks=3))
    with serve(policy, contract) as server, Link(contract, spec, LinkConfig(address=server.address)) as link:
        source = LockstepSource(link, latency_ticks=3)
        first, second = run(source), run(source)
    np.testing.assert_allclose(here, first, atol=1e-5)
    np.testing.assert_array_equal(first, second)
    assert policy.resets >= 3


def on_the_wall_clock(body):
    """Make an ideal body keep real time."""
    body.time_s, step = time.monotonic(), body.tick

    def tick():
        deadline = body.time_s + 0.02
        step()
        time.sleep(max(0.0, deadline - time.monotonic()))
        return body.time_s

    body.tick = tick
    return body


def test_killed_server_leaves_a_standing_robot_at_full_rate_and_a_new_one_is_found(spec, body, lmo, policy, contract):
    on_the_wall_clock(body)
    server = serve(policy, contract)
    server.start()
    server.wait_ready()
    again, times = [], []

    class Saboteur:
        def observe(self, tick):
            times.append(time.monotonic())
            if tick.index == 50:
                server.stop()
            if tick.index == 150:
                again.append(serve(policy, contract, address=server.address))
                again[0].start()

    with Link(contract, spec, LinkConfig(address=server.address, lost_after_s=0.5)) as link:
        report = RobotLoop(body, spec, lmo, link, SafetyLayer(spec), [Saboteur()]).run(270)
        status = link.status()
    again[0].stop()
    walking = np.array([c.flags == (1, 0, 0) for c in lmo.commands])
    assert walking[30:50].all()
    # last chunk before the kill is at most 10 steps of 5 ticks: neutral by tick 105 at the latest
    assert not walking[106:150].any()
    assert walking[-20:].all()
    assert report.ticks == 270
    assert report.trip == ""
    assert np.median(np.diff(times)) < 0.03
    assert status.state == "ready"
    assert status.handshakes["succeeded"] == 2
