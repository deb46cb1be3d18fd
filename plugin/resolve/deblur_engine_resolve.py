# SPDX-License-Identifier: Apache-2.0
"""The effect in DaVinci Resolve: fits a model to the clip under the playhead and puts the effect on it.

Python 3.6, the standard library and Resolve's own objects. Any call may answer None: nothing here assumes otherwise.
"""

import importlib.util
import os
import re
import time

EFFECT = "ofx.org.deblur-engine.DeblurEngine"
_PATIENCE = 10.0  # seconds: after an edit Resolve answers None for a while
_NUMBERED = re.compile(r"^(.*)\[(\d+)-(\d+)\](\.[^.]+)$")  # how Resolve names an image sequence


class Problem(Exception):
    """What to tell the user."""


def _load_jobs():
    """plugin/jobs.py under a name of its own: scripts share one list of modules, and "jobs" is anybody's."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "jobs.py")
    spec = importlib.util.spec_from_file_location("deblur_engine_jobs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


jobs = _load_jobs()


def main(resolve, fusion=None, bmd=None, preset="standard", say=print):
    """Fit and apply; returns whether the effect is on the clip. Problems are said, never raised."""
    try:
        if resolve is None:
            raise Problem("This script runs from Resolve's menu: Workspace > Scripts.")
        item = item_under_playhead(resolve)
        path, frames = engine_clip(file_of(item))
        model = jobs.model_beside(path)
        if os.path.exists(model):
            say("using {}: remove it to have it fitted anew".format(model))
        else:
            model = fit(path, frames, preset, fusion, bmd, say)
        if model is None:
            say("deblur-engine: stopped; running it again resumes")
            return False
        apply(item, model, path)
    except (Problem, jobs.EngineMissing) as problem:
        say("deblur-engine: {}".format(problem))
        return False
    say("deblur-engine: the effect is on the clip, with {}".format(model))
    return True


def item_under_playhead(resolve, patience=_PATIENCE, sleep=time.sleep):
    """The timeline item under the playhead; raises Problem."""
    manager = resolve.GetProjectManager()
    project = manager.GetCurrentProject() if manager else None
    if not project:
        raise Problem("no project is open")
    timeline = project.GetCurrentTimeline()
    if not timeline:
        raise Problem("no timeline is open")
    item = _patiently(timeline.GetCurrentVideoItem, patience, sleep)
    if not item:
        raise Problem("there is no clip under the playhead")
    return item


def file_of(item, patience=_PATIENCE, sleep=time.sleep):
    """The path of an item's file; raises Problem for a title, a compound clip and the like."""

    def path():
        media = item.GetMediaPoolItem()
        properties = media.GetClipProperty() if media else None
        return properties.get("File Path") if isinstance(properties, dict) else None

    found = _patiently(path, patience, sleep)
    if not found:
        raise Problem("the clip under the playhead has no file: titles, compound and Fusion clips cannot be fitted")
    return found


def engine_clip(path):
    """A path as Resolve writes it -> (path for the engine, frames or None): name.[0001-0100].exr is a sequence."""
    numbered = _NUMBERED.match(path)
    if not numbered:
        return path, None
    head, first, last, ending = numbered.groups()
    return "{}{}{}".format(head, "#" * len(first), ending), "{}-{}".format(int(first), int(last))


def fit(path, frames, preset, fusion, bmd, say):
    """Fit with progress and cancel; returns the model's path, None if it was cancelled. Raises Problem."""
    job = jobs.FitJob(path, preset=preset, frames=frames)
    try:
        manager = getattr(fusion, "UIManager", None)
        if manager is not None and hasattr(bmd, "UIDispatcher"):
            _watch_in_window(job, manager, bmd.UIDispatcher(manager), os.path.basename(path))
        else:
            _watch_in_console(job, say)
    finally:
        if not job.ended:
            job.cancel()
            while not job.ended:  # it stops at its next safe point, or is ended
                job.poll(0.2)
    if job.outcome == "failed":
        raise Problem(job.message)
    return job.model if job.outcome == "done" else None


def _watch_in_console(job, say):
    said = -1
    while not job.ended:
        for event in job.poll(0.5):
            if event.kind == "warning":
                say("warning: {}".format(event.text))
            percent = -1 if event.share is None else int(100 * event.share)
            if percent >= said + 5 or (percent == 100 and said < 100):
                said = percent
                say("{:3d} %  {}".format(percent, event.text))


def _watch_in_window(job, manager, dispatcher, name):
    """A small window of Resolve's own; it closes when the fit has ended."""
    timer = manager.Timer({"ID": "DeblurTick", "Interval": 200})
    window = dispatcher.AddWindow(
        {"ID": "DeblurFit", "WindowTitle": "Fitting {}".format(name), "Geometry": [200, 200, 460, 110]},
        manager.VGroup(
            [
                manager.Label({"ID": "Text", "Text": "starting"}),
                manager.Label({"ID": "Bar", "Text": _bar(0.0)}),
                manager.Button({"ID": "Cancel", "Text": "Cancel"}),
            ]
        ),
    )
    items = window.GetItems()

    def cancel(event):
        job.cancel()
        items["Text"].Text = "stopping"

    def tick(event):
        for each in job.poll():
            if each.share is not None:
                items["Bar"].Text = _bar(each.share)
            if each.kind in ("progress", "warning"):
                items["Text"].Text = each.text
        if job.ended:
            timer.Stop()
            dispatcher.ExitLoop()

    window.On.Cancel.Clicked = cancel
    window.On.DeblurFit.Close = cancel
    dispatcher.On.Timeout = tick
    window.Show()
    timer.Start()
    try:
        dispatcher.RunLoop()
    finally:
        timer.Stop()
        window.Hide()


def _bar(share):
    filled = round(30 * share)
    return "{}{} {:3.0f} %".format("\u2588" * filled, "\u2591" * (30 - filled), 100 * share)


def apply(item, model, clip):
    """Put the effect on the item in a Fusion composition, with ``model``; raises Problem."""
    comp = item.AddFusionComp()
    if not comp:
        raise Problem("Resolve made no Fusion composition on the clip; the model is {}".format(model))
    comp.Lock()  # no dialogs and no renders in between
    try:
        source, end = comp.FindTool("MediaIn1"), comp.FindTool("MediaOut1")
        if not source or not end:
            raise Problem("the composition has no MediaIn1 and MediaOut1; the model is {}".format(model))
        tool = comp.AddTool(EFFECT, -32768, -32768)
        if not tool:
            raise Problem(
                "Resolve does not know the effect: run deblur-engine plugin install, then deblur-engine plugin status, "
                "and start Resolve again; the model is {}".format(model)
            )
        if not tool.ConnectInput("Source", source) or not end.ConnectInput("Input", tool):
            raise Problem("Resolve did not connect the effect; the model is {}".format(model))
        tool.SetInput("model", model)
        tool.SetInput("clip", clip)
        tool.SetInput("firstFrame", -int(item.GetLeftOffset() or 0))  # the composition counts from the cut
    finally:
        comp.Unlock()
    return tool


def _patiently(ask, patience, sleep):
    """What ``ask`` answers once it is not None; None after ``patience`` seconds."""
    pause, waited = 0.25, 0.0
    while True:
        answer = ask()
        if answer or waited >= patience:
            return answer
        sleep(pause)
        waited += pause
