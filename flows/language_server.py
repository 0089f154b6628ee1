"""The language server: what `request_models.editing` knows, said in the Language Server Protocol.

The only importer of pygls and lsprotocol, which come with the extra `editor`. Every answer is worked out from one
snapshot of a document's text, outside of the loop that reads messages; a model is checked when typing pauses.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import PositionCodec, TextDocument

from flows.commands.models import compile_one
from flows.wiring import Application
from request_models.compiler import load_model
from request_models.diagnostic_codes import ALL_CODES
from request_models.diagnostics import Diagnostic, Severity
from request_models.editing.catalogue import Knowledge
from request_models.editing.completion import complete, describe
from request_models.editing.entries import Span
from request_models.editing.fixes import fixes, span_of
from request_models.editing.hover import hover
from request_models.editing.items import Completion, Item, ItemKind
from request_models.editing.outline import outline
from request_models.editing.symbols import Symbol, definition, symbols

PAUSE_SECONDS = 0.25
"""How long nothing must be typed before a model is checked."""

_KINDS = {
    ItemKind.ACTION: lsp.CompletionItemKind.Function,
    ItemKind.SYSTEM: lsp.CompletionItemKind.Module,
    ItemKind.ARGUMENT: lsp.CompletionItemKind.Field,
    ItemKind.KEY: lsp.CompletionItemKind.Keyword,
    ItemKind.VALUE: lsp.CompletionItemKind.Value,
    ItemKind.NAME: lsp.CompletionItemKind.Variable,
    ItemKind.FUNCTION: lsp.CompletionItemKind.Function,
}
_SYMBOLS = {
    "section": lsp.SymbolKind.Namespace,
    "inputs": lsp.SymbolKind.Field,
    "values": lsp.SymbolKind.Constant,
    "outputs": lsp.SymbolKind.Property,
}
_INSTEAD = {code.code: code.instead for code in ALL_CODES}
_SEVERITIES = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.NOTE: lsp.DiagnosticSeverity.Hint,
}
_UNUSED = {"unused-input", "unused-value"}

Answer = TypeVar("Answer")


class Positions:
    """Places of one text, as an editor counts them (lines and units of its encoding) and as offsets in characters."""

    def __init__(self, text: str, codec: PositionCodec) -> None:
        self._codec = codec
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def offset(self, position: lsp.Position) -> int:
        """The offset of a place; of one behind the end of its line or of the text, that end."""
        line = min(position.line, len(self._lines) - 1)
        text = self._lines[line]
        if position.line > line or position.character >= self._codec.client_num_units(text):
            return self._starts[line] + len(text)
        within = self._codec.position_from_client_units([text], lsp.Position(0, position.character))
        return self._starts[line] + within.character

    def range(self, span: Span) -> lsp.Range:
        """The range of a span."""
        return lsp.Range(self._position(span.start), self._position(span.end))

    def _position(self, offset: int) -> lsp.Position:
        low, high = 0, len(self._lines)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._starts[middle] <= offset else (low, middle)
        before = self._lines[low][: offset - self._starts[low]]
        return lsp.Position(low, self._codec.client_num_units(before))


@dataclass(frozen=True)
class _Snapshot:
    """A document as it was when something was asked of it."""

    uri: str
    version: int | None
    text: str
    positions: Positions

    @property
    def file(self) -> str:
        """The file's path, as diagnostics name it."""
        return to_fs_path(self.uri) or self.uri


@dataclass(frozen=True)
class _Checked:
    """What is wrong with a document of one text."""

    text: str
    diagnostics: tuple[Diagnostic, ...]


