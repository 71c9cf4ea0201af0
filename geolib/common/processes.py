"""Whether this program may start worker processes."""

from __future__ import annotations

import ast
import multiprocessing
import sys
import threading
from pathlib import Path


def why_no_workers() -> str:
    """What to change so that worker processes can be started; "" if they can.

    Processes that are not forked import the script that runs. If it is here outside of a main guard, each of them would
    do all of its work again and start processes itself; Python then stops, or waits without end.
    """
    main = sys.modules["__main__"]
    path = Path(getattr(main, "__file__", None) or "")
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    if method == "fork" or not path.is_file():
        return ""
    frame = sys._current_frames()[threading.main_thread().ident or 0]  # a thread may do this for the script
    while frame.f_back and not (frame.f_code.co_name == "<module>" and frame.f_globals is vars(main)):
        frame = frame.f_back
    if frame.f_globals is not vars(main):
        return ""
    blocks = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.If)]
    if any(block.lineno <= frame.f_lineno <= (block.end_lineno or 0) for block in blocks if _is_guard(block)):
        return ""
    return 'put the calls of your script under `if __name__ == "__main__":`, because worker processes import it'


def _is_guard(block: ast.If) -> bool:
    return "__main__" in ast.unparse(block.test)
