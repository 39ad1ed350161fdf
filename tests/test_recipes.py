"""What recipes are made of."""

from importlib import import_module

from avatar.train import HybridFitConfig

make_recipe = import_module("avatar.configs").make_recipe


def test_the_hybrid_is_the_defaults() -> None:
    assert make_recipe("hybrid", 0) == HybridFitConfig()
    assert make_recipe("hybrid", 7).seed == 7


def test_refine_corrects_cameras_and_exposure_alone() -> None:
    refine = make_recipe("hybrid", 0, refine=True).avatar.refine
    assert (refine.cameras, refine.exposure, refine.poses, refine.joints) == (True, True, False, False)
