"""Conversations as generators without I/O: they yield what to ask, and are sent the answer.

Imported by graders (a judge is a flow), plan and engine; imports only the model and the template
language.
"""
