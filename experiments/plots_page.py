"""Let `dvc plots` write pages that need no network: python -m experiments.plots_page.

Out: plots.html in the virtual environment, a template with Vega in it, which the package
     vl-convert-python carries; DVC's local configuration names it. Without it, the pages load Vega
     from the Internet.
"""

import subprocess
import sys
from pathlib import Path

import vl_convert

from stages.shared.errors import run
from stages.shared.files import whole

TEMPLATE = Path(sys.prefix) / "plots.html"
VEGA_LITE = "5.20"  # of the versions in the package, the one that reads DVC's templates
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh_tag}
<title>Plots</title>
<style>body { font-family: sans-serif; } img { max-width: 100%; }</style>
<script>{vega}</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def main() -> None:
    # Its stub asks for a snippet, without which it bundles all.
    vega = vl_convert.javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg]
    page = PAGE.replace("{vega}", vega)
    with whole(TEMPLATE) as partial:
        partial.write_text(page, encoding="utf-8")
    command = [sys.executable, "-m", "dvc", "config", "--local", "plots.html_template"]
    subprocess.run([*command, str(TEMPLATE)], check=True)


if __name__ == "__main__":
    run(main, __doc__)
