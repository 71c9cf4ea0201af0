"""The prediction demo as a reader meets it: real JupyterLab, real Chromium, one walk through the notebook.

Needs Debian's Chromium (`apt-get install chromium`; `.ci/run` installs it) and Playwright. `GEOLIB_SHOTS=folder` keeps
screenshots of the demo, wide and narrow.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240  # machines that run all tests at once are slow

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # else off-screen cells are not in the page
}
# Elements of the demo that could be scrolled: their content is larger than they are, and they do not let it show.
SCROLLED = """() => [...document.querySelectorAll('.geolib-demo, .geolib-demo *')].filter(e => {
    const style = getComputedStyle(e)
    const across = ['auto', 'scroll'].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1
    const down = ['auto', 'scroll'].includes(style.overflowY) && e.scrollHeight > e.clientHeight + 1
    return across || down
}).map(e => e.className)"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def is_up(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def jupyterlab(folder, home):
    """JupyterLab on `folder`, with nothing of the user's: the address of a file without its name, and the token."""
    for name, values in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    places = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    env = os.environ | {f"JUPYTER_{name}": str(home / part) for name, part in places.items()}
    env |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    env |= {"IPYTHONDIR": str(home / "ipython"), "GEOLIB_FAST": "1"}
    port, token = free_port(), secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--LabApp.extension_manager=readonly",
    ]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    with (home / "log").open("w") as log, subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log) as lab:
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + PATIENCE_S
            while not is_up(f"{address}/api/status?token={token}"):
                assert lab.poll() is None and time.monotonic() < end, (home / "log").read_text()
                time.sleep(0.3)
            yield address, token
        finally:
            lab.terminate()
            try:
                lab.wait(30)
            except subprocess.TimeoutExpired:
                lab.kill()


@contextmanager
def chromium_page(complaints):
    """An empty page; what its console reports as an error, and what its scripts throw, goes to `complaints`."""
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-proxy-server"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()


def send(page, path):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload a picture").click()
    chooser.value.set_files(path)


def keep(page, width, name):
    page.set_viewport_size({"width": width, "height": 2400})
    page.wait_for_timeout(500)  # for the layout to settle
    assert page.evaluate(SCROLLED) == []
    if folder := os.environ.get("GEOLIB_SHOTS"):
        page.locator(".geolib-demo").screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_reader_chooses_a_sample_uploads_a_picture_and_is_told_of_a_broken_one(tmp_path):
    folder, home, pictures = tmp_path / "notebooks", tmp_path / "home", tmp_path / "pictures"
    for path in (folder, home, pictures):
        path.mkdir()
    shutil.copy(ROOT / "notebooks" / "07_try_it.ipynb", folder)
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((640, 480)).save(pictures / "castle.jpg")
    (pictures / "torn.jpg").write_bytes((pictures / "castle.jpg").read_bytes()[:2000])
    complaints = []
    with jupyterlab(folder, home) as (address, token), chromium_page(complaints) as page:
        page.goto(f"{address}/lab/tree/07_try_it.ipynb?token={token}")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # cells sent before the kernel is there are lost
        page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
        page.locator('[data-command="runmenu:run-all"]').click()

        demo = page.locator(".geolib-demo")
        caption, answer = demo.locator("figcaption"), demo.locator(".geolib-right img")
        answer.wait_for()
        before = answer.get_attribute("alt")
        page.get_by_title("Show sample 2", exact=True).click()
        caption.filter(has_text="Sample 2").wait_for()
        demo.locator(f'.geolib-right img:not([alt="{before}"])').wait_for()
        demo.get_by_label("Fusion rule").select_option(label="Finest level alone")
        demo.get_by_text("Uses only the finest head").wait_for()
        demo.get_by_role("button", name="Show the truth").click()
        demo.get_by_text("km off: GeoScore").wait_for()
        keep(page, 1400, "wide")
        keep(page, 700, "narrow")
        page.set_viewport_size({"width": 1400, "height": 1000})

        send(page, pictures / "castle.jpg")
        caption.filter(has_text="Your picture: castle.jpg").wait_for()
        assert "° " in demo.locator(".geolib-right").inner_text()
        assert "Only you know" in demo.inner_text()
        keep(page, 1400, "uploaded")

        send(page, pictures / "torn.jpg")
        demo.get_by_role("alert").filter(has_text="torn.jpg is damaged or cut short").wait_for()
        assert "castle.jpg" in caption.inner_text(), "the picture before stays"
        keep(page, 1400, "broken")

        page.locator(".jp-CodeCell").last.get_by_text("km off").wait_for()  # every cell has run
        assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert complaints == []
