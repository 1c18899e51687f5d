"""What a cause of a recommendation can be."""

from typing import Final

LIKED: Final = "liked"
"""A title that the user liked."""
RATED: Final = "rated"
"""A title that the user rated neither high nor low."""
DISLIKED: Final = "disliked"
"""A title that the user disliked."""
PROFILE: Final = "profile"
"""The text of the user's profile."""
ATTRIBUTES: Final = "attributes"
"""What is known of the user beside ratings (age, country, ...)."""
POPULARITY: Final = "popularity"
"""The item itself, whoever the user is."""
TIME: Final = "time"
"""When the user was active."""
JOINT: Final = "joint"
"""What several ratings do together and no one of them alone."""
LEARNED: Final = "learned"
"""What training put into the user's own vector, beyond what the ratings say to a new user."""
JUDGEMENT: Final = "judgement"
"""The language model's judgement, where it reranked the list."""

RATINGS: Final = (LIKED, RATED, DISLIKED)
OTHERS: Final = (PROFILE, ATTRIBUTES, POPULARITY, TIME, JOINT, LEARNED)
"""In the order of the rows that each item has of them."""

STRONGEST: Final = 10
"""Ratings that are kept of each item's causes."""
