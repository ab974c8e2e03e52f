"""Turns records into frames, estimates, gate results and the data of a report.

Pure: reads no file and no clock. Imported by reporters, app and above; never imports engine,
transport or reporters.
"""
