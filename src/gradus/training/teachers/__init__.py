"""Teachers of a student: what they say, computed once and kept, and how several are mixed."""
