"""One HTML file that shows runs to somebody who has neither them nor this package."""

from proxyalign.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
