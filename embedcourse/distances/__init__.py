"""Distances and similarities between embeddings: one file a measure, and all pairs at once in `pairwise`."""

from embedcourse.distances.arc_length import negative_arc_length
from embedcourse.distances.cosine import cosine_similarity
from embedcourse.distances.euclidean import euclidean
from embedcourse.distances.hamming import binarize, hamming, pack_bits, packed_hamming, unpack_bits
from embedcourse.distances.mahalanobis import GaussianReference, mahalanobis, whiten
from embedcourse.distances.manhattan import manhattan
from embedcourse.distances.pairwise import METRICS, Neighbours, cdist, nearest

__all__ = [
    "METRICS",
    "GaussianReference",
    "Neighbours",
    "binarize",
    "cdist",
    "cosine_similarity",
    "euclidean",
    "hamming",
    "mahalanobis",
    "manhattan",
    "nearest",
    "negative_arc_length",
    "pack_bits",
    "packed_hamming",
    "unpack_bits",
    "whiten",
]
