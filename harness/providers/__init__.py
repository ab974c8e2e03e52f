"""Wire formats: a neutral Request to bytes, and bytes to a decoded response; a folder or a file for
each API.

Pure: nothing here sends, and what is stated about each provider is in `harness.vendors`. The engine
and transport import it; the simulator never does, since it is an independent reading of the same
formats.
"""
