"""An engine by its name. What an engine needs that is not installed is asked for only when it is chosen."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final

from loadsim.engines.base import Engine, EngineError, RunShard
from loadsim.engines.inline import open_inline_engine
from loadsim.engines.process import open_process_engine
from potrio.seam import REAL, Seam

__all__ = ["ENGINES", "open_engine"]

ENGINES: Final = ("inline", "process", "dask")


def open_engine(
    name: str, run_shard: RunShard, *, seam: Seam = REAL, options: dict[str, Any] | None = None
) -> AbstractAsyncContextManager[Engine]:
    """Return the engine of that name, to be entered.

    Args:
        name: one of `ENGINES`.
        run_shard: the body of a shard, for ``inline``; others start processes that know it.
        seam: for ``inline`` and ``dask``.
        options: for the engine's own opening function.

    Raises:
        EngineError: there is none of that name, or it needs a package that is not installed.
    """
    options = options or {}
    match name:
        case "inline":
            return open_inline_engine(
                partial(run_shard, **({"seam": seam} if seam is not REAL else {})), seam
            )
        case "process":
            return open_process_engine(**options)
        case "dask":
            try:
                module = importlib.import_module("loadsim.engines.dask")
            except ModuleNotFoundError as error:
                raise EngineError(f"engine dask needs {error.name}: pip install 'potrio[dask]'") from None
            found: AbstractAsyncContextManager[Engine] = module.open_dask_engine(seam=seam, **options)
            return found
        case _:
            raise EngineError(f"{name!r} is not one of {', '.join(ENGINES)}")
