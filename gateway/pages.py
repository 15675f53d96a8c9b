"""The contract for people and machines: the committed openapi.json and a page that shows it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any, Final

from gateway.errors import JSON_TYPE
from gateway.http import Response

OPENAPI_FILE: Final = Path(__file__).with_name("openapi.json")
_CACHE: Final = (b"cache-control", b"public, max-age=300")
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
section{border-top:1px solid #d0d7de;padding:.5rem 0 1rem}h2{font-size:1.1rem;margin:.8rem 0 .2rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f6f8fa;padding:.8rem;overflow:auto}
table{border-collapse:collapse;width:100%}
td{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0}
.verb{display:inline-block;min-width:4.5rem;font-weight:700}.muted{color:#57606a}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}}
"""


class OpenApiPage:
    """`/openapi.json`: the file as it was committed."""

    path = "/openapi.json"

    def __init__(self, document: bytes) -> None:
        self._response = Response(200, (JSON_TYPE, _CACHE), document)

    async def answer(self) -> Response:
        """Always the same."""
        return self._response


class DocsPage:
    """`/docs`: the same as a page of its own, without scripts and without anything from elsewhere."""

    path = "/docs"

    def __init__(self, document: bytes) -> None:
        style = base64.b64encode(hashlib.sha256(_STYLE.encode("utf-8")).digest()).decode("ascii")
        policy = (
            f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        headers = (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode("ascii")),
            _CACHE,
        )
        self._response = Response(200, headers, _render(json.loads(document)).encode("utf-8"))

    async def answer(self) -> Response:
        """Always the same."""
        return self._response


def _render(document: dict[str, Any]) -> str:
    info = document["info"]
    parts = [
        f"<h1>{_text(info['title'])}</h1><p>{_text(info['description'])}</p>",
        '<p><a href="/openapi.json">openapi.json</a></p>',
    ]
    for path, operations in document["paths"].items():
        parts += [_operation(document, path, verb, it) for verb, it in operations.items()]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(info['title'])}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _operation(document: dict[str, Any], path: str, verb: str, operation: dict[str, Any]) -> str:
    schemes = sorted({name for choice in operation["security"] for name in choice})
    parts = [
        f'<section id="{_text(operation["operationId"])}">',
        f'<h2><span class="verb">{verb.upper()}</span> <code>{_text(path)}</code></h2>',
        f"<p>{_text(operation['description'])}</p>",
        f'<p class="muted">Credential: {_text(" or ".join(schemes) or "none")}</p>',
    ]
    parameters = [_resolved(document, given) for given in operation.get("parameters", ())]
    rows = [(f"{p['name']} ({p['in']})", p) for p in parameters]
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    rows += _members(document, media.get("schema", {}))
    if rows:
        parts.append(f"<table>{''.join(_row(name, it) for name, it in rows)}</table>")
    success = next(it for status, it in operation["responses"].items() if status.startswith("2"))
    answer = success["content"]["application/json"]
    for title, example in (("Request", media.get("example")), ("Answer", answer.get("example"))):
        if example is not None:
            text = json.dumps(example, indent=2, ensure_ascii=False)
            parts.append(f"<p>{title}</p><pre>{_text(text)}</pre>")
    return "".join(parts) + "</section>"


def _resolved(document: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    name = given.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["parameters"].get(name, given)
    return found


def _members(document: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    name = schema.get("$ref", "").rpartition("/")[2]
    target = document["components"]["schemas"].get(name, schema)
    return [
        (member + ("" if member in target.get("required", ()) else " (optional)"), it)
        for member, it in target.get("properties", {}).items()
    ]


def _row(name: str, described: dict[str, Any]) -> str:
    text = _text(described.get("description", ""))
    return f"<tr><td><code>{_text(name)}</code></td><td>{text}</td></tr>"


def _text(value: str) -> str:
    return html.escape(value)
