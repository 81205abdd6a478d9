"""Ed25519 signatures over proofs. The package `cryptography` is an extra, and imported only here, when asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from disruptor.errors import JournalError

ALGORITHM = "ed25519"
KEY_SIZE, SIGNATURE_SIZE = 32, 64


def sign(content: bytes, key_file: str | os.PathLike[str]) -> tuple[str, str]:
    """Sign with a private key.

    Parameters
    ----------
    key_file : PEM, PKCS8, not encrypted, as `openssl genpkey -algorithm ed25519` writes it

    Returns
    -------
    (public key, signature), both in hex.

    Raises
    ------
    JournalError : no such package, file, or key.
    """
    ed25519, serialization = _package()
    try:
        key = serialization.load_pem_private_key(_read(key_file), password=None)
    except (ValueError, TypeError) as error:
        raise JournalError(f"{key_file}: no unencrypted private key in PEM: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise JournalError(f"{key_file}: the key is not Ed25519")
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return public.hex(), key.sign(content).hex()


def is_signed_by(content: bytes, public_key: str, signature: str) -> bool:
    """Whether a signature over `content` is by the holder of a key, both in hex."""
    ed25519, _ = _package()
    from cryptography.exceptions import InvalidSignature

    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_public_key(key_file: str | os.PathLike[str]) -> str:
    """A public key in hex, from PEM or 64 hex digits in a file.

    Raises
    ------
    JournalError : no such package or file, or no Ed25519 key in it.
    """
    content = _read(key_file)
    text = content.strip().decode("ascii", "replace")
    if len(text) == 2 * KEY_SIZE:
        try:
            return bytes.fromhex(text).hex()
        except ValueError:
            pass
    ed25519, serialization = _package()
    try:
        key = serialization.load_pem_public_key(content)
    except ValueError as error:
        raise JournalError(
            f"{key_file}: neither a public key in PEM nor {2 * KEY_SIZE} hex digits"
        ) from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise JournalError(f"{key_file}: the key is not Ed25519")
    raw: bytes = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex()


def _package() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise JournalError(
            "signatures need the package cryptography: pip install 'disruptor-defi[sign]'"
        ) from error
    return ed25519, serialization


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
