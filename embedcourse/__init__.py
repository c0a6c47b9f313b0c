"""embedcourse: reference implementations, checks and lessons on embedding spaces."""
