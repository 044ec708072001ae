"""Readings of methods that change what the last blocks attend by."""

from cliptrase import attention
from cliptrase.readings.base import last_block, second_stream

vanilla = last_block(attention.query_key)
# With CLIP's own quick GELU and layer-norm eps; the released config runs exact GELU and eps 1e-6, which changes every
# feature a little (--model.activation gelu gives the larger part of that).
maskclip = last_block(attention.value_path)
cliptrase = last_block(attention.correlative_self_attention)
sclip = last_block(attention.query_and_key)
clearclip = last_block(attention.query_query, residual=False, mlp=False)
naclip = last_block(attention.neighbour_key, residual=False, mlp=False)
# Its architecture surgery. Its "feature surgery" is left out: what it takes off, the mean over names, is the same for
# every name and moves no label; its weights of names serve similarity maps of single words.
clip_surgery = second_stream(attention.value_value, depth=6)
gem = second_stream(attention.grounded_self_self, depth=6)
