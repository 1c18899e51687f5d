"""Components that are item-to-item maps: a score is the history's row times a matrix."""
