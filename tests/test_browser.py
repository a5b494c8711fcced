"""The notebooks in JupyterLab in a real browser: all cells, each slider once, screenshots."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "runs" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SLIDERS = {"01_main_model": (2, 1), "02_sampling_model": (3,), "03_ensemble": (3, 3)}  # a widget
MAY_STAY = "03_ensemble_2"  # where a main model of one epoch finds nothing, nothing is zoomed into
PATIENCE = 15 * 60_000  # milliseconds, for all cells
READY = "jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
DONE = """jupyterapp.shell.currentWidget.content.widgets.every(
    cell => cell.model.type !== "code"
        || (cell.model.executionState !== "running" && cell.model.executionCount))"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: see tests/README.md"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that shows copies of the notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(file, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":  # as yet not run
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / file.name)
    settings = folder / ".settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    text = json.dumps({"windowingMode": "none"})  # else only what is in view is drawn
    (settings / "tracker.jupyterlab-settings").write_text(text)
    environment = {
        **os.environ,
        "ENSEMBLE_SEG_PRESET": "smoke",
        "ENSEMBLE_SEG_RUNS_DIR": os.environ.get("BROWSER_RUNS_DIR") or str(folder / "runs"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
    }
    environment.pop("MPLBACKEND", None)  # of the tests, with which notebooks show no figure
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        "--expose-app-in-browser",
        "--IdentityProvider.token=",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options, f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None"]
    address = f"http://127.0.0.1:{port}/lab"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        wait_for(address, server)
        yield address
        server.kill()  # which asks no questions
        server.wait(30)


def wait_for(address, server, seconds=120):
    for _ in range(seconds):
        assert server.poll() is None, "JupyterLab stopped"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(1)
    pytest.fail(f"JupyterLab did not answer within {seconds} s")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="see tests/README.md")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.mark.parametrize("name", SLIDERS)
def test_a_notebook_in_the_browser(lab, browser, name):
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{lab}/tree/{name}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function(READY, polling=500)
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(DONE, polling=1000)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    panels = page.locator(".jp-OutputArea-output .widget-vbox:has(.widget-image)")
    assert panels.count() == len(SLIDERS[name])
    SHOTS.mkdir(parents=True, exist_ok=True)
    for number, sliders in enumerate(SLIDERS[name]):
        turn_each(page, panels.nth(number), sliders, f"{name}_{number + 1}")
    figures = page.locator(".jp-RenderedImage img")
    assert figures.count() == stored_figures(name) - len(SLIDERS[name])
    shoot_all(page, name)
    page.close()


def stored_figures(name):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def shoot_all(page, name, height=2400):
    """Take pictures of the whole notebook, one below the other."""
    page.set_viewport_size({"width": 1300, "height": height})
    panel = page.locator(".jp-WindowedPanel-outer").first
    whole = panel.evaluate("panel => panel.scrollHeight")
    for number in range(-(-whole // height)):
        panel.evaluate("(panel, top) => { panel.scrollTop = top }", number * (height - 100))
        page.wait_for_timeout(1000)
        page.screenshot(path=SHOTS / f"{name}_page{number + 1}.png")


def turn_each(page, panel, sliders, label):
    """Press an arrow key on each slider and wait for another picture."""
    panel.scroll_into_view_if_needed()
    panel.screenshot(path=SHOTS / f"{label}_start.png")
    handles, picture = panel.locator(".noUi-handle"), panel.locator("img")
    assert handles.count() == sliders
    for number in range(sliders):
        before = picture.get_attribute("src")
        handles.nth(number).focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")  # where it stood at its end already
        if number and label == MAY_STAY:
            page.wait_for_timeout(5000)
        else:
            changed = "([image, old]) => image.src !== old"
            page.wait_for_function(changed, arg=[picture.element_handle(), before])
        page.wait_for_timeout(500)
    drawn = "image => image.complete && image.naturalHeight > 0"
    page.wait_for_function(drawn, arg=picture.element_handle())
    page.wait_for_timeout(1500)
    panel.screenshot(path=SHOTS / f"{label}_turned.png")
