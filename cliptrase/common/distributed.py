"""What the processes of a run tell each other."""

from typing import Any

import torch.distributed


def all_gather_rows(rows: list[Any]) -> list[Any]:
    """Rows of all processes, in the order of their ranks; every process must take part."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    gathered: list[list[Any]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(gathered, rows)
    return [row for part in gathered for row in part]
