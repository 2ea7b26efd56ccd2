"""The loss of policy gradients against what theory says, against measured slopes and against PyTorch."""

import numpy as np
import pytest

from nbdl import Data, Sequential, gradient_check
from nbdl.errors import NbdlError
from nbdl.kernels.policy import policy_gradient as kernel
from nbdl.layers import TimeDistributedDense
from nbdl.losses import loss, policy_gradient


def gradient(z, actions, advantages, wanted, entropy=0.0, value=0.0, backend="serial"):
    """Loss and dz for episodes of one row each. Shape: z (episodes, steps, actions + 1), the others (episodes, steps)."""
    t = np.zeros_like(z)
    t[..., 0], t[..., 1], t[..., 2] = actions, advantages, wanted
    n, choices = len(z), z.shape[2] - 1
    dz = np.full(z.shape, np.nan)
    cost, each = np.full(1, np.nan), np.full(n, np.nan)
    call = kernel.bind(
        backend, cost, each, dz.reshape(n, -1), z.reshape(n, -1), t.reshape(n, -1), choices, entropy, value
    )
    call.run(*call.arguments)
    return cost[0], dz


@pytest.mark.parametrize("backend", ["numpy", "serial"])
@pytest.mark.parametrize("baseline", [0.0, 0.4, -7.0])
def test_of_a_bandit_it_is_the_slope_of_the_expected_reward(baseline, backend):
    p, rewards = np.array([0.5, 0.3, 0.2]), np.array([1.0, -2.0, 3.0])
    actions = np.repeat([0, 1, 2], [5, 3, 2])  # each as often as the policy takes it
    z = np.tile([*np.log(p), 0.0], (10, 1, 1))
    _, dz = gradient(z, actions[:, None], rewards[actions][:, None] - baseline, 0, backend=backend)
    slope = p * (rewards - p @ rewards)
    np.testing.assert_allclose(dz.sum(axis=0)[0], [*-slope, 0], atol=1e-12)


def test_only_steps_that_count_count():
    random = np.random.default_rng(0)
    z = random.standard_normal((2, 3, 3))
    whole, dz = gradient(z, [[0, 1, -1], [1, -1, -1]], 1.5, 0.5, 0.1, 0.5)
    assert not dz[0, 2].any()
    assert not dz[1, 1:].any()
    parts = [gradient(z[i : i + 1, s : s + 1], a, 1.5, 0.5, 0.1, 0.5) for i, s, a in ((0, 0, 0), (0, 1, 1), (1, 0, 1))]
    assert whole == pytest.approx(np.mean([cost for cost, _ in parts]))
    np.testing.assert_allclose(dz[0, 1], parts[1][1][0, 0] / 3)


def test_the_entropy_bonus_makes_a_policy_less_sure():
    z = np.array([[[2.0, 0.0, 0.0]]])
    _, dz = gradient(z, 0, 0, 0, entropy=1.0)
    assert dz[0, 0, 0] > 0 > dz[0, 0, 1]
    assert not gradient(np.zeros((1, 1, 3)), 0, 0, 0, entropy=1.0)[1].any()  # as unsure as can be


@pytest.mark.parametrize("backend", ["numpy", "serial"])
def test_measured_slopes(backend):
    random = np.random.default_rng(1)
    t = random.standard_normal((5, 6, 4))
    t[..., 0] = random.integers(0, 3, (5, 6))
    t[1, 4:, 0] = t[2, :, 0] = -1
    model = Sequential([TimeDistributedDense(7, "tanh"), TimeDistributedDense(4)], (6, 2), seed=3)
    data = Data(random.standard_normal((5, 6, 2)), t.reshape(5, -1))
    for check in gradient_check(model, data, policy_gradient(3, 0.1, 0.5), backend=backend):
        assert check.error < 1e-6, check.name


def test_like_pytorch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(2)
    z = 3 * random.standard_normal((4, 5, 7))
    actions, advantages, wanted = random.integers(0, 6, (4, 5)), *random.standard_normal((2, 4, 5))
    ours, dz = gradient(z, actions, advantages, wanted, 0.03, 0.7)
    theirs = torch.tensor(z, requires_grad=True)
    policy = torch.distributions.Categorical(logits=theirs[..., :-1])
    cost = (
        -torch.tensor(advantages) * policy.log_prob(torch.tensor(actions))
        - 0.03 * policy.entropy()
        + 0.7 * (theirs[..., -1] - torch.tensor(wanted)) ** 2
    ).mean()
    cost.backward()
    assert ours == pytest.approx(cost.item())
    np.testing.assert_allclose(dz, theirs.grad.numpy(), atol=1e-12)


def test_a_loss_is_found_again_by_its_name():
    one = policy_gradient(4, 0.02, 0.25)
    assert loss(one.name) == one


@pytest.mark.parametrize("settings", [{"entropy": -1}, {"value": float("nan")}])
def test_numbers_that_make_no_sense(settings):
    with pytest.raises(NbdlError, match="0 or more"):
        policy_gradient(2, **settings)
