# SPDX-License-Identifier: Apache-2.0
"""What the program that stands for deblur-engine does in a test, and where the scripts under test are."""

from pathlib import Path

PLUGIN = Path(__file__).parents[2] / "plugin"

FITS = """
    progress("analyse", 1, 1)
    progress("fit", 200, 400)
    progress("fit", 400, 400)
    event("warning", message="two frames were left out")
    event("result", verb="fit", status="done", model=os.path.splitext(words[1])[0] + ".deblur.onnx")
"""
"""A fit that goes well."""

NEVER_ENDS = """
    def stop(number, frame):
        event("error", status="cancelled", error={"message": "stopped on request", "hint": "again resumes"})
        sys.exit(6)
    signal.signal(signal.SIGTERM, stop)
    progress("fit", 1, 400)
    while True:
        time.sleep(0.05)
"""
"""A fit that ends only when it is told to."""
