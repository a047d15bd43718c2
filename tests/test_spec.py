"""``parse(repr(v)) == v`` for every spec; nothing that is not a spec gets through."""

import contextlib
import gc
import inspect
import math
from dataclasses import MISSING
from types import NoneType
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attacks.wrappers import Best, Repeated, Smallest
from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import SpecError, UnknownName
from unfool.objectives import Logit, Margin, Objective, Scaled, Sum
from unfool.regions import L0, L2, Linf, Mask, Region
from unfool.slopes import NES, Expectation
from unfool.spec import Option, Spec, catalogue, find, options, parse, parse_number
from unfool.targets import Channel, Neuron, TotalVariation
from unfool.transforms import Jitter, Noise

CLASSES = catalogue()


# Generated specs: any class, any values that its options allow.


def values(option: Option, depth: int) -> st.SearchStrategy[Any]:
    one = single(option, depth)
    several = st.lists(one, min_size=1, max_size=3).map(tuple)
    filled = {"no": one, "may": one | several, "must": several}[option.many]
    return filled | st.none() if option.optional else filled


def single(option: Option, depth: int) -> st.SearchStrategy[Any]:
    bound = option.bound
    if option.choices:
        return st.sampled_from(option.choices)
    if option.type is bool:
        return st.booleans()
    if option.type is str:
        return st.text(max_size=8)
    low, high = (bound.low, min(bound.high, 1e9)) if bound else (-1e9, 1e9)
    if option.type is int:
        return st.integers(math.ceil(low), int(high))
    if option.type is float:
        floats = st.floats(low, high, exclude_min=bool(bound and bound.open))
        least, most = math.ceil(low) + 1, int(high)
        return floats | st.integers(least, most) if least <= most else floats
    return specs(option.type, depth + 1)


@st.composite
def specs(draw: st.DrawFn, kind: type[Spec] = Spec, depth: int = 0) -> Spec:
    known = [cls for cls in CLASSES.values() if issubclass(cls, kind)]
    if depth > 2:  # only what needs no other
        known = [
            c
            for c in known
            if not any(inspect.isclass(o.type) and issubclass(o.type, Spec) for o in options(c))
        ]
        known = known or [
            c for c in CLASSES.values() if issubclass(c, kind) and not any(o.required for o in options(c))
        ]
    cls = draw(st.sampled_from(known))
    given_ = [o for o in options(cls) if o.required or (depth <= 2 and draw(st.booleans()))]
    return cls(**{o.name: draw(values(o, depth)) for o in given_})


@settings(max_examples=100, deadline=None)
@given(specs())
def test_a_generated_spec_is_rebuilt_by_its_text(spec: Spec):
    assert parse(repr(spec), type(spec).__mro__[1]) == spec
    assert hash(parse(repr(spec))) == hash(spec)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_rebuilt_by_its_text(name: str):
    cls = CLASSES[name]
    assert find(name) is cls
    if not any(option.required for option in options(cls)):
        assert repr(cls()) == f"{name}()"
        assert parse(name) == parse(f" {name}() ") == cls()


NESTED = [
    SmoothGrad(GradCAM("layer4"), samples=9),
    Smallest(Repeated(PGD(loss=Margin(), slope=NES(samples=100)), times=3), halvings=12),
    Best((FGSM(), PGD(step=(0.1, 0.2)), RandomNoise("gaussian"))),
    PGD(slope=Expectation((Jitter(2), Noise(0.1)), samples=2)),
    Mask(L2((0.5, 1.0)), (0, 0.25, 1, 0.5)),
    Neuron("layer 'x'\n\\", (-1, 2)),
]
ALGEBRA = [
    Logit() + Margin() - Channel("a"),
    Logit() - (Margin() - Channel("a")),
    Channel("layer2") - 0.1 * TotalVariation(),
    -(Logit() + 2 * Margin()) * 3,
    -Logit() - -Margin(),
    Logit() + -0.5 * (Margin() + Logit()),
    Scaled(Scaled(Logit(), 2.0), 3.0),
    Scaled(Logit(), 1),
    Sum(Sum(Logit(), Margin()), Sum(Logit(), Margin())),
]


@pytest.mark.parametrize("spec", [*NESTED, *ALGEBRA], ids=repr)
def test_nested_specs_and_algebra_are_rebuilt_by_their_text(spec: Spec):
    again = parse(repr(spec))
    assert again == spec


