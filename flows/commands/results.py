"""What a request gave, and what can be done next, as people read it."""

import json
from typing import Any

from rich.console import Console
from rich.text import Text


def print_results(request: dict[str, Any], console: Console) -> None:
    """Outputs of a fulfilled request; for one on hold, where to look and how to go on."""
    for output in request["outputs"]:
        value = "(secret)" if output["secret"] else _shown(output["value"])
        where = f"  {output['url']}" if output["url"] else ""
        console.print(Text(f"  {output['title']}: {value}{where}"))
    links = request["links"]
    if request["state"] == "on_hold":
        console.print(Text(f"  Mend the cause, then: orderly retry {request['id']} --why '...'"))
        for step in request["hold"]["steps"]:
            item = f" --item {step['item']}" if step["item"] else ""
            for choice in step["choices"]:
                line = f"  or: orderly {choice} {request['id']} --step {step['step']}{item} --why '...'"
                console.print(Text(line))
        if links.get("prefect"):
            console.print(Text(f"  or press Retry in Prefect: {links['prefect']}"))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
