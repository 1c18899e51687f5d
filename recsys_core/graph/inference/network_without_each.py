"""The network's vectors of one user without each of the ratings, all at once.

In an attention layer the weight of a message is

    exp(leaky(s + t) + b),  s of the item, t of the user,  leaky(x) = x or 0.2 x

and t differs with what was left out, mostly by little. Items above -t weigh exp(t) times a number
of their own, the others exp(0.2 t) times another one. Most items are on one side for every t and
are summed once; with the others sorted by s, two running sums give the layer's output for every t.
So n histories of n - 1 ratings take n rows, not n squared.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.graph.inference.network_placing import (
    SLOPE,
    SMALL,
    LayerMessages,
    NetworkPlacing,
    rating_levels,
)
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.interactions.feedback import RatingScale

Doubles = npt.NDArray[np.float64]
_TINY = 1e-30
"""Sums below it have lost digits: the logits lie further apart than single precision reaches."""
_LEAST = 1e-3
"""Share of a softmax that has to be left without a rating: of less, the difference of the sums, of
seven digits each, says too little."""


def vectors_without_each(
    network: NetworkPlacing, own: Edges, asked: Indices, text: Floats, scale: RatingScale
) -> Floats | None:
    """(1 + n, d) the network's vectors of one user: with all ratings, and without each asked for.

    Args:
        network: the trained network.
        own: the user's ratings.
        asked: (n,) places of the ratings that are left out.
        text: (1, d_text) of the user's profile.
        scale: of the ratings.

    Returns:
        None where sums cannot tell, since the attention rests on one rating alone.
    """
    places = np.arange(len(own))
    read = network.read(Edges(
        users=places, items=own.items, ratings=own.ratings, times=own.times
    ), scale)  # fmt: skip
    rows = np.full(len(own) + 1, -1, np.int64)
    rows[read.users] = np.arange(len(read))
    left = np.concatenate([[-1], rows[asked]])
    degrees = (len(read) - (left >= 0)).astype(np.float32)
    reach = size = None
    if network.settings["symmetric_normalization"]:
        reach = 1 / np.sqrt(np.maximum(network.item_degrees[read.items], 1))
        summed = reach.sum() - np.where(left >= 0, np.append(reach, 0)[left], 0)
        size = (summed / np.maximum(degrees, 1) * np.sqrt(degrees))[:, None]
    levels = rating_levels(read.ratings, scale)
    begun = network.begin(text, degrees)
    states = [np.broadcast_to(begun, (len(left), begun.shape[1]))]
    for layer in network.layers:
        bias = layer.level[levels] + (0 if reach is None else np.log(reach)[:, None])
        received = _received(layer, read.items, bias, layer.wants(states[-1]), left)
        if received is None:
            return None
        states.append(layer.behind(received, size, states[-1]))
    return network.end(states, degrees)


def messages_of(
    network: NetworkPlacing, own: Edges, text: Floats, scale: RatingScale
) -> tuple[Floats, Floats] | None:
    """What each rating, and the profile, add to the user's vector of the whole history.

    With layers that only average neighbours the vector is a sum: of the profile's part, and of
    what attention lets through from every rating, at the length that they all have together.

    Args:
        network: the trained network.
        own: the user's n ratings.
        text: (1, d_text) of the user's profile.
        scale: of the ratings.

    Returns:
        (n, d) and (d,), which add up to the vector (its last entry, 1 for the items' biases, is in
        neither); None where layers transform, so that nothing adds up.
    """
    mean = network.settings["layer_combination"] == "mean"
    if not mean or any(layer.norm is not None for layer in network.layers):
        return None
    places = np.arange(len(own))
    read = network.read(Edges(
        users=places, items=own.items, ratings=own.ratings, times=own.times
    ), scale)  # fmt: skip
    degrees = np.array([len(read)], np.float32)
    levels, size = rating_levels(read.ratings, scale), 1.0
    bias: Floats = np.zeros((1, 1), np.float32)
    if network.settings["symmetric_normalization"]:
        reach = 1 / np.sqrt(np.maximum(network.item_degrees[read.items], 1))
        size = float(reach.sum() / max(len(read), 1) * np.sqrt(len(read)))
        bias = np.log(reach)[:, None]
    states = [network.begin(text, degrees)]
    width = states[0].shape[1]
    parts = np.zeros((len(own), width), np.float32)
    for layer in network.layers:
        logits = layer.source_scores[read.items] + layer.wants(states[-1])
        logits = np.where(logits > 0, logits, SLOPE * logits) + layer.level[levels] + bias
        raised = np.exp(logits - logits.max(0, initial=-np.inf))
        shares = raised / raised.sum(0) * size
        added = (layer.sent[read.items] * shares[:, :, None]).reshape(len(read), width)
        parts[read.users] += added
        states.append(added.sum(0, dtype=np.float32)[None])
    combined = np.mean(states, axis=0, dtype=np.float32)
    length = float(np.linalg.norm(network.end(states, degrees)[:, :width]))
    at = np.float32(length / max(float(np.linalg.norm(combined)), SMALL) / len(states))
    return parts * at, states[0][0] * at


def _received(
    layer: LayerMessages, items: Indices, bias: Floats, wants: Floats, left: Indices
) -> Floats | None:
    """(n, heads, hidden) mean messages of the items, without the one (-1: none) that is left out.

    Args:
        layer: what items send.
        items: (n_read,) the items.
        bias: (n_read, heads) of their logits.
        wants: (n, heads) of the users.
        left: (n,) places among the items.
    """
    heads, hidden = layer.target.shape
    if not len(items):
        return np.zeros((len(wants), heads, hidden), np.float32)
    source: Doubles = layer.source_scores[items].astype(np.float64)
    own_part: Doubles = wants.astype(np.float64)
    slopes = np.array([SLOPE, 1.0])[:, None, None]
    shift = (bias + np.maximum(source, SLOPE * source)).max(0)
    weights = np.exp(slopes * source + (bias - shift))  # of items below -t, and above
    users = slopes * own_part
    users = np.exp(users - users.max(0))
    sent = np.ones((heads, len(items), 1 + hidden), np.float32)
    sent[..., 1:] = layer.sent[items].transpose(1, 0, 2)
    found = _summed(source, weights, sent, -own_part, users.astype(np.float32))
    whole, gone = found[..., 0].copy(), np.maximum(left, 0)
    steep = source[gone] + own_part > 0
    own = np.where(steep, users[1] * weights[1][gone], users[0] * weights[0][gone])
    own[left < 0] = 0
    found -= own.T[..., None].astype(np.float32) * sent[:, gone]
    if len(items) == 1:
        found[:, left >= 0] = [1.0, *[0.0] * hidden]
    elif not (whole > _TINY).all() or (found[..., 0] < _LEAST * whole).any():
        return None
    received: Floats = found[..., 1:] / found[..., :1]
    return received.transpose(1, 0, 2)


def _summed(
    source: Doubles, weights: Doubles, sent: Floats, bounds: Doubles, users: Floats
) -> Floats:
    """(heads, n, d) the weighted sums of each head's messages, for each of its bounds.

    Args:
        source: (n_read, heads) of the items.
        weights: (2, n_read, heads) of an item that is below a bound, and above it.
        sent: (heads, n_read, d) the messages.
        bounds: (n, heads) values of `source` at which the weights change.
        users: (2, n, heads) what the sums below and above are multiplied by.
    """
    above = source > bounds.max(0)
    between = ~above & (source > bounds.min(0))
    shares = np.stack([np.where(above | between, 0, weights[0]), np.where(above, weights[1], 0)])
    base = shares.transpose(2, 0, 1).astype(np.float32) @ sent
    found: Floats = users.transpose(2, 1, 0) @ base
    # Few items are above some bounds and below others: two running sums tell for each bound.
    for head in np.flatnonzero(between.any(0)):
        at = np.flatnonzero(between[:, head])
        at = at[np.argsort(source[at, head])]
        low, high = weights[:, at, head, None].astype(np.float32) * sent[head, at]
        sums = np.zeros((2, len(at) + 1, sent.shape[2]), np.float32)
        np.cumsum(low, axis=0, out=sums[0, 1:])
        np.cumsum(high[::-1], axis=0, out=sums[1, 1:])
        below = np.searchsorted(source[at, head], bounds[:, head], side="right")
        found[head] += users[0, :, head, None] * sums[0, below]
        found[head] += users[1, :, head, None] * sums[1, len(at) - below]
    return found