class ModelServer:
    """Answers an editor about the models it has open. `reference` is the address of the page of the checks, if any."""

    def __init__(self, application: Application, version: str, reference: str | None = None) -> None:
        """Raises ConnectorUnavailable, ConnectorNameTaken."""
        self._application = application
        self._around = Knowledge(application.registry, application.settings.public)
        self._reference = reference
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="editing")
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._checked: dict[str, _Checked] = {}
        self._server = LanguageServer("orderly", version)
        self._listen()

    def serve(self, reading: BinaryIO, writing: BinaryIO) -> None:
        """Talk over two streams until the editor says `exit`, or is gone."""
        try:
            self._server.start_io(reading, writing)
        finally:
            self._workers.shutdown(cancel_futures=True)

    def _listen(self) -> None:
        def feature(name: str, options: object = None) -> Callable[[Callable[..., object]], object]:
            # pygls writes on what it is given, which a method does not let it do.
            return lambda answer: self._server.feature(name, options)(partial(answer))

        feature(lsp.TEXT_DOCUMENT_DID_OPEN)(self._opened)
        feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(self._changed)
        feature(lsp.TEXT_DOCUMENT_DID_SAVE)(self._saved)
        feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(self._closed)
        options = lsp.CompletionOptions(trigger_characters=[".", " ", "|"], resolve_provider=True)
        feature(lsp.TEXT_DOCUMENT_COMPLETION, options)(self._complete)
        feature(lsp.COMPLETION_ITEM_RESOLVE)(self._resolve)
        feature(lsp.TEXT_DOCUMENT_HOVER)(self._hover)
        feature(lsp.TEXT_DOCUMENT_DEFINITION)(self._define)
        feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)(self._symbols)
        actions = lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])
        feature(lsp.TEXT_DOCUMENT_CODE_ACTION, actions)(self._fixes)

    # documents

    def _snapshot(self, uri: str) -> _Snapshot:
        document: TextDocument = self._server.workspace.get_text_document(uri)
        text = document.source
        return _Snapshot(uri, document.version, text, Positions(text, document.position_codec))

    def _in_thread(self, work: Callable[[], Answer]) -> Coroutine[Any, Any, Answer]:
        async def worked() -> Answer:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work)

        return worked()

    def _is_model(self, snapshot: _Snapshot) -> bool:
        """Whether it is meant as a model: an editor may send us every YAML file it opens."""
        path = Path(snapshot.file)
        if path.parent.name == "models" or path.parent in self._application.model_folders:
            return True
        return "model" in (outline(snapshot.text).members or {})

    # checking

    def _opened(self, params: lsp.DidOpenTextDocumentParams) -> None:
        self._check_later(params.text_document.uri, 0)

    def _changed(self, params: lsp.DidChangeTextDocumentParams) -> None:
        self._check_later(params.text_document.uri, PAUSE_SECONDS)

    def _saved(self, params: lsp.DidSaveTextDocumentParams) -> None:
        self._check_later(params.text_document.uri, 0)

    def _closed(self, params: lsp.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        if (task := self._checks.pop(uri, None)) is not None:
            task.cancel()
        self._checked.pop(uri, None)
        self._server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri=uri, diagnostics=[]))

    def _check_later(self, uri: str, seconds: float) -> None:
        if (task := self._checks.pop(uri, None)) is not None:
            task.cancel()
        self._checks[uri] = asyncio.get_running_loop().create_task(self._check(uri, seconds))

    async def _check(self, uri: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        snapshot = self._snapshot(uri)
        found = await self._in_thread(lambda: self._diagnose(snapshot))
        if self._checks.get(uri) is not asyncio.current_task():
            return  # closed, or typed on, while it was checked
        self._checked[uri] = _Checked(snapshot.text, found)
        said = [self._say(one, snapshot) for one in found]
        self._server.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(uri=uri, version=snapshot.version, diagnostics=said)
        )

    def _diagnose(self, snapshot: _Snapshot) -> tuple[Diagnostic, ...]:
        """What `orderly check` would say of the text."""
        if not self._is_model(snapshot):
            return ()
        source, diagnostics = load_model(snapshot.file, snapshot.text)
        if source is None:
            return diagnostics
        made = compile_one(self._application, source)
        return (*made.diagnostics, *made.notes)

    def _say(self, diagnostic: Diagnostic, snapshot: _Snapshot) -> lsp.Diagnostic:
        where = snapshot.positions.range(span_of(diagnostic, snapshot.text))
        hint = f"\nhint: {diagnostic.hint}" if diagnostic.hint else ""
        instead = _INSTEAD.get(diagnostic.code)
        page = None if self._reference is None else lsp.CodeDescription(f"{self._reference}#{diagnostic.code}")
        related = lsp.DiagnosticRelatedInformation(lsp.Location(snapshot.uri, where), instead) if instead else None
        return lsp.Diagnostic(
            range=where,
            message=f"{diagnostic.message}{hint}",
            severity=_SEVERITIES[diagnostic.severity],
            code=diagnostic.code,
            code_description=page,
            source="orderly",
            tags=[lsp.DiagnosticTag.Unnecessary] if diagnostic.code in _UNUSED else None,
            related_information=[related] if related is not None else None,
        )

    # answering

    async def _complete(self, params: lsp.CompletionParams) -> lsp.CompletionList:
        snapshot = self._snapshot(params.text_document.uri)
        offset = snapshot.positions.offset(params.position)

        def found() -> Completion:
            return complete(snapshot.text, offset, self._around) if self._is_model(snapshot) else Completion()

        completion = await self._in_thread(found)
        ranges: dict[Span, lsp.Range] = {}
        items = []
        for number, item in enumerate(completion.items):
            where = ranges.setdefault(item.span, snapshot.positions.range(item.span))
            # What we found by our own rules the editor is not to drop by its own: it asks again at the next key.
            typed = None if completion.complete else snapshot.text[item.span.start : offset]
            items.append(_completion_item(item, where, number, typed))
        return lsp.CompletionList(is_incomplete=not completion.complete, items=items)

    async def _resolve(self, item: lsp.CompletionItem) -> lsp.CompletionItem:
        action = item.data.get("action", "") if isinstance(item.data, dict) else ""
        if not isinstance(action, str) or not action:
            return item
        bare = Item(item.label, ItemKind.ACTION, "", Span(0, 0), action=action)
        described = await self._in_thread(lambda: describe(bare, self._around))
        item.documentation = _markdown(described.documentation)
        return item

    async def _hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        snapshot = self._snapshot(params.text_document.uri)
        offset = snapshot.positions.offset(params.position)
        found = await self._in_thread(
            lambda: hover(snapshot.text, offset, self._around) if self._is_model(snapshot) else None
        )
        return None if found is None else lsp.Hover(_markdown(found.text), snapshot.positions.range(found.span))

    def _define(self, params: lsp.DefinitionParams) -> lsp.Location | None:
        snapshot = self._snapshot(params.text_document.uri)
        span = definition(snapshot.text, snapshot.positions.offset(params.position))
        return None if span is None else lsp.Location(snapshot.uri, snapshot.positions.range(span))

    def _symbols(self, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        snapshot = self._snapshot(params.text_document.uri)
        if not self._is_model(snapshot):
            return []
        return [_symbol(one, snapshot.positions) for one in symbols(snapshot.text)]

    def _fixes(self, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        snapshot = self._snapshot(params.text_document.uri)
        checked = self._checked.get(snapshot.uri)
        if checked is None or checked.text != snapshot.text:
            return []  # what was found was found in another text
        start, end = (snapshot.positions.offset(place) for place in (params.range.start, params.range.end))
        return [
            action
            for one in checked.diagnostics
            if (span := span_of(one, snapshot.text)).start <= end and start <= span.end
            for action in self._fixes_of(one, snapshot)
        ]

    def _fixes_of(self, diagnostic: Diagnostic, snapshot: _Snapshot) -> list[lsp.CodeAction]:
        found = fixes(diagnostic, snapshot.text)
        edits = [lsp.TextEdit(snapshot.positions.range(fix.span), fix.text) for fix in found]
        return [
            lsp.CodeAction(
                title=fix.title,
                kind=lsp.CodeActionKind.QuickFix,
                diagnostics=[self._say(diagnostic, snapshot)],
                is_preferred=len(found) == 1,
                edit=lsp.WorkspaceEdit(changes={snapshot.uri: [edit]}),
            )
            for fix, edit in zip(found, edits, strict=True)
        ]


def _completion_item(item: Item, where: lsp.Range, number: int, typed: str | None) -> lsp.CompletionItem:
    return lsp.CompletionItem(
        label=item.label,
        kind=_KINDS[item.kind],
        detail=item.detail or None,
        documentation=_markdown(item.documentation) if item.documentation else None,
        sort_text=f"{number:05}",
        filter_text=typed,
        text_edit=lsp.TextEdit(where, item.insert),
        data={"action": item.action} if item.action else None,
    )


def _symbol(symbol: Symbol, positions: Positions) -> lsp.DocumentSymbol:
    return lsp.DocumentSymbol(
        name=symbol.name,
        kind=_SYMBOLS.get(symbol.kind, lsp.SymbolKind.Function),
        range=positions.range(symbol.span),
        selection_range=positions.range(symbol.name_span),
        detail=symbol.detail or None,
        children=[_symbol(child, positions) for child in symbol.children],
    )


def _markdown(text: str) -> lsp.MarkupContent:
    return lsp.MarkupContent(lsp.MarkupKind.Markdown, text)
