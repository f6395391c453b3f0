"""In one line, what the system or OpenSSL has to say of a connection that failed: for the texts of errors."""

from __future__ import annotations

import os
import ssl

__all__ = ["failure_words"]


def failure_words(error: BaseException) -> str:
    """Say in one line what the system or OpenSSL has to say."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not accepted: {error.verify_message}"
        case ssl.SSLEOFError():
            return "the server closed the connection during the TLS handshake"
        case ssl.SSLError() if error.reason in (
            "WRONG_VERSION_NUMBER",
            "HTTP_REQUEST",
            "PACKET_LENGTH_TOO_LONG",
        ):
            return f"the port does not speak TLS ({error.reason})"
        case ssl.SSLError():
            return str(error.reason or error)
        case OSError() if error.errno is not None and error.errno > 0:
            return os.strerror(error.errno)  # without trio's prefix; the target is in the error already
        case OSError():
            return (
                error.strerror or str(error) or type(error).__name__
            )  # a resolver's own numbers are negative
        case _:
            return str(error) or type(error).__name__
