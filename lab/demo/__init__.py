"""The demo: live video by IP multicast over an encrypted overlay, measured datagram by datagram.

::

     source  ffmpeg plays a test picture with a clock and a tone, 8 Mb/s, to 239.1.1.1:5004
       |                 sealed once, one copy of the same bytes to each subscriber
       +-----------> screen1   ffmpeg shows it from beginning to end
       +-----------> screen2   ffmpeg joins late
       +-----------> screen3   ffmpeg leaves early
       .             bystander asks for nothing, and gets nothing

``story`` plays it, ``meter`` counts what each node's host sends and gets, ``underlay`` looks at the wire, ``report``
judges. ``make demo`` runs it.
"""
