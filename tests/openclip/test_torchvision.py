"""open_clip imports beside a torchvision whose compiled operators do not fit the installed torch."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import geolib
from geolib.openclip.torchvision import import_open_clip


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Stand-ins for torchvision and open_clip, as if neither had been imported; the real ones return afterwards."""
    import_open_clip()
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torchvision", "open_clip"):
            monkeypatch.delitem(sys.modules, name)

    def write(torchvision):
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "ops.py").touch()
        (tmp_path / "imports").touch()
        count = f"""
        from pathlib import Path
        imports = Path({str(tmp_path / "imports")!r})
        imports.write_text(imports.read_text() + "x")
        """
        code = textwrap.dedent(count) + textwrap.dedent(torchvision)
        (tmp_path / "torchvision" / "__init__.py").write_text(code)
        (tmp_path / "open_clip.py").write_text("import torchvision")
        monkeypatch.syspath_prepend(tmp_path)

    yield write
    for name in ("open_clip", "torchvision", "torchvision.ops"):
        sys.modules.pop(name, None)


def test_a_torchvision_that_fits_is_imported_once(install, tmp_path):
    install("")
    assert import_open_clip().__file__ == str(tmp_path / "open_clip.py")
    assert (tmp_path / "imports").read_text() == "x"


def test_a_torchvision_without_operators_is_imported_again(install, tmp_path):
    install(
        """
        import torchvision.ops
        if imports.read_text() == "x":
            raise RuntimeError("operator torchvision::nms does not exist")
        """
    )
    assert import_open_clip().__file__ == str(tmp_path / "open_clip.py")
    assert (tmp_path / "imports").read_text() == "xx"
    assert hasattr(torch.ops.torchvision, "nms")


def test_other_errors_of_torchvision_are_not_hidden(install, tmp_path):
    install("raise RuntimeError('PyTorch and torchvision have different CUDA versions')")
    with pytest.raises(RuntimeError, match="different CUDA versions"):
        import_open_clip()
    assert (tmp_path / "imports").read_text() == "x"


def test_declared_operators_exist_and_refuse_to_be_called():
    import_open_clip()
    boxes = torch.zeros(1, 4)
    try:
        torch.ops.torchvision.nms(boxes, boxes[:, 0], 0.5)
    except NotImplementedError:
        return
    pytest.skip("torchvision's own operators are loaded here")


@pytest.mark.parametrize(
    ("blocked", "modules"),
    [("torch", "images, common.files, common.settings, common.texts"), ("open_clip torchvision timm", "embed")],
)
def test_heavy_packages_are_imported_only_where_they_are_needed(blocked, modules):
    code = f"import sys; sys.modules |= dict.fromkeys({blocked.split()})\n"
    code += "".join(f"import geolib.{name.strip()}\n" for name in modules.split(","))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(geolib.__file__).parents[1])
