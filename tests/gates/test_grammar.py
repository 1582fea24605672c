from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.errors import UsageError
from gradus.gates import GateSpec, GateSyntaxError, forms, parse
from gradus.gates.grammar import OPERATORS

METRICS = [registry.plain(v) for v in registry.names("metrics")]
WHOLE = [m for m in METRICS if not registry.load("metrics", m).per_label]
BY_LABEL = [m for m in METRICS if registry.load("metrics", m).per_label]

ids = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,8}", fullmatch=True)
references = st.one_of(ids, st.builds("{}.{}".format, ids, ids), st.just("parent"))
labels = st.text(
    st.characters(exclude_characters="[]", exclude_categories=["Z", "C"]), min_size=1, max_size=6
)
numbers = st.floats(0, 1e6, allow_nan=False)
positive = st.floats(1e-6, 1e6)


@st.composite
def specs(draw: st.DrawFn) -> GateSpec:
    by_label = draw(st.booleans())
    fields: dict[str, object] = {
        "metric": draw(st.sampled_from(BY_LABEL if by_label else WHOLE)),
        "label": draw(labels) if by_label else None,
        "prefix": draw(st.one_of(st.none(), ids, st.builds("{}.{}".format, ids, ids))),
        "op": draw(st.sampled_from(OPERATORS)),
    }
    form = draw(st.sampled_from(["constant", "reference", "margin", "factor"]))
    if form == "constant":
        fields |= {"constant": draw(numbers) * draw(st.sampled_from([1, -1]))}
        fields |= {"surely": draw(st.booleans())}
    else:
        fields |= {"reference": draw(references)}
    if form == "margin":
        fields |= {"margin": draw(positive) * draw(st.sampled_from([1, -1]))}
    if form == "factor":
        fields |= {"factor": draw(positive)}
    return GateSpec(text="", **fields)  # type: ignore[arg-type]  # built by name above


@given(specs())
def test_what_is_written_is_read_again(spec: GateSpec) -> None:
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)


@given(specs(), st.lists(st.sampled_from([" ", "  ", "\t"]), min_size=9, max_size=9))
def test_any_white_space_will_do(spec: GateSpec, gaps: list[str]) -> None:
    words = str(spec).split(" ")
    spread = "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    assert parse(spread) == spec


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_column(text: str) -> None:
    fault = None
    try:
        assert parse(str(parse(text))) == parse(text)
    except GateSyntaxError as error:
        fault = error
    assert fault is None or (1 <= fault.column <= len(text) + 1 and fault.reason)


def test_the_parts() -> None:
    spec = parse("  surely news.test.f1[two words]  >= 9.0e-1 ")
    assert spec == GateSpec(
        text="",
        metric="f1",
        label="two words",
        prefix="news.test",
        op=">=",
        surely=True,
        constant=0.9,
    )
    assert spec.text == "surely news.test.f1[two words]  >= 9.0e-1"
    assert spec.measured == "f1[two words]"
    lower = parse("latency_p50_ms < 0.6 * floor.majority")
    assert (lower.factor, lower.reference, lower.upward) == (0.6, "floor.majority", False)
    assert parse("accuracy >= step-2 - .5").margin == -0.5


@pytest.mark.parametrize(("form", "meaning"), forms())
def test_every_listed_form_is_read(form: str, meaning: str) -> None:
    assert str(parse(form)) == form
    assert meaning


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "nothing to ask"),
        ("surely", 7, "nothing to ask"),
        ("accuracy", 9, "an operator is missing"),
        ("accuracy >=", 12, "a value is missing"),
        (">= 0.9", 1, "write a metric before >="),
        ("accuracy>=0.95", 9, "write spaces around >="),
        ("accuracy >=0.95", 10, "write spaces around >="),
        ("accuracy== 1", 9, "write spaces around =="),
        ("accuracy = 1", 10, "not a gate's operator"),
        ("accuracy over 1", 10, "stands where an operator should"),
        ("acuracy >= 0.9", 1, "did you mean 'accuracy'"),
        ("news.acuracy >= 0.9", 6, "did you mean 'accuracy'"),
        ("f1 >= 0.9", 1, r"write f1\[LABEL\], or f1_macro"),
        ("mcc[a] >= 0.9", 4, r"leave out \[a\]"),
        ("accuracy >= 95%", 13, "write 0.95 for 95%"),
        ("accuracy >= 95 %", 13, "write 0.95 for 95%"),
        ("accuracy >= tuned - 1%", 21, "write 0.01 for 1%"),
        ("accuracy >= tuned -0.01", 19, "write spaces around -"),
        ("accuracy >= tuned-0.01", 18, "write spaces around -"),
        ("accuracy >= 0.6*tuned", 16, r"write spaces around \*"),
        ("accuracy >= tuned * 0.6", 13, r"write 0.6 \* tuned"),
        ("accuracy >= 0.1 + tuned", 13, "write the reference first"),
        ("accuracy >= tuned - -0.1", 21, "no sign of its own"),
        ("accuracy >= -1 * tuned", 13, "greater than 0"),
        ("accuracy >= tuned -", 20, "something is missing after -"),
        ("accuracy >= tuned - small", 21, "not a number"),
        ("accuracy >= tuned - 0.1 - 0.1", 25, "too much"),
        ("accuracy >= tuned 0.1", 19, "one word too many"),
        ("accuracy >= a b c", 15, "stands where"),
        ("surely accuracy > tuned", 1, "leave surely out"),
        ("accuracy >= 1e999", 13, "too large"),
        ("accuracy >= parent:", 13, "did you mean 'parent'"),
    ],
)
def test_every_fault_says_where_and_what_to_write(text: str, column: int, message: str) -> None:
    with pytest.raises(GateSyntaxError, match=message) as caught:
        parse(text)
    assert caught.value.column == column
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2


def test_other_metrics_can_be_allowed() -> None:
    assert parse("my_score >= 1", metrics=[*METRICS, "my_score"]).metric == "my_score"
    with pytest.raises(GateSyntaxError, match="unknown metric"):
        parse("accuracy >= 1", metrics=["mcc"])


def test_holds() -> None:
    for op, expected in {">=": (0, 1, 1), ">": (0, 0, 1), "<=": (1, 1, 0), "<": (1, 0, 0)}.items():
        spec = parse(f"mcc {op} 0.5")
        assert tuple(spec.holds(v, 0.5) for v in (0.4, 0.5, 0.6)) == tuple(map(bool, expected))
        assert not spec.holds(float("nan"), 0.5)
