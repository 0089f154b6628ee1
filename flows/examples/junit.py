"""Results of examples as JUnit XML, which CI systems show."""

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

from flows.examples.testing import ExampleResult, ModelResult, Outcome

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(results: Iterable[ModelResult]) -> bytes:
    """One suite a model, one case an example. A model that does not compile is a case that failed."""
    root = Element("testsuites", name="orderly test")
    for result in results:
        _suite(root, result)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _suite(root: Element, result: ModelResult) -> None:
    failed = result.count(Outcome.FAILED) + bool(result.wrong)
    skipped = result.count(Outcome.SKIPPED) + result.count(Outcome.CANNOT_RUN)
    suite = SubElement(
        root,
        "testsuite",
        name=result.model,
        tests=str(len(result.examples) + bool(result.wrong)),
        failures=str(failed),
        errors="0",
        skipped=str(skipped),
        time=f"{sum(one.seconds for one in result.examples):.3f}",
    )
    for one in result.examples:
        _case(suite, result, one)
    if result.wrong:
        case = SubElement(suite, "testcase", classname=result.model, name="it compiles", file=_clean(result.file))
        text = "\n".join(str(one) for one in result.wrong)
        SubElement(case, "failure", message="the model is wrong").text = _clean(text)


def _case(suite: Element, result: ModelResult, one: ExampleResult) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=result.model,
        name=_clean(one.name),
        file=_clean(result.file),
        line=str(one.line),
        time=f"{one.seconds:.3f}",
    )
    if one.outcome is Outcome.FAILED:
        lines = [
            f"{each.file}:{each.line}: {each.what}: expected {each.expected}, found {each.found}"
            for each in one.mismatches
        ]
        SubElement(case, "failure", message=_clean(lines[0])).text = _clean("\n".join([*lines, "", *one.log]))
    elif one.outcome is not Outcome.PASSED:
        SubElement(case, "skipped", message=_clean(f"{one.outcome}: {one.why}"))


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
