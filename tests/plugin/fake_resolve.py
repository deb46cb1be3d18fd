# SPDX-License-Identifier: Apache-2.0
"""Resolve's scripting objects as far as the script uses them: answers are None for a while, or for good."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Late:
    """Answers None ``times`` times, then ``answer``."""

    def __init__(self, answer: Any, times: int) -> None:
        self.answer, self.times = answer, times

    def __call__(self) -> Any:
        self.times -= 1
        return None if self.times >= 0 else self.answer


class Tool:
    def __init__(self, kind: str, comp: Comp) -> None:
        self.kind, self.comp = kind, comp
        self.inputs: dict[str, Any] = {}
        self.refuses: set[str] = set()

    def ConnectInput(self, name: str, tool: Tool) -> bool:  # noqa: N802
        assert self.comp.locked and isinstance(tool, Tool)
        takes = {"MediaOut": {"Input"}, "MediaIn": set()}.get(self.kind, {"Source"})
        if name not in takes or name in self.refuses:
            return False
        self.inputs[name] = tool
        return True

    def SetInput(self, name: str, value: Any) -> None:  # noqa: N802
        assert self.comp.locked
        expected = {"model": str, "clip": str, "firstFrame": int}
        if name not in expected:
            raise KeyError(name)
        assert type(value) is expected[name], f"{name} = {value!r}"
        self.inputs[name] = value


class Comp:
    def __init__(self, knows: set[str]) -> None:
        self.knows, self.locked, self.added = knows, False, []
        self.tools = {"MediaIn1": Tool("MediaIn", self), "MediaOut1": Tool("MediaOut", self)}

    def Lock(self) -> None:  # noqa: N802
        assert not self.locked
        self.locked = True

    def Unlock(self) -> None:  # noqa: N802
        assert self.locked
        self.locked = False

    def FindTool(self, name: str) -> Tool | None:  # noqa: N802
        return self.tools.get(name)

    def AddTool(self, kind: str, x: int, y: int) -> Tool | None:  # noqa: N802
        if kind not in self.knows:
            return None
        self.added.append(Tool(kind, self))
        return self.added[-1]


class Item:
    def __init__(self, path: Any, comp: Comp | None, left: int = 0, *, late: int = 0, media: bool = True) -> None:
        self.comp, self.left = comp, left
        properties = path if path is None or isinstance(path, dict) else {"File Path": path, "FPS": "24"}
        self._properties = Late(properties, late)
        self._media = SimpleNamespace(GetClipProperty=self._properties) if media else None

    def GetMediaPoolItem(self) -> Any:  # noqa: N802
        return self._media

    def AddFusionComp(self) -> Comp | None:  # noqa: N802
        return self.comp

    def GetLeftOffset(self) -> int:  # noqa: N802
        return self.left


def resolve(item: Item | None, *, late: int = 0, timeline: bool = True, project: bool = True) -> Any:
    line = SimpleNamespace(GetCurrentVideoItem=Late(item, late)) if timeline else None
    opened = SimpleNamespace(GetCurrentTimeline=lambda: line) if project else None
    manager = SimpleNamespace(GetCurrentProject=lambda: opened)
    return SimpleNamespace(GetProjectManager=lambda: manager)


class Widget(SimpleNamespace):
    pass


class Manager:
    """fusion.UIManager."""

    def __init__(self) -> None:
        self.timers: list[Any] = []
        self.texts: list[str] = []

    def Timer(self, fields: dict[str, Any]) -> Any:  # noqa: N802
        timer = SimpleNamespace(ID=fields["ID"], interval=fields["Interval"], running=False)
        timer.Start = lambda: setattr(timer, "running", True)
        timer.Stop = lambda: setattr(timer, "running", False)
        self.timers.append(timer)
        return timer

    def VGroup(self, children: list[Widget]) -> list[Widget]:  # noqa: N802
        return children

    def Label(self, fields: dict[str, Any]) -> Widget:  # noqa: N802
        return Widget(**fields)

    Button = Label


class Dispatcher:
    """bmd.UIDispatcher: one thread, which the loop keeps until it is told to leave."""

    def __init__(self, manager: Manager, press: Callable[[int], str | None] = lambda tick: None) -> None:
        self.manager, self.press = manager, press
        self.On = SimpleNamespace()
        self.leaving, self.windows = False, []

    def AddWindow(self, fields: dict[str, Any], children: list[Widget]) -> Any:  # noqa: N802
        assert "-" not in fields["ID"] and all("-" not in child.ID for child in children), "an ID is a Lua name"
        items = {child.ID: child for child in children}
        on = SimpleNamespace(**{name: SimpleNamespace() for name in [*items, fields["ID"]]})
        window = SimpleNamespace(ID=fields["ID"], On=on, GetItems=lambda: items, shown=False, items=items)
        window.Show = lambda: setattr(window, "shown", True)
        window.Hide = lambda: setattr(window, "shown", False)
        self.windows.append(window)
        return window

    def ExitLoop(self) -> None:  # noqa: N802
        self.leaving = True

    def RunLoop(self) -> None:  # noqa: N802
        import time

        assert self.windows[-1].shown and any(timer.running for timer in self.manager.timers)
        for tick in range(3000):
            if self.leaving:
                return
            window = self.windows[-1]
            if self.press(tick) == "cancel":
                window.On.Cancel.Clicked({"who": "Cancel"})
            elif self.press(tick) == "close":
                getattr(window.On, window.ID).Close({"who": window.ID})
            self.On.Timeout({"who": self.manager.timers[0].ID})
            self.manager.texts += [window.items["Text"].Text, window.items["Bar"].Text]
            time.sleep(0.01)
        raise AssertionError("the window never closed")
