"""What the benchmark is made of: the clients, the measured processes, the tables."""
