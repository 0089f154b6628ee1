"""What a check finds: a mistake at a path of the model, not yet at a line of its file."""

from dataclasses import dataclass

from request_models.diagnostics import Diagnostic, Severity
from request_models.yaml_source import Path, YamlSource


@dataclass(frozen=True)
class Finding:
    """One mistake at a path. `at` is a text within the value that is at fault; `on_key` points at the key itself."""

    path: Path
    code: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    at: str = ""
    on_key: bool = False

    def located(self, source: YamlSource) -> Diagnostic:
        """The finding as a diagnostic with file, line and column."""
        return source.diagnostic(
            self.path,
            self.code,
            self.message,
            hint=self.hint,
            severity=self.severity,
            at=self.at,
            on_key=self.on_key,
        )
