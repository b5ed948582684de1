"""Let HTTP clients of tests load one certificate, not the hundreds that a system trusts."""

from __future__ import annotations

import os
from pathlib import Path

import certifi

END = "-----END CERTIFICATE-----\n"


def trust_one_certificate(folder: Path) -> None:
    """Set SSL_CERT_FILE for this process and its child processes.

    Each httpx client loads the trusted certificates, which takes 60 ms of a core; tests make more
    than a thousand clients, and none of them connects to a public server.
    """
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition(END)
    file = folder / "trusted.pem"
    file.write_text(first + end, encoding="utf-8")
    os.environ["SSL_CERT_FILE"] = str(file)
    os.environ.pop("SSL_CERT_DIR", None)
