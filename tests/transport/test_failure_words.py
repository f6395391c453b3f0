"""What is said of failures: one line each, no prefix of a library, no number."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from potrio.transport.failure_words import failure_words


def ssl_error(reason: str, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}] words of OpenSSL (_ssl.c:1000)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "[prefix] no"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError(), "OSError"),
        (ssl.SSLEOFError(8, "EOF occurred"), "the server closed the connection during the TLS handshake"),
        (ssl_error("WRONG_VERSION_NUMBER"), "the port does not speak TLS (WRONG_VERSION_NUMBER)"),
        (ssl_error("NO_SHARED_CIPHER"), "NO_SHARED_CIPHER"),
        (ValueError("server_hostname cannot be empty"), "server_hostname cannot be empty"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_words(error: BaseException, words: str) -> None:
    assert failure_words(error) == words


def test_a_certificate_is_said_to_be_refused_and_why() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    assert failure_words(error) == "the certificate is not accepted: self-signed certificate"
