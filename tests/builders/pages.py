"""A page as a browser would see it."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "base", "hr"}
LOADING = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "style"}
ACTIVE = {"script", "iframe", "object", "embed", "img", "link", "base", "form", "a", "image"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def words(html: str) -> str:
    return " ".join(Page(html).text.split())
