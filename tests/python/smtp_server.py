"""An SMTP server written by others (aiosmtpd) that insists on STARTTLS and on a password.

    smtp_server.py CERTIFICATE KEY USER PASSWORD

Says on standard output, as one JSON object a line: first the port it listens on, then every message it took. Ends with its
standard input. It refuses a first attempt for every recipient (greylisting, RFC 6647), and one recipient for good.
"""

import asyncio
import base64
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(thing):
    print(json.dumps(thing), flush=True)


class Handler:
    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user here: " + address
        if address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 Greylisted, please come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        say({
            "tls": session.ssl is not None,
            "authenticated": session.authenticated,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "message": base64.b64encode(envelope.original_content).decode(),
        })
        return "250 2.0.0 Taken"


async def main(certificate, key, user, password):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    handler = Handler()

    def authenticate(server, session, envelope, mechanism, data):
        right = data.login == user.encode() and data.password == password.encode()
        # Not handled: the server sends the reply.
        return AuthResult(success=right, handled=False)

    def connected():
        return SMTP(
            handler, hostname="127.0.0.1", tls_context=tls, require_starttls=True, authenticator=authenticate, auth_required=True
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connected, "127.0.0.1", 0)
    say({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
