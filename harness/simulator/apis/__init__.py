"""The wire formats the simulator speaks, a folder or a file for each API."""
