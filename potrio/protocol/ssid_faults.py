"""What is wrong with a text that should have been an SSID, in words that name the mistake and not the text."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["fault_of_json", "fault_of_text"]

_TYPOGRAPHIC: Final = re.compile("[“”„‟«»‘’‚‛″′]")
_TYPOGRAPHIC_FAULT: Final = "has typographic quotes: an editor changed the plain ones"
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_PYTHON_KEY: Final = re.compile(r"""[{,]\s*'\w+'\s*:""")
_BARE_KEY: Final = re.compile(r"[{,]\s*(?:session|sessionToken|token|isDemo|uid|platform)\s*:")
_PYTHON_WORD: Final = re.compile(r":\s*(?:True|False|None)\b")
_UNESCAPED_PHP: Final = re.compile(r'"\s*:\s*"a:[0-9]+:\{[^"\\]*"')


def fault_of_text(text: str) -> str:
    """Name a mistake that shows before the text is taken apart; empty where there is none.

    Args:
        text: with no white space around it.
    """
    if re.match(r"(?:42\[|\{)?\s*[“”„‟«»‘’‚‛″′]", text):
        return _TYPOGRAPHIC_FAULT
    if text.startswith(('"42[', '"{', '"a:')):
        if '\\"' in text:
            return "is a quoted copy with every quote escaped: copy the frame itself"
        return "is wrapped in quotes: take them off"
    if text[0] in "'`\"" or (text[-1] in "'`" and text[0] in "4{"):
        return "is wrapped in quotes: take them off"
    if re.match(r"(?i)(?:export\s+)?[A-Z_]*SSID\s*=", text):
        return "starts with the name of a variable: give only what stands after the equals sign"
    if re.match(r"""42\[\\+["']""", text) or re.match(r"""\{\s*\\+["']""", text):
        return "is escaped: take the backslashes before the outer quotes away, or copy the frame itself"
    if text.startswith("42["):
        return "" if re.match(r"""42\[["']?auth["']?,""", text) else "is a frame, but not an auth frame"
    if text.startswith(("[", "451-", "0{", "40", "2[")):
        return 'is another frame: the auth frame starts with 42["auth",'
    return ""


def fault_of_json(payload: str, error: Exception) -> str:
    """Name the mistake in an auth object that the JSON decoder refused."""
    body = payload.strip()
    if _TYPOGRAPHIC.search(body):
        return _TYPOGRAPHIC_FAULT
    if _PYTHON_KEY.search(body):
        return "has single quotes where JSON has double ones"
    if _UNESCAPED_PHP.search(body):
        return "has lost the backslashes before the quotes inside the session: a shell or an editor took them"
    if not body.startswith("{"):
        return "the auth argument is not a JSON object"
    if not body.endswith("}"):
        return "ends in the middle of the auth object: the paste was cut off"
    if re.match(r"""\{\s*\\+["']""", body):
        return "is escaped: take the backslashes before the outer quotes away, or copy the frame itself"
    if _BARE_KEY.search(body):
        return "has field names without quotes"
    if _PYTHON_WORD.search(body):
        return "has True, False or None where JSON has true, false or null"
    if re.search(r",\s*}$", body):
        return "has a comma after the last field"
    if "truncated" in str(error):
        return "ends in the middle of the auth object: the paste was cut off"
    if "\n" in body or "\r" in body:
        return "has a line break inside a text: the paste was wrapped"
    where = _BYTE.search(str(error))
    return f"the auth object is not JSON: bad at byte {where[1]}" if where else "the auth object is not JSON"
