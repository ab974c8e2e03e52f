"""The APIs that the simulator serves, a folder or a file for each; `adapters.py` has the table of
their addresses.

In each, `parse_request` validates a body, `render_response` and `render_stream` render the reply,
and `render_error` and `error_for_status` word errors.
"""
