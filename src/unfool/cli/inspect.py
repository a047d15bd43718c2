"""``unfool inspect``: one subject a file in ``subjects``, imported when it is asked for."""

from cyclopts import App

SUBJECTS = {
    "transfer": "Whom images made to fool one model fool, too.",
    "directions": "What happens along straight lines and in planes through images.",
    "norms": "The same images attacked within several norms.",
    "hiding": "What stickers hide from detectors.",
    "cine": "Where a network looks in series, frame by frame, and whether it needs those frames.",
    "landmarks": "Where landmarks are found, and a page of maps for an appendix.",
    "bounds": "What theory allows: how many images must lie near a boundary.",
    "shortcuts": "Whether a model uses cues that have nothing to do with a class.",
    "hotspots": "Whether false positives look at an artefact, and go without it.",
    "neighbours": "The nearest images in a network's features, and copies between two sets.",
    "probe": "How well linear models read the classes off a network, layer by layer.",
    "map": "A map of images by what a network makes of them, and how far to trust it.",
    "decision": "One decision on one page: what, how sure, why, what would change it.",
    "dimensions": "Whether more dimensions make a classifier easier to fool.",
}

inspect = App(
    name="inspect",
    help="Look closely at one question: figures with their controls, numbers, one page.",
    help_format="plaintext",
)
for _subject, _purpose in SUBJECTS.items():
    inspect.command(f"unfool.cli.subjects.{_subject}:{_subject}", name=_subject, help=_purpose)
