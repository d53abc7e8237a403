"""Work on the machines of a Ray cluster; nothing else knows of Ray."""

import logging
import pickle
import signal
from collections.abc import Callable, Generator, Sequence
from typing import Any

from activity.errors import UserError
from activity.text import one_line

LOST_AT_START = 10  # workers, one after the other, before the cluster is given up


def on_cluster(
    address: str, make: Callable[[], Callable[[Any], Any]], items: Sequence[Any]
) -> Generator[Any, None, None]:
    """Yield what workers return for items, as it comes; the first items are begun first.

    `make` makes a worker for each processor core, also of machines that join later. An item whose
    worker or machine dies goes to another one, however often. Raises `UserError` if there is no
    cluster, or what a worker raises.
    """
    try:
        from activity.quiet.ray import data, ray
    except ImportError as error:
        raise UserError("--ray needs Ray; pip install -r requirements-ray.txt") from error

    class RayWorker:
        def __init__(self) -> None:
            self._work = make()

        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            return {"result": pickle.dumps(self._work(pickle.loads(row["item"])))}

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        fault = f"--ray {address} is no cluster that answers ({one_line(error)})"
        raise UserError(f"{fault}; start one with 'ray start', or name another") from error
    for number, handler in handlers.items():
        signal.signal(number, handler)  # which Ray has replaced
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    context.execution_no_progress_timeout_s = -1  # half an hour is too little for a long video
    context.max_consecutive_actor_init_deaths = LOST_AT_START
    rows = [{"item": pickle.dumps(item)} for item in items]
    try:
        # A block each: where a worker dies, Ray does its whole block again.
        blocks = data.from_items(rows, override_num_blocks=len(rows))
        workers = data.ActorPoolStrategy(min_size=1)
        for row in blocks.map(RayWorker, compute=workers, num_cpus=1).iter_rows():  # type: ignore[arg-type]
            yield pickle.loads(row["result"])
    except ray.exceptions.RayError as error:
        if isinstance(error, UserError):  # of a worker; Ray makes one of its own of it, too
            fault, *_ = str(error.cause).splitlines()  # type: ignore[attr-defined]
            raise UserError(fault) from error
        fault = f"--ray {address} gave the work up ({one_line(error)})"
        advice = "'ray status' tells how it is, and the same command goes on"
        raise UserError(f"{fault}; {advice}") from error
    finally:
        ray.shutdown()
