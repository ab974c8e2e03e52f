"""Certificates for loopback servers, made afresh."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def certificate(
    folder: Path, name: str, *, host: str = "IP:127.0.0.1", expired: bool = False
) -> ssl.SSLContext:
    """A server's context with a fresh self-signed certificate in `folder`."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    command = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        f"/CN={name}",
    ]
    _openssl(*command, "-keyout", key, "-out", cert, "-addext", f"subjectAltName={host}")
    if expired:
        _openssl("x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
