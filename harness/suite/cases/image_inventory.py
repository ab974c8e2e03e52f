"""The images of an eval's cases: each is checked before the run, and the largest of each type are remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.config.diagnostics import Place, Problems
from harness.config.templates import TemplateError
from harness.hashing import canonical_json, hash64
from harness.model import Image
from harness.model.images import file_size
from harness.suite.files import ImageError
from harness.suite.model import Case, LaterTurn, MultimodalTemplate, Prompt


class CaseImage(NamedTuple):
    """An image of a case, and where it is named: bytes of its file, pixels of its longer side."""

    place: Place
    case: str
    media_type: str
    size: int
    side: int


class ImageInventory:
    """The images of one eval's cases, as far as a target may mind them: of each type the largest.

    `heaviest` and `widest` are by media type; `most` is the largest number in one request, with the case that has it, and None
    where there are no images.
    """

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.heaviest: dict[str, CaseImage] = {}
        self.widest: dict[str, CaseImage] = {}
        self.most: tuple[int, str, Place] | None = None
        self._turns = [(prompt.multimodal_turns, _multimodal_turns(prompt.later)) for prompt in prompts]
        self._any = any(first or later for first, later in self._turns)

    def may_have_images(self, case: Case) -> bool:
        """Whether the case may show images at all."""
        return self._any or bool(case.later)

    def check(self, case: Case, place: Place, problems: Problems) -> int:
        """Look into every image the case shows in any prompt; what is wrong is noted where it is named.

        Returns a hash of what the images hold, 0 where there are none.
        """
        own = None if case.later is None else _multimodal_turns(case.later)
        hashes = []
        for first, later in self._turns:
            turns = (*first, *(later if own is None else own))
            shown = [each for turn in turns for each in self._check_turn(turn, case, place, problems)]
            if len(shown) > (self.most[0] if self.most else 0):
                self.most = (len(shown), case.id, place)
            hashes.append(shown)
        return hash64(canonical_json([case.id, hashes])) if any(hashes) else 0

    def _check_turn(self, turn: MultimodalTemplate, case: Case, place: Place, problems: Problems) -> Iterator[str | None]:
        """The hash of each image."""
        for picture in turn.images:
            if not picture.template.variables <= case.vars.keys():  # said already: the case gives no value for one
                continue
            stands = place if picture.template.is_expression else picture.template.place
            try:
                for reference, base in picture.iter_references(case.vars, case.folder):
                    image = turn.files.check(reference, base)
                    self._note_image(CaseImage(stands, case.id, image.media_type, file_size(image), longest_side(image)))
                    yield image.sha256
            except TemplateError as wrong:
                problems.add(stands, f"the case `{case.id}`: {wrong.message}")
            except ImageError as wrong:
                problems.add(stands, f"the case `{case.id}`: {wrong}" if stands is place else str(wrong))

    def _note_image(self, seen: CaseImage) -> None:
        for largest, measure in ((self.heaviest, seen.size), (self.widest, seen.side)):
            known = largest.get(seen.media_type)
            if known is None or measure > (known.size if largest is self.heaviest else known.side):
                largest[seen.media_type] = seen


def _multimodal_turns(later: Sequence[LaterTurn]) -> tuple[MultimodalTemplate, ...]:
    return tuple(turn.text for turn in later if isinstance(turn.text, MultimodalTemplate))


def longest_side(image: Image) -> int:
    """Pixels of the longer side."""
    return max(image.width or 0, image.height or 0)
