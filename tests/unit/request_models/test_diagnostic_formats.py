"""Diagnostics for other tools: what must be escaped is, and what SARIF 2.1.0 requires is there."""

from pathlib import Path
from typing import Any

import pytest

from request_models.diagnostic_formats import render_github, sarif_log
from request_models.diagnostics import Diagnostic, Severity

HERE = Path("/repository")
ERROR = Diagnostic(
    "unknown-key", "there is no key `stepz`", "/repository/models/a.yaml", 3, 5, "is `steps` meant?", width=5
)
WARNING = Diagnostic("unused-input", "nothing reads `inputs.a`", "/elsewhere/b c.yaml", severity=Severity.WARNING)


def sarif(*diagnostics: Diagnostic) -> dict[str, Any]:
    return dict(sarif_log(diagnostics, HERE, "1.2.3", {"unknown-key": "A key that is not there."}))


class TestGitHub:
    def test_an_error_is_placed_relative_to_the_repository(self) -> None:
        assert render_github([ERROR], HERE) == (
            "::error file=models/a.yaml,line=3,col=5,endColumn=10,title=Orderly%3A unknown-key"
            "::there is no key `stepz`%0Ahint: is `steps` meant?\n"
        )

    def test_a_warning_is_one_and_a_file_elsewhere_keeps_its_path(self) -> None:
        assert render_github([WARNING], HERE) == (
            "::warning file=/elsewhere/b c.yaml,line=1,col=1,endColumn=2,title=Orderly%3A unused-input"
            "::nothing reads `inputs.a`\n"
        )

    def test_one_line_a_diagnostic(self) -> None:
        assert render_github([ERROR, WARNING], HERE).count("\n") == 2

    @pytest.mark.parametrize(
        ("message", "written"),
        [
            ("50% of it", "50%25 of it"),
            ("a\r\nb", "a%0D%0Ab"),
            ("%0A", "%250A"),
            ("x\n::error::forged", "x%0A::error::forged"),
            ("a: b, c", "a: b, c"),
        ],
    )
    def test_a_message_cannot_end_its_command(self, message: str, written: str) -> None:
        line = render_github([Diagnostic("code", message, "/repository/a.yaml")], HERE)
        assert line.endswith(f"::{written}\n")
        assert line.count("\n") == 1

    def test_a_file_name_cannot_add_properties(self) -> None:
        line = render_github([Diagnostic("code", "m", "/repository/a,line=9::x%\n.yaml")], HERE)
        assert line.startswith("::error file=a%2Cline=9%3A%3Ax%25%0A.yaml,line=1,")

    def test_nothing_wrong_is_nothing_written(self) -> None:
        assert render_github([], HERE) == ""


class TestSarif:
    def test_what_the_standard_requires_is_there(self) -> None:
        log = sarif(ERROR, WARNING)
        assert log["version"] == "2.1.0"
        assert log["$schema"].endswith("sarif-2.1.0.json")
        (run,) = log["runs"]
        driver = run["tool"]["driver"]
        assert (driver["name"], driver["version"]) == ("Orderly", "1.2.3")
        ids = [rule["id"] for rule in driver["rules"]]
        assert len(ids) == len(set(ids))
        for result in run["results"]:
            assert result["message"]["text"]
            assert result["level"] in {"none", "note", "warning", "error"}
            assert ids[result["ruleIndex"]] == result["ruleId"]
            region = result["locations"][0]["physicalLocation"]["region"]
            assert all(isinstance(number, int) and number >= 1 for number in region.values())
            assert region["endLine"] >= region["startLine"]
            assert region["endColumn"] > region["startColumn"]

    def test_a_run_without_results_has_an_empty_list_which_means_that_all_is_right(self) -> None:
        (run,) = sarif()["runs"]
        assert run["results"] == []
        assert run["tool"]["driver"]["rules"] == []

    def test_files_of_the_repository_are_relative_and_others_are_addresses(self) -> None:
        strange = Diagnostic("code", "m", "/repository/models/50% é.yaml")
        places = [
            result["locations"][0]["physicalLocation"]["artifactLocation"]
            for result in sarif(ERROR, strange, WARNING)["runs"][0]["results"]
        ]
        assert places == [
            {"uri": "models/a.yaml", "uriBaseId": "%SRCROOT%"},
            {"uri": "models/50%25%20%C3%A9.yaml", "uriBaseId": "%SRCROOT%"},
            {"uri": "file:///elsewhere/b%20c.yaml"},
        ]

    def test_columns_count_characters_as_ours_do(self) -> None:
        assert sarif()["runs"][0]["columnKind"] == "unicodeCodePoints"

    def test_a_rule_says_what_its_code_means_where_that_is_known(self) -> None:
        rules = sarif(ERROR, WARNING)["runs"][0]["tool"]["driver"]["rules"]
        assert rules == [
            {"id": "unknown-key", "shortDescription": {"text": "A key that is not there."}},
            {"id": "unused-input"},
        ]

    def test_severities_are_levels(self) -> None:
        assert [result["level"] for result in sarif(ERROR, WARNING)["runs"][0]["results"]] == ["error", "warning"]
