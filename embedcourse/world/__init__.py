"""One world, six senses: scenes with known factors, seen, felt, heard and told."""

from embedcourse.world.factors import BLIND, FACTORS, KNOWS, Scenes, sample
from embedcourse.world.senses import FORMS, SENSES, render
from embedcourse.world.text import captions, encode, prompts

__all__ = [
    "BLIND",
    "FACTORS",
    "FORMS",
    "KNOWS",
    "SENSES",
    "Scenes",
    "captions",
    "encode",
    "prompts",
    "render",
    "sample",
]
