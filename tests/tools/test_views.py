"""Pictures of an avatar in another light."""

import math

import pytest
import torch

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import CorrectivesConfig, DeformConfig, LightField, LightFieldConfig, NormalLightConfig
from avatar.deform.deformer import Light
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.structs import Pose
from tools.views import turn_light


def lit(light: Light | None) -> HybridAvatar:
    model = load_body("cmu_mb")
    rest = model.rest_pose()
    config = HybridAvatarConfig(
        canonical=HybridConfig(num_gaussians=10),
        deform=DeformConfig(correctives=CorrectivesConfig(num_modes=0), light=light),
    )
    poses = Pose(local_quats=rest.local_quats[None], root_position_world=rest.root_position_world[None])
    return HybridAvatar(shape=model.default_shape(), poses=poses, frame_ids=(0,), config=config, rig="cmu_mb")


def test_a_lamp_in_front_goes_to_the_left() -> None:
    """A quarter turn takes what shone on the front (-y) to the body's left (+x)."""
    avatar = lit(LightFieldConfig(sees_directions=False))
    light = avatar.deform.light
    assert isinstance(light, LightField)
    with torch.no_grad():
        light.coefficients[0] = 1.0  # harmonics of degree one: -y first
    turn_light(avatar, 90.0)
    turned = avatar.deform.light
    assert isinstance(turned, LightField)
    normals = torch.tensor([[0.0, -1, 0], [1, 0, 0], [-1, 0, 0]])
    gain = turned(normals, torch.zeros(3, 3))[:, 0].tolist()
    assert gain == pytest.approx([1.0, 1 + math.sqrt(3 / (4 * math.pi)), math.exp(-math.sqrt(3 / (4 * math.pi)))])


@pytest.mark.parametrize("light", [None, NormalLightConfig()])
def test_there_must_be_a_light_field(light: Light | None) -> None:
    with pytest.raises(ValueError, match="--light-deg: this avatar knows no light"):
        turn_light(lit(light), 90.0)
