"""Any service over HTTP, as a suite describes it: a templated request, and answers by JSON path."""
