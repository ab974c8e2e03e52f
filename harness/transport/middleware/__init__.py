"""The layers of the Send stack, one file each."""
