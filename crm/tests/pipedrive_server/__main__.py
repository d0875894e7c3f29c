"""By hand: ``python -m crm.tests.pipedrive_server [PORT]``, and as somebody who works there ``curl -X POST …/people/persons -d '{…}'``."""

import signal
import sys

from crm.tests.pipedrive_server import PipedriveServer


def main() -> None:
    server = PipedriveServer(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    server.deliver_in_background()
    sys.stdout.write(f"url    {server.url}\ntoken  {server.token}\n")
    sys.stdout.flush()
    signal.sigwait([signal.SIGINT, signal.SIGTERM])
    server.stop()


if __name__ == "__main__":
    main()
