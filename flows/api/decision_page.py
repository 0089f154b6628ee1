"""The page on which somebody decides who came by the link of a mail: plain HTML, no script, nothing from elsewhere."""

from importlib.resources import files

from jinja2 import Environment

from flows.api.approval_views import approval_shape
from flows.approval_links import LinkState, Opened

_SAID = {
    LinkState.UNKNOWN: "This link is not one of ours, or it was cut off: copy the whole address from the mail.",
    LinkState.USED: "This link was used: the decision is made. It works once.",
    LinkState.EXPIRED: "The time to decide by this link is over.",
    LinkState.CLOSED: "There is nothing to decide any more.",
    LinkState.NOT_YOURS: "This is not yours to decide.",
}

_TEMPLATE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    files("flows.api").joinpath("decision.html").read_text(encoding="utf-8")
)


def page_of(opened: Opened, language: str | None, *, said: str = "", decided: bool = False) -> str:
    """The page. `said` is told above the form; `decided`: a decision was made just now."""
    approval = None if opened.approval is None else approval_shape(opened.approval, "", language)
    return _TEMPLATE.render(
        approval=approval,
        person=opened.person,
        form=opened.state is LinkState.GOOD and not decided,
        decided=decided,
        said=said or f"{_SAID.get(opened.state, '')} {opened.why}".strip(),
    )
