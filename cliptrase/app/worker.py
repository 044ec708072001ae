"""The one thread that computes for the page.

A process must not end while another thread runs torch: the interpreter would stop that thread amid C++, which aborts
the process. Gradio's own threads are never waited for; this one is.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Does one thing after another.

    Attributes:
        stopping: set where the page ends, by which long work ends itself.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1, "answers")

    def run(self, work: Callable[[], T]) -> T:
        """What work gives, as soon as all before it is done; after `stop` it waits for the process to end."""
        try:
            done = self._pool.submit(work)
        except RuntimeError:
            threading.Event().wait()
            raise
        return done.result()

    def stop(self) -> None:
        """Lets nothing begin, and waits until nothing is done."""
        self.stopping.set()
        self._pool.shutdown()
