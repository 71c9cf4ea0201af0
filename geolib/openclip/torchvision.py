"""Import torchvision and open_clip, even if torchvision's compiled operators do not fit the installed torch."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

_declared: list[torch.library.Library] = []  # operators stay declared as long as these objects exist


def import_open_clip() -> ModuleType:
    """Import and return open_clip, which then knows the tower of the postcards' encoder by its name in timm."""
    declare_operators()
    importlib.import_module("geolib.openclip.tower")
    return importlib.import_module("open_clip")


def declare_operators() -> None:
    """Make torchvision importable, for open_clip and timm.

    With a CPU build of torch and a CUDA build of torchvision, `import torchvision` fails: "operator torchvision::nms
    does not exist". Only torchvision's plain Python is needed. So we declare the missing operators, which are never
    called, and it can be imported.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        _declared.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                _declared[-1].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
