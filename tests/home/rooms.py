"""Rooms on real sockets of this machine, in real time that runs fast."""

from __future__ import annotations

import contextlib
import datetime
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ironwok.home.config import HomeConfig, home_of
from ironwok.home.simulator.network import Ports, RoomOnSockets
from ironwok.home.simulator.run import Simulation

TOKEN = "0123456789abcdef-token"


@contextlib.asynccontextmanager
async def simulated(folder: Path, **options: Any) -> AsyncIterator[tuple[RoomOnSockets, HomeConfig]]:
    """A room on any free ports, 40 times as fast as life, and the configuration that `ironwok home simulate` writes."""
    changes = options.pop("changes", {})
    what = Simulation(folder, speed=options.pop("speed", 40.0), **options)
    room = what.make(ports=Ports(0, 0, 0, 0))
    await room.start()
    try:
        table = tomllib.loads(what.config(room))
        table["webhook"] |= {"token": TOKEN}
        yield room, home_of(table | changes, folder=folder)
    finally:
        await room.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
