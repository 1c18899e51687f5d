"""What came since the training, and when it is time to train again."""

from datetime import UTC, datetime

import pytest

from recsys_core.serving.drift import Drift

SINCE = datetime(2026, 11, 29, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("came", "share", "retrain"), [(0, 0.0, False), (99, 0.099, False), (100, 0.1, True)]
)
def test_the_share_of_new_ratings_decides(came, share, retrain):
    found = Drift.of(SINCE, 1000, came, 0.1)
    assert (found.share, found.retrain) == (share, retrain)
    assert "2026-11-29 03:00 UTC with 1,000 ratings" in found.sentence()
    assert ("it is time to retrain" in found.sentence()) is retrain
