"""Virtual time, real engines, a modelled network.

``network`` is the underlay and the clock, ``forwarder`` the data plane's model, ``handshake`` the shape of a Noise
handshake without its secrets, ``world`` puts nodes together.
"""
