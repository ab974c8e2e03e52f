"""The use cases, one file each: the composition root of a run, and what the commands and the Python
API call.

Opens files, starts processes, reads the environment, and hands the layers below what they need as
data. Imported by the command line only.
"""
