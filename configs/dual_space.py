"""Body and light apart: a radiance field of essence on the body, and a light in the world that brightens it."""

from avatar.canonical import FieldConfig
from avatar.deform import FieldCodesConfig, FieldDeformConfig, LightFieldConfig, TriangleAffine
from avatar.model import FieldAvatarConfig
from avatar.train import FieldFitConfig


def dual_space(seed: int = 0, light: bool = True, codes: bool = True) -> FieldFitConfig:
    """Dual-Space NeRF (Zhi et al. 2022) on a hash grid and a distance; for many frames of one person under fixed light.

    The essence is told neither direction nor normal, which are the light's; without ``light`` nobody is. ``codes`` of
    pose and frame are for long fits: in short ones they gain nothing.
    """
    moment = FieldCodesConfig() if codes else None
    avatar = FieldAvatarConfig(
        canonical=FieldConfig(num_codes=moment.size if moment else 0, has_view_dependence=False),
        deform=FieldDeformConfig(warp=TriangleAffine()),
        light=LightFieldConfig() if light else None,
        codes=moment,
    )
    return FieldFitConfig(avatar=avatar, seed=seed)
