"""A rigged person, or Gaussians, as USD for Omniverse, Houdini, Blender and Apple's viewers; needs the extra ``usd``.

``.usdz`` holds all in one file; beside ``.usd``, ``.usda`` and ``.usdc`` lies the texture as a PNG of the same name.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from avatar.atomic import replacing
from avatar.geometry import SH_C0
from avatar.structs import Gaussians

from .axes import storable
from .rigged import JointMotion, RiggedMesh
from .video import write_png

STILL_RATE_HZ = 24.0  # time codes a second of a file in which nothing moves


def load_usd() -> None:
    """Get USD ready, so that what it lacks is known before the work begins. ImportError says how to get it."""
    _pxr("Usd")


def write_rigged_usd(path: Path, mesh: RiggedMesh, motion: JointMotion | None, source: str) -> None:
    """Write mesh, skeleton, texture and, where there is a motion, its animation; whole or not at all.

    The texture holds the light of the capture: it is emitted, and no other light is reflected. Raises ImportError
    without the extra.
    """
    usd, geom, skel, vt = (_pxr(name) for name in ("Usd", "UsdGeom", "UsdSkel", "Vt"))
    with _new_stage(path, source) as (stage, folder):
        root = skel.Root.Define(stage, "/person")
        stage.SetDefaultPrim(root.GetPrim())
        texture = folder / f"{path.stem}.png"
        write_png(texture, mesh.texture)
        surface = _add_surface(stage, mesh)
        _add_material(stage, surface, texture.name)
        skeleton, joints = _add_skeleton(stage, mesh)
        binding = skel.BindingAPI.Apply(surface.GetPrim())
        binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
        binding.CreateGeomBindTransformAttr(_pxr("Gf").Matrix4d(1))
        width = mesh.joint_ids.shape[1]
        ids = vt.IntArray.FromNumpy(mesh.joint_ids.astype(np.int32).ravel())
        binding.CreateJointIndicesPrimvar(False, width).Set(ids)
        binding.CreateJointWeightsPrimvar(False, width).Set(vt.FloatArray.FromNumpy(mesh.joint_weights.ravel()))
        if motion is not None:
            animation = _add_animation(stage, mesh, motion, joints)
            skel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
        cache = geom.BBoxCache(usd.TimeCode.Default(), ["default"])
        bounds = cache.ComputeWorldBound(surface.GetPrim()).ComputeAlignedRange()
        root.CreateExtentAttr([_vector(bounds.GetMin()), _vector(bounds.GetMax())])


def write_gaussian_usd(path: Path, gaussians: Gaussians, source: str) -> None:
    """Write Gaussians in the axes that they are in, which USD is told are y up; whole or not at all.

    Raises ValueError where a value is not finite, ImportError without the extra or where it is older than 26.3.
    """
    scene = storable(path, gaussians)
    vol, vt = _pxr("UsdVol"), _pxr("Vt")
    if not hasattr(vol, "ParticleField3DGaussianSplat"):
        raise ImportError("usd: knows no Gaussians before version 26.3; run `pip install --upgrade 'avatar[usd]'`")
    means, scales, sh = scene.means.numpy(), scene.scales.numpy(), scene.sh
    with _new_stage(path, source) as (stage, _):
        field = vol.ParticleField3DGaussianSplat.Define(stage, "/person")
        stage.SetDefaultPrim(field.GetPrim())
        field.CreatePositionsAttr(vt.Vec3fArray.FromNumpy(means))
        field.CreateOrientationsAttr(vt.QuatfArray.FromNumpy(_xyzw(scene.quats.numpy())))
        field.CreateScalesAttr(vt.Vec3fArray.FromNumpy(scales))
        field.CreateOpacitiesAttr(vt.FloatArray.FromNumpy(scene.opacities.numpy()))
        field.CreateRadianceSphericalHarmonicsDegreeAttr(round(sh.shape[1] ** 0.5) - 1)
        coefficients = vt.Vec3fArray.FromNumpy(sh.reshape(-1, 3).numpy())
        field.CreateRadianceSphericalHarmonicsCoefficientsAttr(coefficients)
        field.CreateSortingModeHintAttr("cameraDistance")
        field.CreateDisplayColorPrimvar("vertex").Set(
            vt.Vec3fArray.FromNumpy((sh[:, 0] * SH_C0 + 0.5).clamp(0, 1).numpy())
        )
        if len(means):
            reach = 3 * scales.max(1, keepdims=True)
            corners = np.stack([(means - reach).min(0), (means + reach).max(0)])
            field.CreateExtentAttr(vt.Vec3fArray.FromNumpy(corners))


def _pxr(name: str) -> ModuleType:
    """A module of USD. ImportError says how to get it."""
    try:
        return import_module(f"pxr.{name}")
    except ImportError as error:
        raise ImportError(f"usd: cannot be imported ({error}); run `pip install 'avatar[usd]'`") from error


@contextmanager
def _new_stage(path: Path, source: str) -> Iterator[tuple[Any, Path]]:
    """A stage, y up and in metres, and the folder it lies in; all that is there in the end becomes ``path``."""
    with TemporaryDirectory() as name:
        layer = Path(name) / (path.stem + (".usdc" if path.suffix == ".usdz" else path.suffix))
        stage = _pxr("Usd").Stage.CreateNew(str(layer))
        geom = _pxr("UsdGeom")
        geom.SetStageUpAxis(stage, geom.Tokens.y)
        geom.SetStageMetersPerUnit(stage, 1.0)
        stage.GetRootLayer().comment = f"{source}; metres; x right, y up, z forward of the person"
        yield stage, layer.parent
        stage.GetRootLayer().Save()
        beside = sorted(layer.parent.glob("*.png"))
        if path.suffix == ".usdz":
            packed = Path(name) / path.name
            if not _pxr("UsdUtils").CreateNewUsdzPackage(str(layer), str(packed)):
                raise ValueError(f"{path}: USD could not pack the file")
            layer, beside = packed, []
        for part in (*beside, layer):
            with replacing(path.parent / part.name) as temporary:
                shutil.copyfile(part, temporary)


def _add_surface(stage: Any, mesh: RiggedMesh) -> Any:
    geom, vt, sdf = _pxr("UsdGeom"), _pxr("Vt"), _pxr("Sdf")
    surface = geom.Mesh.Define(stage, "/person/surface")
    surface.CreatePointsAttr(vt.Vec3fArray.FromNumpy(mesh.vertices))
    surface.CreateFaceVertexCountsAttr(vt.IntArray.FromNumpy(np.full(len(mesh.faces), 3, np.int32)))
    surface.CreateFaceVertexIndicesAttr(vt.IntArray.FromNumpy(mesh.faces.astype(np.int32).ravel()))
    surface.CreateNormalsAttr(vt.Vec3fArray.FromNumpy(mesh.normals))
    surface.SetNormalsInterpolation(geom.Tokens.vertex)
    surface.CreateSubdivisionSchemeAttr(geom.Tokens.none)
    surface.CreateExtentAttr(vt.Vec3fArray.FromNumpy(np.stack([mesh.vertices.min(0), mesh.vertices.max(0)])))
    coordinates = geom.PrimvarsAPI(surface).CreatePrimvar("st", sdf.ValueTypeNames.TexCoord2fArray, geom.Tokens.vertex)
    coordinates.Set(vt.Vec2fArray.FromNumpy(mesh.uv))
    return surface


def _add_material(stage: Any, surface: Any, texture: str) -> None:
    shade, types = _pxr("UsdShade"), _pxr("Sdf").ValueTypeNames
    material = shade.Material.Define(stage, "/person/captured")
    reader, image, look = (
        shade.Shader.Define(stage, f"/person/captured/{name}") for name in ("coordinates", "texture", "look")
    )
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", types.String).Set("st")
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", types.Asset).Set(texture)
    image.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    image.CreateInput("st", types.Float2).ConnectToSource(reader.CreateOutput("result", types.Float2))
    look.CreateIdAttr("UsdPreviewSurface")
    look.CreateInput("diffuseColor", types.Color3f).Set((0, 0, 0))
    look.CreateInput("roughness", types.Float).Set(1)
    look.CreateInput("emissiveColor", types.Color3f).ConnectToSource(image.CreateOutput("rgb", types.Float3))
    material.CreateSurfaceOutput().ConnectToSource(look.CreateOutput("surface", types.Token))
    shade.MaterialBindingAPI.Apply(surface.GetPrim()).Bind(material)


def _add_skeleton(stage: Any, mesh: RiggedMesh) -> tuple[Any, list[str]]:
    """The skeleton, and the paths of its joints."""
    skel, tf, vt = _pxr("UsdSkel"), _pxr("Tf"), _pxr("Vt")
    paths: list[str] = []
    for name, parent in zip(mesh.joint_names, mesh.parents, strict=True):
        own = tf.MakeValidIdentifier(name)
        paths.append(own if parent < 0 else f"{paths[parent]}/{own}")
    skeleton = skel.Skeleton.Define(stage, "/person/skeleton")
    skeleton.CreateJointsAttr(paths)
    skeleton.CreateJointNamesAttr(list(mesh.joint_names))
    skeleton.CreateBindTransformsAttr(vt.Matrix4dArray.FromNumpy(_translations(mesh.joints)))
    skeleton.CreateRestTransformsAttr(vt.Matrix4dArray.FromNumpy(_translations(mesh.joint_offsets)))
    return skeleton, paths


def _add_animation(stage: Any, mesh: RiggedMesh, motion: JointMotion, joints: list[str]) -> Any:
    """All three parts of every joint at every time, as Blender wants them."""
    skel, vt = _pxr("UsdSkel"), _pxr("Vt")
    steps = np.diff(motion.times_s)
    rate = round(float(1 / steps.min()), 6) if len(steps) else STILL_RATE_HZ
    codes = np.round(motion.times_s * rate, 6)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(float(codes[-1]))
    animation = skel.Animation.Define(stage, "/person/motion")
    animation.CreateJointsAttr(joints)
    places, turns, sizes = (
        animation.CreateTranslationsAttr(),
        animation.CreateRotationsAttr(),
        animation.CreateScalesAttr(),
    )
    offsets, ones = mesh.joint_offsets, vt.Vec3hArray.FromNumpy(np.ones((len(joints), 3), np.float16))
    for code, quats, root in zip(codes.tolist(), motion.quats, motion.root, strict=True):
        offsets[0] = root
        places.Set(vt.Vec3fArray.FromNumpy(offsets), code)
        turns.Set(vt.QuatfArray.FromNumpy(_xyzw(quats)), code)
        sizes.Set(ones, code)
    return animation


def _translations(places: np.ndarray) -> np.ndarray:
    """Matrices for row vectors, as USD has them."""
    matrices = np.tile(np.eye(4), (len(places), 1, 1))
    matrices[:, 3, :3] = places
    return matrices


def _xyzw(quats: np.ndarray) -> np.ndarray:
    """How USD's arrays lie in memory."""
    return np.ascontiguousarray(quats[:, [1, 2, 3, 0]])


def _vector(values: Any) -> Any:
    return _pxr("Gf").Vec3f(values)
