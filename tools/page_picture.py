"""Make the picture in docs/page.md: the page of the video that tools/strip.py cuts, in Chromium.

python -m tools.page_picture
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tools.strip import ROOT, write_video


def main() -> None:
    """Label the video and take a picture of its page, some seconds into it."""
    with tempfile.TemporaryDirectory() as name:
        video, page = Path(name, "edited.mp4"), Path(name, "edited.html")
        write_video(video)
        subprocess.run(
            [
                sys.executable, "predict_video.py", "--input", video, "--smoothing", "hmm",
                "--output", Path(name, "labelled.mp4"), "--page", page, "--no-preview", "--quiet",
            ],
            check=True, cwd=ROOT,
        )  # fmt: skip
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--window-size=1000,1050"):
            options.add_argument(argument)
        with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as it:
            it.get(page.as_uri())
            time.sleep(2)
            it.execute_script("seek(6)")
            time.sleep(2)
            it.save_screenshot(str(ROOT / "docs" / "page.png"))


if __name__ == "__main__":
    main()
