"""The dataset of an eval: its cases, read row by row, selected, and indexed by byte offset."""
