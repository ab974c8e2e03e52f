"""Runs trials: the scheduler, the driver of flows, batches, worker processes, progress.

Sends through `harness.transport`, writes through `harness.runs`. Imported by preflight, app and
above.
"""
