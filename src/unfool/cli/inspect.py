"""``unfool inspect``: one subject a file in ``subjects``, imported when it is asked for."""

from cyclopts import App

SUBJECTS = {
    "filters": "The filters of the first convolution, and which are dead, noisy or double.",
    "templates": "What a linear classifier looks for, and where it draws its lines.",
    "units": "What makes each channel of each layer fire.",
    "hierarchy": "The layers in order: what fires their units, what can be read off them, what they ignore.",
    "field": "What part of the image each layer sees.",
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
    "atlas": "What a layer gives, laid out in cells, each drawn, with the classes it argues for.",
    "map": "A map of images by what a network makes of them, and how far to trust it.",
    "decision": "One decision on one page: what, how sure, why, what would change it.",
    "envelope": "Which images a network knows: inside, edge or outside, and why; and whether they drift.",
    "backdoor": "Whether a small trigger leads to one class, as a planted backdoor would.",
    "certify": "Within which radius nothing changes the answer, for sure, beside what attacks find.",
    "detect": "Whether alarms for images made to fool hold once an attack knows them, and whether saliency helps.",
    "groups": "A table of errors by group, such as that of Gender Shades: intervals, gaps, and what chance would give.",
    "slices": "Groups nobody has named on which a model fails, and whether a cue is why.",
    "dimensions": "Whether more dimensions make a classifier easier to fool.",
}

inspect = App(
    name="inspect",
    help="Look closely at one question: figures with their controls, numbers, one page.",
    help_format="plaintext",
)
for _subject, _purpose in SUBJECTS.items():
    inspect.command(f"unfool.cli.subjects.{_subject}:{_subject}", name=_subject, help=_purpose)
