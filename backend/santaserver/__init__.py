"""SantaServer's backend: Santa's sync protocol, the REST interface and the live channel.

Start reading at `main.create_app`; the command line is `__main__`.
"""

__version__ = "0.1.0"
