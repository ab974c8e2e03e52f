"""Wire formats: a neutral Request to bytes, and bytes to a Response; a folder or a file for each API.

Pure: nothing here sends. The simulator never imports it, since it is an independent reading of the same formats.
"""
