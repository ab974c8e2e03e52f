"""The images of an eval's cases: checks each before the run, and remembers the largest of each
type.
"""

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
    """Facts on an image that a case shows: size of its file in bytes, length of its longer side
    in pixels.
    """

    place: Place
    case: str
    media_type: str
    size: int
    side: int


class ImageInventory:
    """The images of one eval's cases, as far as limits of a target concern them.

    `heaviest` and `widest` hold the largest image of each media type; `most` is the largest number
    of images in one request, with the case that has it, None where there are no images.
    """

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.heaviest: dict[str, CaseImage] = {}
        self.widest: dict[str, CaseImage] = {}
        self.most: tuple[int, str, Place] | None = None
        self._turns = [
            (prompt.multimodal_turns, _multimodal_turns(prompt.later_turns)) for prompt in prompts
        ]
        self._any = any(first or later for first, later in self._turns)

    def may_have_images(self, case: Case) -> bool:
        """Whether the case can show images at all."""
        return self._any or bool(case.later_turns)

    def check(self, case: Case, place: Place, problems: Problems) -> int:
        """Check every image that the case shows in any prompt; problems are noted where the image
        is named.

        Returns a hash of the images' contents, 0 where there are none.
        """
        own = None if case.later_turns is None else _multimodal_turns(case.later_turns)
        hashes = []
        for first, later in self._turns:
            turns = (*first, *(later if own is None else own))
            shown = [
                each for turn in turns for each in self._check_turn(turn, case, place, problems)
            ]
            if len(shown) > (self.most[0] if self.most else 0):
                self.most = (len(shown), case.id, place)
            hashes.append(shown)
        return hash64(canonical_json([case.id, hashes])) if any(hashes) else 0

    def _check_turn(
        self, turn: MultimodalTemplate, case: Case, place: Place, problems: Problems
    ) -> Iterator[str | None]:
        """Checks the images of one turn and yields the hash of each."""
        for picture in turn.images:
            if (
                not picture.template.variables <= case.vars.keys()
            ):  # noted already: the case has no value for one
                continue
            named_at = place if picture.template.is_expression else picture.template.place
            try:
                for reference, base in picture.iter_references(case.vars, case.folder):
                    image = turn.files.check(reference, base)
                    self._note_image(
                        CaseImage(
                            named_at,
                            case.id,
                            image.media_type,
                            file_size(image),
                            longest_side(image),
                        )
                    )
                    yield image.sha256
            except TemplateError as wrong:
                problems.add(named_at, wrong.message, f"the case `{case.id}`:")
            except ImageError as wrong:
                subject = f"the case `{case.id}`:" if named_at is place else ""
                problems.add(named_at, str(wrong), subject)

    def _note_image(self, seen: CaseImage) -> None:
        for largest, measure in ((self.heaviest, seen.size), (self.widest, seen.side)):
            known = largest.get(seen.media_type)
            if known is None or measure > (known.size if largest is self.heaviest else known.side):
                largest[seen.media_type] = seen


def _multimodal_turns(later: Sequence[LaterTurn]) -> tuple[MultimodalTemplate, ...]:
    return tuple(turn.text for turn in later if isinstance(turn.text, MultimodalTemplate))


def longest_side(image: Image) -> int:
    """The length of an image's longer side in pixels."""
    return max(image.width or 0, image.height or 0)
