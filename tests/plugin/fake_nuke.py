# SPDX-License-Identifier: Apache-2.0
"""The part of Nuke's module that the scripts use, refusing what Nuke refuses.

Nodes and knobs outside the main thread, knobs that do not exist, names with "-", wrong types, deleted nodes,
messages from a thread. What a thread did wrong is kept, so that ``check`` can fail the test.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any


class WrongThread(RuntimeError):
    pass


class Knob:
    def __init__(self, nuke: FakeNuke, name: str, value: Any = "", label: str = "") -> None:
        assert re.fullmatch(r"[A-Za-z_]\w*", name), f"Nuke refuses the knob name {name!r}"
        self._nuke, self._name, self._value, self.label = nuke, name, value, label

    def name(self) -> str:
        return self._name

    def value(self) -> Any:
        self._nuke.main_only()
        return self._value

    def setValue(self, value: Any) -> bool:  # noqa: N802
        self._nuke.main_only()
        if not isinstance(value, type(self._value)) and not (isinstance(self._value, float) and isinstance(value, int)):
            raise TypeError(f"{self._name}: {value!r} is no {type(self._value).__name__}")
        self._value = value
        return True


class Node:
    def __init__(self, nuke: FakeNuke, kind: str, name: str, knobs: dict[str, Any], source: Node | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise RuntimeError(f"{name!r} is no name of a node")
        self._nuke, self._kind, self._name, self._source = nuke, kind, name, source
        self._knobs = {key: Knob(nuke, key, value) for key, value in knobs.items()}
        self.deleted = False

    def _alive(self) -> None:
        self._nuke.main_only()
        if self.deleted:
            raise ValueError("A PythonObject is not attached to a node")

    def name(self) -> str:
        self._alive()
        return self._name

    def Class(self) -> str:  # noqa: N802
        self._alive()
        return self._kind

    def input(self, number: int) -> Node | None:
        self._alive()
        return self._source if number == 0 else None

    def knobs(self) -> dict[str, Knob]:
        self._alive()
        return dict(self._knobs)

    def __getitem__(self, name: str) -> Knob:
        self._alive()
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def addKnob(self, knob: Knob) -> None:  # noqa: N802
        self._alive()
        if knob.name() in self._knobs:
            raise ValueError(f"knob {knob.name()} exists")
        self._knobs[knob.name()] = knob


class Menu:
    def __init__(self) -> None:
        self.commands: dict[str, str] = {}
        self.menus: dict[str, Menu] = {}

    def addMenu(self, name: str) -> Menu:  # noqa: N802
        return self.menus.setdefault(name, Menu())

    def addCommand(self, name: str, command: str) -> None:  # noqa: N802
        self.commands[name] = command


class FakeNuke(ModuleType):
    """``import nuke``."""

    def __init__(self) -> None:
        super().__init__("nuke")
        self.main = threading.get_ident()
        self.wrong: list[str] = []
        self.messages: list[str] = []
        self.answer = True  # to ask()
        self.bars: list[Any] = []
        self.press_cancel_after: int | None = None  # looks at isCancelled
        self.classes: dict[str, dict[str, Any]] = {}
        self.created: list[Node] = []
        self.on_create: list[tuple[Callable[[], None], str]] = []
        self.this: Node | None = None
        self.menu_nodes = Menu()
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue()
        owner = self

        class ProgressTask:
            def __init__(self, title: str) -> None:
                self.title, self.percents, self.messages, self.looks = title, [], [], 0
                owner.bars.append(self)

            def setProgress(self, percent: int) -> None:  # noqa: N802
                if type(percent) is not int or not 0 <= percent <= 100:
                    owner.wrong.append(f"setProgress({percent!r})")
                self.percents.append(percent)

            def setMessage(self, text: str) -> None:  # noqa: N802
                if not isinstance(text, str):
                    owner.wrong.append(f"setMessage({text!r})")
                self.messages.append(text)

            def isCancelled(self) -> bool:  # noqa: N802
                self.looks += 1
                return owner.press_cancel_after is not None and self.looks > owner.press_cancel_after

        self.ProgressTask = ProgressTask

    def main_only(self) -> None:
        if threading.get_ident() != self.main:
            self.wrong.append(f"called in the thread {threading.current_thread().name}")
            raise WrongThread("nodes belong to the main thread")

    def check(self) -> None:
        assert not self.wrong, self.wrong

    # What the scripts call.

    def menu(self, name: str) -> Menu:
        assert name == "Nodes"
        return self.menu_nodes

    def addOnUserCreate(self, call: Callable[[], None], nodeClass: str) -> None:  # noqa: N802, N803
        self.on_create.append((call, nodeClass))

    def thisNode(self) -> Node | None:  # noqa: N802
        self.main_only()
        return self.this

    def createNode(self, kind: str) -> Node:  # noqa: N802
        self.main_only()
        if kind not in self.classes:
            raise RuntimeError(f"{kind}: Unknown command")
        node = Node(self, kind, f"DeblurEngine{len(self.created) + 1}", self.classes[kind])
        self.created.append(node)
        self.this = node
        for call, wanted in self.on_create:
            if wanted == kind:
                call()
        return node

    def filename(self, node: Node) -> str | None:
        self.main_only()
        return node["file"].value() or None

    def message(self, text: str) -> None:
        self.main_only()
        assert isinstance(text, str)
        self.messages.append(text)

    def ask(self, text: str) -> bool:
        self.message(text)
        return self.answer

    def executeInMainThread(self, call: Callable[..., None], args: Any = (), kwargs: Any = None) -> None:  # noqa: N802
        if threading.get_ident() == self.main:
            self.wrong.append("executeInMainThread in the main thread: Nuke hangs")
        self._waiting.put(lambda: call(*args, **(kwargs or {})))

    def Tab_Knob(self, name: str, label: str) -> Knob:  # noqa: N802
        return Knob(self, name, "", label)

    def PyScript_Knob(self, name: str, label: str, command: str) -> Knob:  # noqa: N802
        compile(command, name, "exec")
        return Knob(self, name, command, label)

    # What the test calls.

    def run_main_loop(self, thread: threading.Thread | None, seconds: float = 30.0) -> None:
        """Nuke's main thread while the script's thread works."""
        assert thread is not None
        thread.join(seconds)
        assert not thread.is_alive(), "the script's thread did not end"
        while not self._waiting.empty():
            self._waiting.get()()
