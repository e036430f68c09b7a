"""Draw both dashboards: make dashboard-pictures; draw_dashboards.py ANSWERS.json OUTDIR.

Plays a story on a real API server, a real operator, real stages and a real Prometheus, asks
Prometheus every query of every panel, keeps the answers in a file (where there is one, it draws
that) and draws them. It is no Grafana: what it shows is the
queries' data in the panels' units, names and places. Needs Chromium, as docs/screenshots.py does.
"""
# ruff: noqa: INP001 - a script, not a package

import asyncio
import base64
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from builders.monitored import MONITORING, SCRAPED_WITHIN_S, Monitored, monitored, two_runs
from cluster import dashboards
from cluster.plane import ControlPlane
from cluster.process import wait_until
from drawing import CELL_H, CELL_W, Labels, Line, Panel, drawn
from screenshots import open_tab

ROOT = Path(__file__).parents[1]
Answers = dict[str, list[Any]]
BOARDS = ("job", "fleet")
NAMESPACE = "ml"
WIDTH, HEAD = 1428, 80
EPOCHS = 12
"""Minutes of training, so that there are curves."""
INTERVAL, BAR_S = "$__interval", 30
"""A bar counts what happened in its time."""
SHOWN = 'count_over_time(tunekeeper_job_verdict{finetunejob="$finetunejob"}[30s]) > 15'
SAID = (
    "Not Grafana: drawn by docs/draw_dashboards.py from what a real Prometheus answered to the "
    "panels' own queries. A tiny model on a CPU; the GPU row is of a fixture, played dcgm-exporter."
)
STYLE = """
body{margin:0;padding:14px 12px;background:#f4f5f7;width:1404px;
  font:12px system-ui,sans-serif;color:#1f2430}
h1{font-size:19px;margin:0 0 2px 6px}h2{font-size:14px;margin:8px 6px 0}
h3{font-size:12px;margin:0 0 4px}
.said{margin:0 6px 10px;color:#555}.board{position:relative}
.panel{position:absolute;box-sizing:border-box;padding:3px}
.panel>div{background:#fff;border:1px solid #d9dce3;border-radius:3px;height:100%;
  box-sizing:border-box;padding:6px 8px;overflow:hidden}
text{font-size:11px;fill:#555}.stat{margin:14px 0 0;text-align:center;font-weight:600}
.none{color:#777;text-align:center;margin-top:26px}
.legend{line-height:15px;max-height:31px;overflow:hidden}.legend span{margin-right:12px}
.legend i{display:inline-block;width:10px;height:3px;margin-right:4px;vertical-align:middle}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:4px 8px;border-bottom:1px solid #e3e5ea}
"""


def main(kept: str, out: str) -> None:
    """Draw what was kept, or else tell the story and keep it."""
    path = Path(kept)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(answers()), encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    for name in BOARDS:
        picture = Path(out) / f"dashboard-{name}.png"
        picture.write_bytes(asyncio.run(photograph(page_of(board_of(name), found))))
        sys.stdout.write(f"{picture}: {picture.stat().st_size // 1000} kB\n")


def answers() -> Answers:
    """Of Prometheus to every query of every panel, and the story's beginning and end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # noqa: SIM117 - see told
        with told(Path(folder)) as world:
            values = {**world.values, INTERVAL.strip("$"): f"{BAR_S}s"}
            found: Answers = {"": [world.started_s, time.time()]}
            for name in BOARDS:
                for panel in board_of(name)["panels"]:
                    for target in panel.get("targets", ()):
                        expression = dashboards.filled(target["expr"], values)
                        found[f"{target['instant']} {target['expr']}"] = (
                            world.now(expression)
                            if target["instant"]
                            else world.history(
                                expression, BAR_S if INTERVAL in target["expr"] else 1
                            )
                        )
            return found


def board_of(name: str) -> dict[str, Any]:
    """The dashboard."""
    return dashboards.load(MONITORING / "dashboards" / f"tunekeeper-{name}.json")


@contextmanager
def told(folder: Path) -> Iterator[Monitored]:
    """Everybody at work, and the story at its end."""
    crds = sorted((ROOT / "manifests" / "crd").glob("*s.yaml"))
    with ControlPlane(early=crds) as plane:
        for name in ("tunekeeper-system", NAMESPACE):
            plane.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        plane.kubectl("apply", "-k", ROOT / "manifests" / "rbac")
        with monitored(plane, NAMESPACE, folder) as world:
            two_runs(world, epochs=EPOCHS)
            shown = dashboards.filled(SHOWN, world.values)
            wait_until(lambda: world.now(shown), "the end can be seen", SCRAPED_WITHIN_S)
            yield world


def page_of(board: dict[str, Any], found: Answers) -> tuple[str, int]:
    """The whole dashboard as one page, and its height."""
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"]) * CELL_H
    panels = "".join(
        framed(panel, list(lines(panel, found)), found[""]) for panel in board["panels"]
    )
    head = f"<h1>{escape(board['title'])}</h1><p class=said>{escape(SAID)}</p>"
    body = f"<div class=board style='height:{height}px'>{panels}</div>"
    page = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{head}{body}"
    return page, height + HEAD


def framed(panel: Panel, shown: list[Line], span: list[float]) -> str:
    """A panel at its place."""
    sizes = {"left": ("x", CELL_W), "top": ("y", CELL_H), "width": ("w", CELL_W)}
    sizes["height"] = ("h", CELL_H)
    at = ";".join(f"{name}:{panel['gridPos'][key] * cell}px" for name, (key, cell) in sizes.items())
    title = escape(panel["title"])
    if panel["type"] == "row":
        return f'<div class=panel style="{at}"><h2>{title}</h2></div>'
    body = drawn(panel, shown, *span)
    return f'<div class=panel style="{at}"><div><h3>{title}</h3>{body}</div></div>'


def lines(panel: Panel, found: Answers) -> Iterator[Line]:
    """The answers to the panel's queries."""
    for target in panel.get("targets", ()):
        for one in found[f"{target['instant']} {target['expr']}"]:
            labels = {key: value for key, value in one["metric"].items() if key != "__name__"}
            points = one.get("values") or [one["value"]]
            numbers = [(float(at), float(value)) for at, value in points]
            yield Line(named(target["legendFormat"], labels), labels, numbers, target["refId"])


def named(legend: str, labels: Labels) -> str:
    """A line's name, as Grafana fills it in."""
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)


async def photograph(page: tuple[str, int]) -> bytes:
    """A PNG of the page."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise SystemExit("no Chromium found; on Debian: apt-get install chromium")
    text, height = page
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    async with open_tab(chromium) as tab:
        await tab.call("Emulation.setDeviceMetricsOverride", **size)
        frame = (await tab.call("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        await tab.call("Page.setDocumentContent", frameId=frame, html=text)
        shot = await tab.call("Page.captureScreenshot", format="png")
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main(*sys.argv[1:])
