"""The page about rules is what the registry and the record say."""

import json

from analysis import rules_page
from proxyalign.deferral.rules import REGISTRY


def test_the_page_is_up_to_date():
    """Fails when the registry or the record changed and `python -m analysis.rules_page` was not run."""
    text = rules_page.PAGE.read_text()
    assert text == rules_page.page(json.loads(rules_page.RECORD.read_text()))
    assert all(f"| `{name}` |" in text for name in REGISTRY)
