"""Importing open_clip where torchvision's compiled operators do not fit the installed torch."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

_OPERATORS = ("nms", "qnms")  # those that torchvision's Python code refers to while it is imported
_library: torch.library.Library | None = None  # the definitions live as long as this object


def import_open_clip() -> ModuleType:
    """Import open_clip, also beside a torchvision whose compiled operators cannot be loaded.

    A CPU build of torch with torchvision's CUDA build is such a pair: `import torchvision` then stops at "operator
    torchvision::nms does not exist". open_clip needs torchvision's image transforms, which are plain Python,
    so declaring the missing operators (never called here) is enough. Where torchvision imports, nothing is done.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        _declare_operators()
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
    return importlib.import_module("open_clip")


def _declare_operators() -> None:
    global _library
    if _library is None:
        _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in _OPERATORS:
            _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
