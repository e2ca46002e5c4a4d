"""SantaServer's own application for plain uvicorn (`--factory tests.bench.peers.earlier:application`).

So the arrangement before differs in what stands around the application, and in nothing else.
"""

import os

from fastapi import FastAPI

from santaserver.main import create_app
from santaserver.settings import load


def application() -> FastAPI:
    """Return the application with the settings of the environment."""
    return create_app(load(os.environ))
