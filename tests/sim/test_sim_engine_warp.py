"""The GPU engine, on Warp's CPU device: live state, plants, snapshots to the bit, and the CPU engine as its judge."""

import mujoco
import pytest
import torch

from wbvla.core.errors import ConfigError
from wbvla.lmo.plant import build_model, training_options
from wbvla.robots.platforms import load_robot
from wbvla.sim.engine import Engine
from wbvla.sim.engine_mujoco import MujocoEngine

pytest.importorskip("mujoco_warp", reason="the extra `gpu` is not installed")

from wbvla.sim.engine_warp import MAX_CONTACTS, WarpEngine

PENDULUM = """
<mujoco><worldbody><body><joint name="hinge" axis="0 1 0"/><geom size=".05" pos=".3 0 0" mass="1"/></body></worldbody>
<actuator><motor joint="hinge"/></actuator><sensor><jointpos joint="hinge"/></sensor></mujoco>
"""
OUTPUTS = ("sensordata", "actuator_force")


def pendulum(worlds: int = 3) -> WarpEngine:
    return WarpEngine(mujoco.MjModel.from_xml_string(PENDULUM), worlds, "cpu", ("sensordata",))


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    spec = load_robot("agibot_x2")
    return build_model(spec, training_options(spec))


def stand(engine: Engine, model: mujoco.MjModel) -> None:
    """Upright with the soles 1 mm in the floor, joints of each world a little different, held where they are."""
    rng = torch.Generator().manual_seed(3)
    qpos, ctrl = engine.state("qpos"), engine.state("ctrl")
    qpos[:, 7:] += 0.02 * torch.randn(qpos[:, 7:].shape, generator=rng).to(qpos.dtype)
    lowest = lowest_sole(model)
    qpos[:, 2] = -lowest - 0.001
    joints = torch.from_numpy(model.jnt_qposadr[model.actuator_trnid[:, 0]]).long()
    ctrl[:] = qpos[:, joints]


def lowest_sole(model: mujoco.MjModel) -> float:
    """Height of the lowest sole point with the root at the origin [m]."""
    data = mujoco.MjData(model)
    data.qpos[2] = 0.0
    mujoco.mj_kinematics(model, data)
    soles = [i for i in range(model.ngeom) if "_sole_" in model.geom(i).name]
    return float(min(data.geom_xpos[i, 2] - model.geom_size[i, 0] for i in soles))


def test_state_is_live_and_outputs_follow_a_step() -> None:
    worlds = pendulum()
    assert isinstance(worlds, Engine)
    worlds.state("qpos")[:, 0] = torch.tensor([0.0, 0.5, 1.0])
    worlds.step(1)
    assert worlds.output("sensordata")[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert (worlds.state("qvel")[:, 0] > 0).all()
    assert worlds.state("qpos").dtype == torch.float32


def test_follows_the_cpu_engine_with_feet_on_the_ground_and_plants_that_differ() -> None:
    spec = load_robot("agibot_x2")
    model = build_model(spec, training_options(spec))
    model.opt.iterations, model.opt.ls_iterations = 8, 12  # with the 4 of training a landing is not solved to the end
    engines = MujocoEngine(model, 3, 1, OUTPUTS), WarpEngine(model, 3, "cpu", OUTPUTS)
    factor = torch.tensor([0.8, 1.0, 1.3], dtype=torch.float64)
    for worlds in engines:
        for name in ("body_mass", "body_inertia", "geom_friction", "dof_damping", "actuator_gainprm", "dof_armature"):
            values = worlds.parameter(name)
            values.copy_(values.double() * factor.reshape(-1, *[1] * (values.dim() - 1)))
        worlds.commit()
        stand(worlds, model)
    ours, theirs = engines
    for _ in range(20):
        for name in ("qpos", "qvel", "qacc_warmstart"):
            theirs.state(name).copy_(ours.state(name))
        for worlds in engines:
            worlds.step(2)
        for name, bound in (("qpos", 1e-6), ("qvel", 2e-4)):
            assert float((ours.state(name) - theirs.state(name)).abs().max()) < bound
    touch = ours.output("sensordata")
    weight = 9.81 * float(model.body_subtreemass[1])
    assert float(touch.sum()) > weight
    assert torch.allclose(touch, theirs.output("sensordata").double(), rtol=1e-3, atol=0.05)
    assert not torch.equal(theirs.state("qvel")[0], theirs.state("qvel")[1])


def test_constants_follow_changed_masses_as_in_mujoco(model: mujoco.MjModel) -> None:
    engines = MujocoEngine(model, 2, 1), WarpEngine(model, 2)
    for worlds in engines:
        for name in ("body_mass", "body_inertia"):
            worlds.parameter(name)[1] *= 1.7
        worlds.commit()
    for name in ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0"):
        ours, theirs = (worlds.parameter(name).double() for worlds in engines)
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-8), name
    mass = engines[1].parameter("body_subtreemass")
    assert float(mass[1, 0] / mass[0, 0]) == pytest.approx(1.7, rel=1e-5)


