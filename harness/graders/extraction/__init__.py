"""What of an answer is graded: steps that each take a text from the text before, in the order of
`extract:`.

A step raises NothingToExtract where the text has nothing of its kind; the grade is then failed and
counted as unparsed. `chain_steps` makes a function of a list of steps.
"""

from harness.graders.extraction.pipeline import Extraction, chain_steps

__all__ = ["Extraction", "chain_steps"]
