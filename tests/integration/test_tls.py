"""TLS with files that are renewed while the server runs, as a cluster's certificates are."""

import datetime
import ssl
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.process import Server, running, until


def write_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(pem))
    paths[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return paths


def name_of_the_peer(server: Server) -> str:
    port = int(server.url.rpartition(":")[2])
    shown = ssl.get_server_certificate(("127.0.0.1", port))
    (name,) = x509.load_pem_x509_certificate(shown.encode()).subject
    return str(name.value)


def test_renewed_certificates_are_used_without_a_restart(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, "first")
    flags = ("--plain", "true", "--tls-cert", str(certificate), "--tls-key", str(key))
    with running(*flags) as server:
        assert server.url.startswith("https://")
        assert httpx.get(server.url + "/health", verify=False).status_code == 200
        assert name_of_the_peer(server) == "first"
        write_certificate(tmp_path, "second")
        until(lambda: name_of_the_peer(server) == "second", "the new certificate")


def test_files_that_are_no_certificate_are_one_clear_line(tmp_path: Path) -> None:
    wrong = tmp_path / "tls.crt"
    wrong.write_text("nothing")
    flags = ("--plain", "true", "--tls-cert", str(wrong), "--tls-key", str(wrong))
    with running(*flags, ready=False) as server:
        assert server.wait() == 1
        assert f"cannot use the certificate in {wrong}" in server.lines[-1]
