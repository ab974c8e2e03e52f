"""What is measured: each measure of an exchange, defined once.

Imported by graders, analysis and reporters; imports only the model.
"""
