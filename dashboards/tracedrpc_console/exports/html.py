"""A trace as one HTML file that needs nothing else: to attach to a report, to keep. Pure.

It has no script and asks for nothing outside; whatever services said about themselves is text in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv
from tracedrpc_console.exports.svg import as_span, picture
from tracedrpc_console.spans import Trace
from tracedrpc_console.waterfall import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracedrpc_console.store.model import LogRow, SpanRow

CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1f2937; --soft: #6b7280; --rule: #e5e7eb;
  --red: #dc2626; --panel: #f8fafc }
@media (prefers-color-scheme: dark) { :root { --ground: #0f172a; --ink: #e5e7eb; --soft: #9ca3af;
  --rule: #334155; --red: #f87171; --panel: #1e293b } }
body { margin: 0 auto; max-width: 1120px; padding: 20px; background: var(--ground); color: var(--ink);
  font: 14px/1.5 system-ui, sans-serif }
h1 { font-size: 20px; margin: 0 } h2 { font-size: 16px; margin: 28px 0 8px }
h1, code, summary, td, th { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
code, summary, td, th { font-size: 12.5px } .soft { color: var(--soft) } .failed { color: var(--red) }
.picture { overflow-x: auto; margin: 16px 0 } details { border-top: 1px solid var(--rule) }
summary { padding: 4px 0; cursor: pointer; overflow-wrap: anywhere }
details > div { background: var(--panel); padding: 4px 12px 12px; overflow-x: auto }
table { border-collapse: collapse; width: 100% } caption { text-align: left;
  color: var(--soft); padding-top: 8px }
th, td { text-align: left; vertical-align: top; padding: 2px 12px 2px 0; overflow-wrap: anywhere;
  white-space: pre-wrap } th { font-weight: normal; color: var(--soft); width: 30% }
td.at, td.word { width: 1%; white-space: nowrap } td.at { text-align: right }
"""


def export(spans: Sequence[SpanRow], logs: Iterable[LogRow] = ()) -> bytes:
    """Return the file.

    Args:
        spans: of one trace; of one without spans there is only a heading.
        logs: records with its trace id, in any order.
    """
    rows = {span.span_id: span for span in reversed(spans)}
    trace = Trace(map(as_span, spans))
    ordered = [(rows[row.span.span_id], row.depth) for row in trace.rows()]
    records = sorted(logs, key=lambda log: (log.at_ns, log.id))
    of_span: dict[str, list[LogRow]] = defaultdict(list)
    for log in records:
        of_span[log.span_id].append(log)
    start = min((span.start_ns for span in spans), default=0)
    root = rows[trace.root.span_id] if trace.root else next(iter(rows.values()), None)
    title = escape(f"{root.service}: {root.name}" if root else "no spans")
    return "\n".join([
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        *(_head(root, spans) if root else [f"<h1>{title}</h1>"]),
        f'<div class="picture">{picture(spans)}</div>',
        "<h2>Spans</h2>", *(_span(span, depth, start, of_span[span.span_id]) for span, depth in ordered),
        *(["<h2>Log records</h2>", _logs(records, start)] if records else []),
        "</body></html>\n",
    ]).encode()


def _head(root: SpanRow, spans: Sequence[SpanRow]) -> Iterator[str]:
    failed = sum(span.is_error for span in spans)
    services = len({span.service for span in spans})
    facts = [
        _instant(root.start_ns), milliseconds(root.duration_ms), f"{len(spans)} spans",
        f"{services} services", f"{failed} failed", f"trace {root.trace_id}",
    ]
    yield f'<h1 class="{"failed" if root.is_error else ""}">{escape(root.service)}: {escape(root.name)}</h1>'
    yield f'<p class="soft">{escape(" · ".join(facts))}</p>'
    why = root.attributes.get(semconv.WHY)
    if why:
        yield f"<p><code>{escape(str(why))}</code></p>"


def _instant(at_ns: int) -> str:
    try:
        at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{at_ns} ns"
    return f"{at:%Y-%m-%d %H:%M:%S}.{at_ns % 10**9 // 10**6:03} UTC"


def _span(span: SpanRow, depth: int, start_ns: int, records: Sequence[LogRow]) -> str:
    words = f"{span.service}  {span.name}  {str(span.kind).lower()}  {milliseconds(span.duration_ms)}"
    ids = {"span": span.span_id, "parent": span.parent_id, "state": span.trace_state}
    times = {"start": _instant(span.start_ns), "status": span.status_message}
    scope = {"scope": f"{span.scope_name} {span.scope_version}".strip()}
    style = ' class="failed"' if span.is_error else ""
    # The tree's depth as spaces: a style attribute for each would be the only one.
    return "\n".join([
        f"<details><summary{style}>{'&nbsp;' * 2 * min(depth, 40)}{escape(words)}</summary><div>",
        _table("", {name: value for name, value in {**ids, **times, **scope}.items() if value}),
        _table("attributes", span.attributes),
        *(_table(f"event {event.name}, {_after(event.at_ns, start_ns)}", event.attributes)
          for event in span.events),
        *(_table(f"link to {link.trace_id} {link.span_id}", link.attributes) for link in span.links),
        _table("process", span.resource),
        _logs(records, start_ns, "log records"),
        "</div></details>",
    ])


def _table(caption: str, fields: Mapping[str, Any]) -> str:
    if not fields and not caption.startswith(("event", "link")):
        return ""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_text(value))}</td></tr>" for name, value in fields.items()
    )
    return f"<table><caption>{escape(caption)}</caption>{rows}</table>"


def _logs(records: Sequence[LogRow], start_ns: int, caption: str = "") -> str:
    rows = "".join(
        f'<tr><td class="at">{_after(log.at_ns, start_ns)}</td><td class="word">{escape(log.level)}</td>'
        f'<td class="word">{escape(log.service)}</td><td>{escape(log.body or log.event)}</td></tr>'
        for log in records
    )
    return f"<table><caption>{caption}</caption>{rows}</table>" if rows else ""


def _after(at_ns: int, start_ns: int) -> str:
    return f"{(at_ns - start_ns) / 1e6:+.2f} ms"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
