"""Functions of the user's own that are called while a suite is loaded, in a process apart.

Cases and prompts that code makes come from here. Imported by `suite.tables` and `suite.prompts`.
"""
