"""Grading a class: a learner's code runs in a box, and a judge outside asks it for answers."""
