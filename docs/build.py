"""Build the site: `python docs/build.py [FOLDER]` writes pages and site into a folder, by default results/docs.

Whatever the generator warns of ends the build.
"""

import json
import subprocess
import sys
from pathlib import Path

from made import pages

HERE = Path(__file__).resolve().parent


def main(out: Path) -> int:
    """Write everything into `out`, and let the generator make `out`/site of it. Returns its exit code."""
    navigation = pages.write(out / "pages")
    settings = (HERE / "site.yml").read_text()
    (out / "mkdocs.yml").write_text(f"{settings}nav: {json.dumps(navigation)}\n")  # JSON is YAML
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=out, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else pages.ROOT / "results" / "docs"))
