"""The test of a release: a controller answers, and the API server has spoken to it lately."""

import os
import re
import sys
import time
import urllib.request

AGE = re.compile(r'^tunekeeper_watch_age_seconds\{resource="(\w+)"\} (\S+)$', re.MULTILINE)
FRESH_S = 90
"""A watch is spoken of at least once a minute."""


def trouble(page: str) -> str:
    """What is wrong; empty when nothing is."""
    ages = AGE.findall(page)
    if not ages:
        return "no watch is open"
    late = [name for name, age in ages if float(age) > FRESH_S]
    return f"not heard of for {FRESH_S} s: {', '.join(late)}" if late else ""


def main() -> int:
    """Ask until it is well."""
    url, end = os.environ["METRICS_URL"], time.monotonic() + float(os.environ["WITHIN_SECONDS"])
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of the chart
                wrong = trouble(answer.read().decode())
        except OSError as error:
            wrong = str(error)
        if not wrong or time.monotonic() > end:
            print(f"{url}: {wrong or 'a controller answers, and its watches are alive'}")
            return 1 if wrong else 0
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
