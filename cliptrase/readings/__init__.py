"""How methods read dense features from CLIP's visual tower: what makes readings, and a module for each longer one."""

from cliptrase.readings.base import attend, class_token, last_block, reading, second_stream

__all__ = ["attend", "class_token", "last_block", "reading", "second_stream"]
