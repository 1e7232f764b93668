"""Nodes for ComfyUI: workflows in its API format, run through the interface that it documents."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import torch
from conftest import picture

from nst_adain.comfyui import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from nst_adain.controls import BOLDNESS, Picture
from nst_adain.functional import blend
from nst_adain.stylizer import Stylizer


def run(workflow: dict[str, dict[str, Any]], node: str, made: dict[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    """Run a node and those it is linked to, checked as by ComfyUI's `validate_inputs`; `made` has outputs of other nodes.

    https://docs.comfy.org/custom-nodes/backend/server_overview and /custom-nodes/backend/datatypes.
    """
    if node in made:
        return made[node]
    nodes = namespace()
    kind, inputs = nodes["NODE_CLASS_MAPPINGS"][workflow[node]["class_type"]], workflow[node]["inputs"]
    declared = kind.INPUT_TYPES()
    assert set(declared) <= {"required", "optional", "hidden"}
    assert declared["required"].keys() <= inputs.keys() <= declared["required"].keys() | declared.get("optional", {}).keys()
    given = {}
    for name, (expected, *options) in (declared["required"] | declared.get("optional", {})).items():
        if name not in inputs:
            continue
        if isinstance(value := inputs[name], list):  # a link: a node and the number of its output
            source, output = value
            types_of = {"image": ("IMAGE",), "mask": ("MASK",)}  # ComfyUI's LoadImage
            returned = types_of.get(source) or nodes["NODE_CLASS_MAPPINGS"][workflow[source]["class_type"]].RETURN_TYPES
            assert returned[output] == expected
            given[name] = run(workflow, source, made)[output]
        elif isinstance(expected, list):
            assert value in expected
            given[name] = value
        else:
            given[name] = {"INT": int, "FLOAT": float}[expected](value)
            assert options[0]["min"] <= given[name] <= options[0]["max"]
    with torch.inference_mode():  # as ComfyUI runs them
        results = getattr(kind(), kind.FUNCTION)(**given)
    assert isinstance(results, tuple)
    assert len(results) == len(kind.RETURN_TYPES)
    made[node] = results
    return results


def namespace() -> dict[str, Any]:
    """What the file in custom_nodes defines."""
    module = types.ModuleType("nst_adain_nodes")
    exec("from nst_adain.comfyui import *", vars(module))
    return vars(module)


def image(*seeds: int, size: tuple[int, int] = (40, 30)) -> torch.Tensor:
    """As ComfyUI's LoadImage gives it."""
    return torch.stack([torch.from_numpy(np.array(picture(*size, seed))).float() / 255 for seed in seeds])


WORKFLOW = {
    "1": {"class_type": "NstAdainLoadModel", "inputs": {"name": "slim", "device": "cpu"}},
    "2": {"class_type": "NstAdainEncodeStyle", "inputs": {"model": ["1", 0], "image": ["image", 0], "style_size": 512}},
    "3": {"class_type": "NstAdainEncodeStyle", "inputs": {"model": ["1", 0], "image": ["image", 0], "style_size": 16}},
    "4": {"class_type": "NstAdainMixStyles", "inputs": {"first": ["2", 0], "second": ["3", 0], "share": 0.25}},
    "5": {
        "class_type": "NstAdainStylize",
        "inputs": {
            "model": ["1", 0],
            "image": ["image", 0],
            "style": ["4", 0],
            "strength": 0.8,
            "boldness": BOLDNESS,
            "preserve_color": "luminance",
            "look_size": 512,
        },
    },
}


def stylize(**inputs: Any) -> dict[str, dict[str, Any]]:
    """The workflow with other inputs of its last node."""
    return {**WORKFLOW, "5": {**WORKFLOW["5"], "inputs": {**WORKFLOW["5"]["inputs"], **inputs}}}  # type: ignore[dict-item]


def expected(slim: Stylizer, content: Picture, **controls: Any) -> np.ndarray:
    styles = [slim.encode_style(picture(40, 30, 1)), slim.encode_style(picture(40, 30, 1), style_size=16)]
    options = {"alpha": 0.8, "preserve_color": "luminance", **controls}
    return np.asarray(slim(content, blend(styles, [0.75, 0.25]), **options))  # type: ignore[call-overload]


def test_a_workflow_gives_what_the_call_gives(slim: Stylizer) -> None:
    (result,) = run(WORKFLOW, "5", {"image": (image(1),)})
    assert (result.shape, result.dtype, result.device.type) == ((1, 30, 40, 3), torch.float32, "cpu")
    np.testing.assert_allclose(result[0].numpy() * 255, expected(slim, picture(40, 30, 1)), atol=1.5)


def test_masks_and_transparency(slim: Stylizer) -> None:
    mask = torch.linspace(0, 1, 40).expand(30, 40)
    clear = torch.cat([image(1), mask[None, :, :, None]], -1)
    for given in (mask, mask[None]):
        made = {"image": (clear,), "mask": (given,)}
        (result,) = run(stylize(mask=["mask", 0]), "5", made)
        np.testing.assert_allclose(result[0, ..., :3].numpy() * 255, expected(slim, picture(40, 30, 1), masks=[mask]), atol=1.5)
        assert torch.equal(result[..., 3], mask[None])


def test_a_batch_is_rendered_one_by_one(slim: Stylizer) -> None:
    style = slim.encode_style(picture(seed=4))
    made = {"1": (slim,), "4": (style,), "image": (image(1, 2),), "mask": (torch.stack([torch.ones(3, 4), torch.zeros(3, 4)]),)}
    (result,) = run(stylize(preserve_color="none", boldness=0.7, mask=["mask", 0]), "5", dict(made))
    np.testing.assert_allclose(
        result[0].numpy() * 255, np.asarray(slim(picture(40, 30, 1), style, alpha=0.8, boldness=0.7)), atol=1.5
    )
    torch.testing.assert_close(result[1], image(2)[0])
    with pytest.raises(ValueError, match="mask: expected 1 mask or one for each of 2 pictures, got 3"):
        run(stylize(mask=["mask", 0]), "5", made | {"mask": (torch.ones(3, 4, 4),)})


def test_several_pictures_are_one_average_style(slim: Stylizer) -> None:
    (style,) = run(WORKFLOW, "2", {"1": (slim,), "image": (image(1, 2),)})
    torch.testing.assert_close(
        style.mean, slim.average_style([picture(40, 30, 1), picture(40, 30, 2)]).mean, atol=1e-4, rtol=1e-3
    )


def test_every_node_declares_what_comfyui_reads() -> None:
    assert NODE_CLASS_MAPPINGS.keys() == NODE_DISPLAY_NAME_MAPPINGS.keys()
    for kind in NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(kind, kind.FUNCTION))
        assert kind.CATEGORY == "nst_adain"
        for expected_type, *options in kind.INPUT_TYPES()["required"].values():
            assert isinstance(expected_type, (str, list))
            if expected_type in ("INT", "FLOAT"):
                assert options[0]["min"] <= options[0]["default"] <= options[0]["max"]
            elif isinstance(expected_type, list) and options and "default" in options[0]:
                assert options[0]["default"] in expected_type