def test_the_text_is_what_one_would_type():
    assert repr(PGD(steps=40)) == "PGD(steps=40)"
    assert repr(Repeated(PGD(), 3)) == "Repeated(PGD(), times=3)"
    assert repr(Channel("layer2") - 0.1 * TotalVariation()) == "Channel('layer2') - 0.1 * TotalVariation()"
    assert repr(Logit() - (Margin() + Logit())) == "Logit() - (Margin() + Logit())"
    assert parse("Linf(8/255)") == Linf()
    assert parse("PGD(step=-1 + 2*3/4)") == PGD(step=0.5)
    assert parse("Best([FGSM, PGD(3)])") == Best((FGSM(), PGD(steps=3)))


REFUSED = [
    "",
    "1",
    "None",
    "'PGD'",
    "(PGD(),)",
    "__import__('os')",
    "open('x')",
    "PGD().steps",
    "PGD.perturb",
    "os.system('ls')",
    "PGD()()",
    "PGD(steps=steps)",
    "PGD(steps=[i for i in (1, 2)])",
    "PGD(steps=2**3)",
    "PGD(steps=7//2)",
    "PGD(steps=7 % 4)",
    "PGD(steps=+1)",
    "PGD(steps=not 1)",
    "PGD(steps=1 if 1 else 2)",
    "PGD(steps=(x := 3))",
    "PGD(steps=1_0 < 3)",
    "PGD(**{'steps': 3})",
    "PGD(*(3,))",
    "PGD(steps={3})",
    "PGD(steps={'a': 3})",
    "PGD(steps=f'{3}')",
    "PGD(steps=lambda: 3)",
    "PGD(steps=3j)",
    "PGD(steps=b'3')",
    "PGD(steps=...)",
    "PGD(steps=1/0)",
    "PGD(steps=1, steps=2)",
    "PGD(1, steps=2)",
    "PGD(steps=3)\nFGSM()",
    "PGD(steps=3); FGSM()",
    "PGD(steps='3' * 9)",
    "PGD() + PGD()",
    "Logit() + 1",
    "Logit() * Logit()",
    "Logit() / 2",
    "Channel('a' + 'b')",
    "Linf(1e999)",
    "Linf(-1e999)",
    "Linf(1e308 * 10)",
    "Scaled(Logit(), 1e999)",
    "PGD(steps=3",
    "PGD(steps=3))",
    "PGD\0",
    "PGD('\ud800",
    "import os",
    "PGD" * 1000,
    "(" * 5000 + "PGD" + ")" * 5000,
    "-" * 50_000 + "1",
    "Smallest(" * 3000 + "PGD()" + ")" * 3000,
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text[:30]))
def test_what_is_not_a_spec_is_refused(text: str):
    with pytest.raises((SpecError, UnknownName)):
        parse(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="PGDFSM()[]{}=,.+-*/'\"0123456789 slope\n\\_:@", max_size=30))
def test_any_text_is_a_spec_or_an_error_of_ours(text: str):
    with contextlib.suppress(SpecError, UnknownName):
        assert isinstance(parse(text), Spec)


@pytest.mark.parametrize(
    ("text", "value"), [("0.3", 0.3), ("8/255", 8 / 255), ("-1e-3", -1e-3), (" 2 ", 2.0), ("2*3-1", 5.0)]
)
def test_numbers_may_be_fractions(text: str, value: float):
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text", ["", "eps", "'1'", "True", "None", "(1,)", "1e999", "2**3", "PGD", "1/0", "-" * 50_000]
)
def test_what_is_not_a_number_is_refused(text: str):
    with pytest.raises(SpecError):
        parse_number(text)


def test_a_wrong_name_suggests_the_right_one():
    with pytest.raises(UnknownName, match="'pgd'") as caught:
        parse("pgd(steps=3)")
    assert "PGD" in caught.value.hint
    with pytest.raises(SpecError, match="PGD has no option 'step_size'") as caught:
        parse("PGD(step_size=3)")
    assert "step" in caught.value.hint
    with pytest.raises(UnknownName) as caught:
        parse("SmothGrad")
    assert "SmoothGrad" in caught.value.hint


def test_another_kind_than_asked_for_is_refused():
    with pytest.raises(SpecError, match="not an attack") as caught:
        parse("GradCAM()", Attack)
    assert caught.value.hint.startswith("there is APGD, ")
    with pytest.raises(SpecError, match=r"Smallest\.attack must be an attack"):
        parse("Smallest(GradCAM())")


def test_a_missing_or_superfluous_argument_is_named():
    with pytest.raises(SpecError) as caught:
        parse("Smallest()")
    assert caught.value.hint == "Smallest needs attack: write Smallest(attack=…)"
    with pytest.raises(SpecError, match="FGSM takes 3 options at most, not 4"):
        parse("FGSM(1, 2, 3, 4)")