def test_snapshot_continues_to_the_bit(model: mujoco.MjModel) -> None:
    first, second = WarpEngine(model, 2, "cpu", OUTPUTS), WarpEngine(model, 2, "cpu", OUTPUTS)
    stand(first, model)
    first.state("xfrc_applied")[:, 1, 0] = 20.0
    first.step(5)
    saved = first.snapshot()
    assert first.snapshot()["qpos"].data_ptr() != first.state("qpos").data_ptr()
    first.step(10)
    second.step(3)
    second.restore(saved)
    second.step(10)
    for name, tensor in first.snapshot().items():
        assert torch.equal(tensor, second.snapshot()[name]), name
    first.restore(saved)
    assert torch.equal(first.output("sensordata"), saved["output.sensordata"])


def test_a_broken_world_harms_no_other_and_begins_anew(model: mujoco.MjModel) -> None:
    broken, whole = WarpEngine(model, 3, "cpu", OUTPUTS), WarpEngine(model, 3, "cpu", OUTPUTS)
    for worlds in (broken, whole):
        stand(worlds, model)
    broken.state("qvel")[1, 3] = torch.nan
    with pytest.warns(RuntimeWarning, match="1 worlds were no longer finite"):
        broken.step(5)
    whole.step(5)
    assert torch.equal(broken.state("qpos")[1], torch.tensor(model.qpos0, dtype=torch.float32))
    assert not broken.state("qvel")[1].any()
    assert torch.equal(broken.state("qpos")[[0, 2]], whole.state("qpos")[[0, 2]])
    assert torch.isfinite(broken.output("sensordata")).all()
    broken.step(5)
    assert torch.isfinite(broken.state("qpos")).all()
    assert (broken.state("qvel")[1] != 0).any()


def test_contacts_that_do_not_fit_are_not_dropped_in_silence() -> None:
    ball = '<body pos="{} 0 1"><joint type="slide" axis="0 0 1"/><geom size=".1"/></body>'
    balls = "".join(ball.format(0.01 * i) for i in range(12))
    worlds = WarpEngine(mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{balls}</worldbody></mujoco>"), 2)
    with pytest.raises(ConfigError, match=f"more than {MAX_CONTACTS} contacts"):
        worlds.step(1)


def test_wrong_use_is_refused_by_name() -> None:
    worlds = pendulum()
    with pytest.raises(ConfigError, match="xpos is not among"):
        worlds.output("xpos")
    with pytest.raises(ConfigError, match="computed by the engine"):
        worlds.state("sensordata")
    with pytest.raises(ConfigError, match="no per-world body_parentid"):
        worlds.parameter("body_parentid")
    with pytest.raises(ConfigError, match="does not fit"):
        worlds.restore(pendulum(worlds=2).snapshot())
    other = MujocoEngine(mujoco.MjModel.from_xml_string(PENDULUM), 3, 1, ("sensordata",))
    with pytest.raises(ConfigError, match="from another engine"):
        worlds.restore(other.snapshot())
    with pytest.raises(ConfigError, match="worlds >= 1"):
        pendulum(worlds=0)
    with pytest.raises(ConfigError, match="no device 'cuda:7'"):
        WarpEngine(mujoco.MjModel.from_xml_string(PENDULUM), 1, "cuda:7")
    with pytest.raises(ConfigError, match="mjSOL_PGS"):
        WarpEngine(mujoco.MjModel.from_xml_string(PENDULUM.replace("<mujoco>", '<mujoco><option solver="PGS"/>')), 1)
    with pytest.raises(ConfigError, match="computes no flying"):
        WarpEngine(mujoco.MjModel.from_xml_string(PENDULUM), 1, "cpu", ("flying",))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_captured_graph_repeats_to_the_bit_and_follows_the_cpu(model: mujoco.MjModel) -> None:
    first, second = WarpEngine(model, 64, "cuda:0", OUTPUTS), WarpEngine(model, 64, "cuda:0", OUTPUTS)
    judge = WarpEngine(model, 64, "cpu", OUTPUTS)
    for worlds in (first, second, judge):
        stand(worlds, model)
    start = first.state("qpos").clone()
    for worlds in (first, second, judge):
        worlds.step(2)
    assert not torch.equal(first.state("qpos"), start)
    assert torch.equal(first.state("qpos"), second.state("qpos"))
    assert float((first.state("qpos").cpu() - judge.state("qpos")).abs().max()) < 1e-5
    saved = first.snapshot()
    first.step(2)
    second.restore(saved)
    second.step(2)
    assert torch.equal(first.state("qvel"), second.state("qvel"))
