"""Virtual time, real engines, a modelled underlay and data plane.

``underlay`` carries datagrams and keeps the clock, ``locations`` how long they take. ``forwarder`` is the data
plane's model, on ``tables``, ``sessions`` and ``datagrams``; ``handshake`` has the shape of a Noise handshake without
its secrets. ``world`` puts nodes together; ``sharing`` is what its engines need not do or hold twice, ``metering`` what
they cost. ``graphs`` has no engines: algorithms on nodes and links.
"""