# Options: invalid values are generated from what each allows.


class _Other(Spec):
    """Nothing that any option wants."""


def wrong_values(option: Option) -> list[Any]:
    wrong: list[Any] = [object(), _Other(), 3j]
    wrong += [] if option.optional else [None]
    wrong += ["nobody's choice"] if option.type is not str or option.choices else [3]
    if option.type in (int, float) and not option.choices:
        wrong += [True, math.nan, math.inf, -math.inf]
        wrong += [1.5] if option.type is int else []
        if bound := option.bound:
            wrong += [bound.low if bound.open else bound.low - 1]
            wrong += [] if bound.high == math.inf else [bound.high + 1]
    if option.type is bool:
        wrong += [1, 0]
    if option.many == "no":
        wrong += [((),), (1, 2)]
    return wrong


ALL = [(cls, option) for cls in CLASSES.values() for option in options(cls)]


@pytest.mark.parametrize(("cls", "option"), ALL, ids=lambda v: getattr(v, "__name__", getattr(v, "name", "")))
def test_an_invalid_value_is_refused_by_the_name_of_its_option(cls: type[Spec], option: Option):
    needed: dict[str, Any] = {o.name: valid(o) for o in options(cls) if o.required}
    cls(**needed)
    for value in wrong_values(option):
        with pytest.raises(SpecError) as caught:
            cls(**(needed | {option.name: value}))
        assert str(caught.value).startswith(f"{cls.__name__}.{option.name} must be ")


def valid(option: Option) -> Any:
    if inspect.isclass(option.type) and issubclass(option.type, Spec):
        one: Any = next(
            c
            for c in CLASSES.values()
            if issubclass(c, option.type) and not any(o.required for o in options(c))
        )()
    else:
        one = {str: "a", int: 3, float: 0.5, bool: True}[option.type]
    return (one,) if option.many == "must" else one


@pytest.mark.parametrize(("cls", "option"), ALL, ids=lambda v: getattr(v, "__name__", getattr(v, "name", "")))
def test_every_option_can_be_shown_in_a_form(cls: type[Spec], option: Option):
    assert option.type in (int, float, str, bool) or option.choices or issubclass(option.type, Spec)
    assert option.default is not NoneType or option.optional
    assert option.required == (option.default is MISSING)


def test_options_know_bounds_choices_defaults_and_help():
    steps, loss, step, *_ = options(PGD)
    assert (steps.name, steps.type, steps.default) == ("steps", int, 10)
    assert steps.bound is not None
    assert steps.bound.low == 1
    assert steps.help.startswith("How many steps")
    assert loss.type is Objective
    assert (step.optional, step.many, step.type) == (True, "may", float)
    kind = next(option for option in options(RandomNoise) if option.name == "kind")
    assert kind.choices == get_args(RandomNoise.__annotations__["kind"])


def test_tensors_arrays_and_lists_become_numbers_and_tuples():
    assert Linf(torch.tensor([0.5, 0.25])) == Linf([0.5, 0.25]) == Linf((0.5, 0.25))
    assert Linf(torch.tensor(0.5)) == Linf(0.5)
    assert Mask(box=torch.tensor([0.0, 0.0, 0.5, 1.0])).box == (0.0, 0.0, 0.5, 1.0)


def test_specs_are_frozen_and_compare_by_value():
    with pytest.raises(AttributeError):
        PGD().steps = 3  # type: ignore[misc]
    assert len({PGD(), PGD(steps=10), PGD(steps=11)}) == 2
    assert L0(1) != Linf(1)


# The catalogue.


def test_the_catalogue_has_concrete_classes_of_one_kind_only():
    assert {"FGSM", "PGD", "Smallest"} <= catalogue(Attack).keys()
    assert {"GradCAM", "SmoothGrad"} <= catalogue(Attribution).keys()
    assert {"Linf", "L2", "L1", "L0", "Mask"} == catalogue(Region).keys()
    assert not catalogue(Attack).keys() & catalogue(Attribution).keys()
    assert not any(inspect.isabstract(cls) for cls in CLASSES.values())
    assert list(CLASSES) == sorted(CLASSES)


def test_a_class_defined_in_a_script_is_found_and_defined_twice_counts_by_its_last():
    def define(depth: int) -> type[Spec]:
        class Gaudy(Spec):
            colour: int = depth

        return Gaudy

    define(1)
    second = define(2)
    try:
        assert catalogue()["Gaudy"] is second
        assert repr(parse("Gaudy(colour=5)")) == "Gaudy(colour=5)"
    finally:
        del second
        gc.collect()
