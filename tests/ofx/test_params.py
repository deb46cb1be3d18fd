# SPDX-License-Identifier: Apache-2.0
"""The effect's controls as a host sees them, held against the engine's settings."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from deblur_engine.errors import UsageError
from deblur_engine.settings import PRESETS, FitSettings, RenderSettings
from ofx.conftest import StandIn

BLACK = np.zeros((4, 4, 4), np.float32)


@pytest.fixture
def described(stand_in: StandIn) -> dict:
    return stand_in.host({0: BLACK}).do("describe")[0]


def controls(described: dict) -> dict[str, dict]:
    return {each["id"]: each for each in described["parameters"]}


def test_defaults_and_ranges_are_the_engines(described: dict) -> None:
    known = controls(described)
    defaults = {f.name: f.default for f in fields(RenderSettings)}
    strength = known["strength"]
    assert strength["OfxParamPropDefault"] == [defaults["strength"]] and strength["OfxParamPropAnimates"] == [1]
    (low,), (high,) = strength["OfxParamPropMin"], strength["OfxParamPropMax"]
    assert strength["OfxParamPropDisplayMin"] == [low] and strength["OfxParamPropDisplayMax"] == [high]
    for value in (low, high):
        RenderSettings(strength=value).checked()
    for value in (low - 0.01, high + 0.01):
        with pytest.raises(UsageError):
            RenderSettings(strength=value).checked()
    preset = known["preset"]
    assert preset["OfxParamPropChoiceOption"] == list(PRESETS)
    assert list(PRESETS)[preset["OfxParamPropDefault"][0]] == FitSettings().preset
    minutes = [f"{PRESETS[name]['minutes']:g}" for name in PRESETS]
    assert f"about {minutes[0]}, {minutes[1]} or {minutes[2]} minutes" in preset["hint"]
    device = known["device"]
    assert device["OfxParamPropChoiceOption"][device["OfxParamPropDefault"][0]] == defaults["device"]
    assert device["OfxParamPropChoiceOption"] == ["auto", "cpu", "cuda"]  # as RenderSettings.device
    assert known["protect"]["OfxParamPropDefault"] == [1]  # as Renderer.render has it


def test_what_hosts_need_of_controls(described: dict) -> None:
    types = [each["type"] for each in described["parameters"]]
    texts = [kind == "OfxParamTypeString" for kind in types]
    assert texts == sorted(texts), "strings come last: one host loses every control after one"
    allowed = {"Double", "Integer", "Boolean", "Choice", "PushButton", "String"}
    assert {kind.removeprefix("OfxParamType") for kind in types} <= allowed
    for each in described["parameters"]:
        assert each["hint"] and each["label"] and "-" not in each["label"] and "/" not in each["label"]
        if each["type"] in ("OfxParamTypeDouble", "OfxParamTypeInteger"):
            (low,), (high,) = each["OfxParamPropDisplayMin"], each["OfxParamPropDisplayMax"]
            assert each["OfxParamPropMin"][0] <= low < high <= each["OfxParamPropMax"][0]


def test_names_once_published_stay(described: dict) -> None:
    published = ["strength", "protect", "footage", "view", "device", "firstFrame", "preset", "background"]
    assert list(controls(described)) == [*published, "fit", "cancel", "reload", "openLog", "model", "clip", "status"]


def test_what_hosts_need_of_the_effect(described: dict) -> None:
    assert described["identifier"] == "org.deblur-engine.DeblurEngine"
    assert set(described["OfxImageEffectPropSupportedContexts"]) == {
        "OfxImageEffectContextFilter",
        "OfxImageEffectContextGeneral",
    }
    depths = [each.removeprefix("OfxBitDepth") for each in described["OfxImageEffectPropSupportedPixelDepths"]]
    assert depths[0] == "Float" and set(depths) == {"Float", "Half", "Short", "Byte"}
    assert described["Source"] == described["Output"] == ["OfxImageComponentRGBA"]  # Natron sends RGB if it is listed
    assert described["OfxImageEffectPropSupportsTiles"] == [0]
    assert described["OfxImageEffectPropTemporalClipAccess"] == [1]
    assert described["OfxImageEffectPluginRenderThreadSafety"] == ["OfxImageEffectRenderFullySafe"]
    assert "-" not in described["OfxPropLabel"][0]


def test_one_host_loses_what_comes_after_the_first_string(stand_in: StandIn) -> None:
    for options in (["--manner", "hostdemo"], ["--quirk", "no-strings"]):
        picture = np.full((4, 4, 4), 9, np.uint8) if "hostdemo" in options else BLACK
        host = stand_in.host({0: picture}, *options)
        host.set(view="Difference", strength=0.5)
        assert host.one(0).status == 0
        assert host.do("press reload")[0]["status"] == 0
