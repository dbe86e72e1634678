"""Parts of a batch that judge one another: no question's answers weigh on its own vote.

Knows question ids only.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from orchestra.voting.label_models import Codes

_FOLDS = 10


def folded(ids: Sequence[str], past: int = 0) -> Codes:
    """Which of at most ten folds each question is in: by a digest of its id, in equal parts.

    Fewer than ten questions are a fold each.

    Args:
        ids: the batch's questions.
        past: how many earlier questions stand before them; these are in no fold: -1.
    """
    digests = [blake2b(each.encode(), digest_size=8).digest() for each in ids]
    order = sorted(range(len(ids)), key=lambda i: (digests[i], i))
    found = np.full(past + len(ids), -1, dtype=np.int64)
    found[past + np.array(order, dtype=np.int64)] = np.arange(len(ids)) % _FOLDS
    return found
