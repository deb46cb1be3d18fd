# SPDX-License-Identifier: Apache-2.0
"""The models in hand, each with its network on the device, and the clips that they are used on."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..analysis import Aligner, Analysis
from ..artifact import Artifact, default_model_path, load_model
from ..artifact.references import decode_reference, split_references
from ..errors import BadInput, DeblurError, ModelError, UsageError, deliberate
from ..rendering import Renderer, Session
from ..rendering.cache import AlignmentCache
from ..settings import FrameRange, RenderSettings
from .clips import ClipPictures, PictureCache, file_state
from .finding import Hint, Seen

__all__ = ["FROM_FILE", "FROM_HOST", "FROM_MODEL", "NO_REFERENCES", "LoadedModel", "Models", "Use"]

Array = npt.NDArray[np.float32]
NO_REFERENCES, FROM_FILE, FROM_HOST, FROM_MODEL = 0, 1, 2, 3
_MOST_MODELS = 4
_MOST_USES = 16  # clips
_MOST_SIZES = 8  # of pictures on one clip
_MOST_LOOKS = 4096
_REOPENED = 2.0  # seconds until a clip that failed is opened once more


class LoadedModel:
    """One model file as it was when it was read, and the network in it, made ready when it is first needed."""

    def __init__(self, path: Path, state: tuple[int, int, int], settings: RenderSettings) -> None:
        self.path, self.state = path, state
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._read: Artifact | ModelError | None = None
        self._analysis: Analysis | None = None
        self.references: dict[int, bytes] = {}  # kept with the model, not decoded yet

    @property
    def artifact(self) -> Artifact:
        """The model; raises ``ModelError`` for a file that is none, each time, but reads it once."""
        with self._lock:
            if self._read is None:
                try:
                    read = load_model(self.path)
                    if read.analysis_bytes:
                        self._analysis = Analysis.from_bytes(read.analysis_bytes)
                        self.references = split_references(read.metadata.references)
                    self._read = replace(read, metadata=replace(read.metadata, references=b""))  # held once is enough
                except ModelError as error:
                    self._read = error
            if isinstance(self._read, ModelError):
                raise ModelError(self._read.message, hint=self._read.hint)
            return self._read

    @property
    def analysis(self) -> Analysis | None:
        return self._analysis if self.artifact else None

    @property
    def generation(self) -> int:
        """A number that is another one when the file is."""
        digest = hashlib.blake2b(repr((str(self.path), self.state)).encode(), digest_size=8)
        return int.from_bytes(digest.digest(), "little")

    def session(self) -> Session:
        """The network on its device. Raises ``MissingDevice``, ``ModelError`` or ``OutOfMemory``."""
        artifact = self.artifact
        with self._lock:
            if self._session is None:
                self._session = Session(artifact, self._settings.device, self._settings.threads)
            return self._session

    def forget_session(self) -> None:
        """Give the device's memory back; the next frame makes a session anew."""
        with self._lock:
            self._session = None


class Use:
    """A model on a clip: which of the clip's frames the analysis knows, and where pictures of them come from."""

    def __init__(
        self,
        model: LoadedModel,
        cache: PictureCache,
        pictures: ClipPictures | None,
        numbers: range | None,
        note: str,
        watched: Sequence[Path] = (),
    ) -> None:
        self.model, self.pictures, self.note = model, pictures, note
        self._cache = cache
        self._watched = [(path, file_state(path)) for path in watched]
        self._numbers = numbers  # the frames that the model was fitted to, where those are not all
        self._renderers: OrderedDict[Hashable, Renderer] = OrderedDict()
        self._session: Session | None = None
        self._lock = threading.Lock()
        self.known = True  # whether the analysis is of this clip
        self.unreadable = False  # the clip that was named, so that the references in it are missing
        self.broken = False  # reading the clip has failed meanwhile
        self._opened = time.monotonic()
        self.hints: dict[tuple[int, int], Hint] = {}  # by size
        self.looks: OrderedDict[object, Seen] = OrderedDict()

    @property
    def clip(self) -> str:
        return "" if self.pictures is None else str(self.pictures.clip.path)

    def changed(self) -> bool:
        """Whether a file that could be the clip is another than before, has gone or has come, or is to be opened anew.

        A drive that was away for a moment leaves the file what it was, and what is open of it useless for good.
        """
        if self.broken and time.monotonic() - self._opened > _REOPENED:
            return True
        return any(file_state(path) != state for path, state in self._watched)

    @property
    def route(self) -> int:
        """Where references come from."""
        if self.model.analysis is None or not self.known:
            return NO_REFERENCES
        if self.pictures is not None:
            return FROM_FILE
        return FROM_MODEL if self.model.references else FROM_HOST

    def kept(self, position: int) -> Array | None:
        """A reference kept with the model, as it is in the clip; None if it has none of this number."""
        image, analysis = self.model.references.get(position), self.model.analysis
        if image is None or analysis is None:
            return None
        key = (self.model.generation, position)
        picture = self._cache.get(key)
        if picture is None:
            picture = decode_reference(image, analysis.width, analysis.height)
            self._cache.put(key, picture)
        return picture

    def position(self, frame: int) -> int:
        """The clip's frame as the analysis counts, also beyond its ends; -1 for one that was left out of the fit."""
        if self._numbers is None:
            return frame
        position, left = divmod(frame - self._numbers.start, self._numbers.step)
        return -1 if left else position

    def frame(self, position: int) -> int:
        return position if self._numbers is None else self._numbers.start + position * self._numbers.step

    def renderer(
        self, width: int, height: int, scale: float, cache: AlignmentCache, settings: RenderSettings
    ) -> Renderer:
        """The renderer for pictures of this size; ``scale`` as ``Analysis.placed`` takes it."""
        session = self.model.session()
        analysis = self.model.analysis
        key = (width, height, None if analysis is None else analysis.placed(width, height, scale))
        with self._lock:
            if session is not self._session:  # memory ran out on the one before
                self._renderers.clear()
                self._session = session
            renderer = self._renderers.pop(key, None)
            if renderer is None:
                renderer = self._make(width, height, scale, session, cache, settings)
            self._renderers[key] = renderer
            while len(self._renderers) > _MOST_SIZES:
                self._renderers.popitem(last=False)
        return renderer

    def _make(
        self, width: int, height: int, scale: float, session: Session, cache: AlignmentCache, settings: RenderSettings
    ) -> Renderer:
        artifact, analysis = self.model.artifact, self.model.analysis
        if analysis is None or not self.known:
            return Renderer(replace(artifact, analysis_bytes=b""), settings, session=session, cache=cache)
        x, y, _, _ = analysis.placed(width, height, scale)
        scaled = analysis.scaled(width, height, scale)
        aligner = Aligner(scaled, transfer=artifact.metadata.transfer, threads=settings.threads)
        return Renderer(
            artifact, settings, aligner, analysis=scaled, session=session, cache=cache, scale=float((x * y) ** 0.5)
        )

    def remember(self, key: object, look: Seen) -> None:
        with self._lock:
            self.looks[key] = look
            while len(self.looks) > _MOST_LOOKS:
                self.looks.popitem(last=False)


