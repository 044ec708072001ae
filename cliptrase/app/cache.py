"""Values that are kept while there is room, those used last the longest."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """Keeps values by key until their weights pass a limit; threads may share it.

    Args:
        room: sum of weights from which on the values used longest ago go. The newest always stays.
    """

    def __init__(self, room: float) -> None:
        self._room = room
        self._held: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T], weight: float = 1) -> T:
        """The value of a key, made where it is not there; two threads may make it twice.

        Args:
            key: of the value.
            make: gives it; what it raises is raised, and nothing is kept.
            weight: of the value.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][1]
        value = make()
        with self._lock:
            self._held[key] = (weight, value)
            while len(self._held) > 1 and sum(one for one, _ in self._held.values()) > self._room:
                self._held.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._held)
