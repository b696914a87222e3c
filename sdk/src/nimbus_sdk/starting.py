"""What a plugin's start leaves for later, so that it is healthy soon: each a context around imports.

Most of a start is importing FastAPI, pydantic and uvicorn. Parts of that are not needed by a plugin that is being
served, or not yet; what is left out here comes when it is first used, and nothing is missing afterwards.
"""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel, ConfigDict

_WITH_MODELS = ("nimbus_sdk.", "fastapi.")
"""Packages whose models may be put off."""


@contextmanager
def without_collection(*, freeze: bool = False) -> Iterator[None]:
    """Imports make many objects and no garbage: pausing the collector saves a quarter of a plugin's start.

    Args:
        freeze: keep what is there at the end out of later collections, or the first of them would look at all of it.
            Whatever of it becomes garbage is then never found, so this is for a process that is about to serve.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if freeze:
            gc.freeze()
        gc.enable()


@contextmanager
def without_pydantic_v1() -> Iterator[None]:
    """Keep FastAPI from importing `pydantic.v1` to ask whether a route's models come from it: a tenth of a start.

    Where the module has not been imported nothing can come from it, and FastAPI takes its absence for a no.
    """
    name = "pydantic.v1"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # "there is no such module", to the import system
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def models_built_when_used() -> Iterator[None]:
    """Let pydantic build models that are defined meanwhile when they are first used: an eighth of a start.

    FastAPI defines the whole of OpenAPI, and the contracts every call there is; a start uses a handful. It is
    pydantic's own `defer_build`, which is safe between threads from 2.14 on. It ends with the block: what is derived
    from these models later, and FastAPI's fields of them, are built where they are made.
    """
    global _blocks, _usual  # noqa: PLW0603 - pydantic's base class is one for the process
    from pydantic import BaseModel  # noqa: PLC0415 - the package itself imports nothing

    with _lock:  # not held meanwhile: imports have locks of their own
        if _blocks == 0:
            _usual = BaseModel.model_config
            BaseModel.model_config = {**_usual, "defer_build": True}
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                BaseModel.model_config = _usual
                _no_longer_deferred(BaseModel)


_lock = threading.Lock()
_blocks = 0
"""How many threads are within `models_built_when_used`; the first of them sets it, the last puts it back."""
_usual: "ConfigDict" = {}


def _no_longer_deferred(base: "type[BaseModel]") -> None:
    for model in base.__subclasses__():
        if model.__module__.startswith(_WITH_MODELS):
            model.model_config.pop("defer_build", None)
            _no_longer_deferred(model)


class _CommandLineLater(ModuleType):
    """Stands for `uvicorn.main` while uvicorn is imported; `run` and `main` import the real one when called."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
        if name == "Server":
            return import_module("uvicorn.server").Server
        if name not in ("run", "main"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - uvicorn's own signatures
            real = import_module(self.__name__)
            package = sys.modules["uvicorn"]
            package.run, package.main = real.run, real.main  # type: ignore[attr-defined]  # the import put the module there
            return getattr(real, name)(*arguments, **options)

        return call


@contextmanager
def without_command_line() -> Iterator[None]:
    """Keep `import uvicorn` from importing its command line, click and the reloaders: a tenth of a start."""
    if "uvicorn" in sys.modules:
        yield
        return
    name = "uvicorn.main"
    sys.modules[name] = _CommandLineLater(name)
    try:
        yield
    finally:
        del sys.modules[name]
