"""Serves until it is killed, and says where: its address goes to a file once it listens."""
import os
import ssl


def serve(server, address, scheme, certificate):
    """server: of http.server, bound to a port; certificate: a file with its key, for https; else None."""
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(address + ".new", "w") as out:
        out.write(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    os.rename(address + ".new", address)
    server.serve_forever()
