"""The cases of an eval: read row by row, selected, and kept as an index of offsets."""