@dataclass
class _Place:
    """Something that is made once, by whoever comes first, while others wait for this one only."""

    lock: threading.Lock
    value: Use | None = None


class Models:
    """Least-recently-used models and the clips that they are used on. Safe to use from several threads."""

    def __init__(self, settings: RenderSettings, pictures: PictureCache) -> None:
        self._settings, self._pictures = settings, pictures
        self._models: OrderedDict[Path, LoadedModel] = OrderedDict()
        self._uses: OrderedDict[tuple[Path, str], _Place] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._models)

    def use(self, model: str, clip: str) -> Use:
        """The model on the clip, loaded and opened if they are not yet, or not any more what they were.

        ``model`` "": the one beside the clip; ``clip`` "": the one beside the model, if it is the model's. Raises
        ``UsageError``, ``ModelError`` or what opening a damaged file raises.
        """
        path = _model_path(model, clip)
        loaded = self._model(path)
        key = (path, clip)
        with self._lock:
            place = self._uses.setdefault(key, _Place(threading.Lock()))
            self._uses.move_to_end(key)
            while len(self._uses) > _MOST_USES:
                self._uses.popitem(last=False)
        with place.lock:
            use = place.value
            if use is None or use.model is not loaded or use.changed():
                # The one before is not closed: a frame in hand may still read from its clip.
                use = place.value = self._open(loaded, clip)
            return use

    def _model(self, path: Path) -> LoadedModel:
        state = file_state(path)
        if state is None:
            with self._lock:
                self._models.pop(path, None)
            raise ModelError(f"there is no model at {path}", hint="fit the clip first, or choose another model file")
        with self._lock:
            loaded = self._models.get(path)
            if loaded is None or loaded.state != state:
                loaded = self._models[path] = LoadedModel(path, state, self._settings)
            self._models.move_to_end(path)
            while len(self._models) > _MOST_MODELS:
                self._models.popitem(last=False)
        loaded.artifact  # noqa: B018 - raises for a file that is no model
        return loaded

    def _open(self, loaded: LoadedModel, clip: str) -> Use:
        data = loaded.artifact.metadata
        text = data.recipe.get("frames")
        frames = FrameRange.parse(text) if isinstance(text, str) else None
        notes = []
        unreadable = False
        candidates = _clip_candidates(loaded.path, data.clip, clip)
        for path in candidates:
            named = bool(clip) and str(path) == clip
            try:
                pictures = ClipPictures(path, self._pictures, frames)
            except (DeblurError, OSError, ValueError) as error:  # a name that cannot be one, in a hostile model
                if named:
                    unreadable = True
                    notes.append(f"the clip cannot be read: {(deliberate(error) or BadInput(str(error))).message}")
                continue
            if pictures.mark == data.clip_fingerprint:
                return Use(loaded, self._pictures, pictures, pictures.clip.numbers, "; ".join(notes), candidates)
            pictures.close()
            if named:
                notes.append(f"{loaded.path.name} was fitted to another clip ({data.clip})")
                use = Use(loaded, self._pictures, None, None, "; ".join(notes), candidates)
                use.known = False
                return use
        numbers = None if frames is None else range(frames.first, frames.last + 1, frames.step)
        first = data.recipe.get("first_frame")
        if isinstance(first, int):  # fitted to a host's own frames, in its numbers
            numbers = range(first, first + data.frame_count)
        use = Use(loaded, self._pictures, None, numbers, "; ".join(notes), candidates)
        # Without the clip nobody knows which file number an image sequence begins with.
        use.known = frames is None or not any(mark in data.clip for mark in "#%@")
        use.unreadable = unreadable
        return use


def _model_path(model: str, clip: str) -> Path:
    if not model and not clip:
        raise UsageError("neither a model nor a clip is named", hint="choose a model file")
    path = Path(model) if model else default_model_path(clip)
    if not path.is_absolute():
        raise UsageError(f"{path} is no absolute path", hint="the worker does not share the editor's folder")
    return path


def _clip_candidates(model: Path, name: str, clip: str) -> list[Path]:
    beside = [model.with_name(name)] if name and Path(name).name == name else []
    return ([Path(clip)] if clip else []) + [path for path in beside if str(path) != clip]
