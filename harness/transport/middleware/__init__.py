"""The middleware of the Send stack: its layers, one file each."""
