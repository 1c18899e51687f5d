"""Attribution: which ratings, and what else, made a recommendation."""
