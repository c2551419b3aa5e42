"""The report as one page of HTML that needs no other file and no script."""

import base64
import re
from itertools import pairwise
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt
from markdown_it.token import Token

SKELETON = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
# A box that can be ticked opens a picture in its full size, without a script.
FIGURE = (
    r'<label class="figure"><input type="checkbox" aria-label="full size">\g<0>'
    "<span>Tap the picture for its full size.</span></label>"
)


def html(title: str, text: str, folder: Path) -> str:
    """Render Markdown on a page that needs no other file.

    Pictures are read from `folder`. What stands under a heading of the third level is folded up.
    """
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(text)
    set_directions(tokens)
    for token in tokens:
        for part in token.children or ():
            if part.type == "image":
                content = base64.b64encode((folder / str(part.attrs["src"])).read_bytes()).decode()
                part.attrs["src"] = f"data:image/png;base64,{content}"
    body = renderer.renderer.render(tokens, renderer.options, {})
    body = body.replace("<table>", '<div class="table" tabindex="0">\n<table>')
    body = body.replace("</table>", "</table>\n</div>")
    body = re.sub("<img [^>]*>", FIGURE, body)
    body = re.sub(
        r"<h3>(.*?)</h3>(.*?)(?=<h[23]>|\Z)",
        r"<details>\n<summary>\1</summary>\2</details>\n",
        body,
        flags=re.DOTALL,
    )
    return SKELETON.substitute(title=title, style=STYLE, body=body)


def set_directions(tokens: list[Token]) -> None:
    """Let what quotes a user's text or words, in any script, run as its own first letter does."""
    for token, content in pairwise(tokens):
        is_quote = token.type == "paragraph_open" and content.content.startswith("“")
        if is_quote or token.type == "td_open":
            token.attrSet("dir", "auto")
