"""A run on disk: its folder, records, blobs, resume state, and the redaction of secrets.

Below engine, transport and analysis, so that whoever reads a run imports neither of them.
"""
