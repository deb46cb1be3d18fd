# SPDX-License-Identifier: Apache-2.0
"""The effect in Nuke: makes the node, and fits a model to the clip of the Read node above it.

Nodes are touched in Nuke's main thread only. Python 3.6 (Nuke 12), the standard library and Nuke's own module.
"""

import importlib.util
import os
import threading

import nuke

CLASS = "OFXorg.deblur-engine.DeblurEngine_v1"
"""Nuke's name for an OpenFX effect: OFX, its identifier, its major version."""

CLASSES = (CLASS, CLASS.lower())
"""Scripts that mix effects of many makers show identifiers in lower case only: Nuke may turn them into it."""

PRESETS = ("draft", "standard", "high")  # the options of the effect's own knob "preset"
_FARTHEST = 1000  # nodes between the effect and its Read
_SEQUENCES = ("#", "%")
_running = {}  # clip -> job: a clip is fitted once at a time


def _load_jobs():
    """plugin/jobs.py under a name of its own: Nuke's modules share one list, and "jobs" is anybody's."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "jobs.py")
    spec = importlib.util.spec_from_file_location("deblur_engine_jobs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


jobs = _load_jobs()


def create():
    """Menu command: the effect below the selected node, with its controls. Returns the node, or None."""
    problem = None
    for name in CLASSES:
        try:
            node = nuke.createNode(name)
        except RuntimeError as error:
            problem = problem or error
            continue
        equip(node)
        return node
    nuke.message("The effect is not installed ({}).\nRun: deblur-engine plugin install".format(problem))
    return None


def equip_created():
    """Callback: the node that a user has just made gets the controls."""
    equip(nuke.thisNode())


def equip(node):
    """Add the tab with "Fit this clip" to an effect that lacks it."""
    if "deblur_fit" in node.knobs():
        return
    node.addKnob(nuke.Tab_Knob("deblur_tab", "Fit"))
    command = "import deblur_engine_nuke; deblur_engine_nuke.fit(nuke.thisNode())"
    node.addKnob(nuke.PyScript_Knob("deblur_fit", "Fit this clip", command))


class Clip(object):
    """What a Read node shows: ``path`` for the engine, its ``frames`` or None for all, ``first`` as Nuke counts."""

    def __init__(self, path, frames, first):
        self.path, self.frames, self.first = path, frames, first


def source_of(node):
    """The Read node above ``node``; None where there is none."""
    for _ in range(_FARTHEST):
        node = node.input(0)
        if node is None or node.Class() == "Read":
            return node
    return None


def clip_of(read):
    """The Clip of a Read node; raises ValueError with what to tell the user."""
    path = nuke.filename(read)  # with expressions worked out and the frame's number still open
    if not path:
        raise ValueError("{} names no file.".format(read.name()))
    first, last = int(read["first"].value()), int(read["last"].value())
    if any(mark in os.path.basename(path) for mark in _SEQUENCES):
        frames = "{}-{}".format(first, last)  # the files' numbers
    elif (first, last) == (int(read["origfirst"].value()), int(read["origlast"].value())):
        frames = None
    else:
        frames = "{}-{}".format(first - 1, last - 1)  # Nuke counts a movie's frames from 1, the engine from 0
    return Clip(path, frames, _first_shown(read))


def _first_shown(read):
    """The frame of Nuke's timeline at which the file's first frame is shown."""
    first = int(read["origfirst"].value())
    mode, text = read["frame_mode"].value(), str(read["frame"].value()).strip()
    if not text:
        return first
    try:
        number = int(float(text))
    except ValueError:
        raise ValueError("{} changes time by an expression: use a plain Read for the fit.".format(read.name()))
    if mode == "start at":
        return number + first - int(read["first"].value())
    if mode == "offset":
        return first - number
    raise ValueError("{} changes time by an expression: use a plain Read for the fit.".format(read.name()))


def fit(node):
    """Button: fit a model to the clip above ``node`` in the background; the effect uses it when it is done."""
    read = source_of(node)
    if read is None:
        nuke.message("There is no Read node above {}.".format(node.name()))
        return None
    try:
        clip = clip_of(read)
    except ValueError as error:
        nuke.message(str(error))
        return None
    if clip.path in _running:
        nuke.message("This clip is being fitted already.")
        return None
    model = jobs.model_beside(clip.path)
    overwrite = os.path.exists(model)
    if overwrite and not nuke.ask("{} exists already. Fit it anew?\n(No: use it as it is.)".format(model)):
        _apply(node, clip, model)
        return None
    preset = node["preset"].value() if "preset" in node.knobs() else None
    preset = preset if preset in PRESETS else "standard"
    try:
        job = jobs.FitJob(clip.path, preset=preset, frames=clip.frames, overwrite=overwrite)
    except jobs.EngineMissing as error:
        nuke.message(str(error))
        return None
    _running[clip.path] = job
    thread = threading.Thread(target=_watch, args=(job, node, clip), name="deblur-fit", daemon=True)
    thread.start()
    return thread


def _watch(job, node, clip):
    """In a thread of its own: progress, cancel, and at the end the main thread is asked to do the rest."""
    progress = nuke.ProgressTask("Fitting {}".format(os.path.basename(clip.path)))
    warnings = []
    try:
        while not job.ended:
            if progress.isCancelled():
                job.cancel()
                progress.setMessage("stopping")
            for event in job.poll(0.2):
                if event.kind == "progress":
                    progress.setMessage(event.text)
                if event.share is not None:
                    progress.setProgress(int(100 * event.share))
                if event.kind == "warning":
                    warnings.append(event.text)
    finally:
        if not job.ended:
            job.cancel()
        del progress  # its bar goes with it
        _running.pop(clip.path, None)
    nuke.executeInMainThread(_finish, args=(job, node, clip, warnings))


def _finish(job, node, clip, warnings):
    if job.outcome == "done":
        _apply(node, clip, job.model)
        if warnings:
            nuke.message("The fit is done.\n" + "\n".join(warnings))
    elif job.outcome == "failed":
        nuke.message("The fit failed.\n{}".format(job.message))


def _apply(node, clip, model):
    """Let the effect use ``model``. Main thread."""
    try:
        knobs = node.knobs()
    except ValueError:  # the node was deleted meanwhile
        nuke.message("The fit is done: {}\nIts node is gone.".format(model))
        return
    # Nuke takes a backslash in a path for the beginning of an escape.
    for name, value in (
        ("model", model.replace("\\", "/")),
        ("clip", clip.path.replace("\\", "/")),
        ("firstFrame", clip.first),
    ):
        if name in knobs:
            knobs[name].setValue(value)
        elif name == "model":
            nuke.message("The fit is done: {}\n{} has no model to set: is it the effect?".format(model, node.name()))
