"""The programs of the demo: ffmpeg as the source and as the screens."""

from __future__ import annotations

from pathlib import Path

from lab.demo.meter import DATAGRAM_BYTES, GROUP, PORT
from lab.machine import Machine
from lab.process import Process

STREAM_BPS = 8_000_000
VIDEO_BPS = 7_000_000
_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error")


def play(machine: Machine, address: str, seconds: int, log: Path) -> Process:
    """A 1280x720 test picture with a running clock, and a tone, as H.264/AAC in MPEG-TS at a constant 8 Mb/s."""
    picture = f"testsrc2=size=1280x720:rate=25:duration={seconds}"
    tone = f"sine=frequency=440:sample_rate=48000:duration={seconds}"
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p")
    rate = ("-b:v", VIDEO_BPS, "-minrate", VIDEO_BPS, "-maxrate", VIDEO_BPS, "-bufsize", VIDEO_BPS // 4)
    sound = ("-c:a", "aac", "-b:a", "128k")
    packets = ("-f", "mpegts", "-muxrate", STREAM_BPS, "-flush_packets", "0")
    pacing = f"bitrate={STREAM_BPS * 105 // 100}&burst_bits={8 * DATAGRAM_BYTES * 8}&buffer_size=4194304"
    url = f"udp://{GROUP}:{PORT}?pkt_size={DATAGRAM_BYTES}&ttl=4&localaddr={address}&{pacing}"
    words = ["ffmpeg", *_QUIET, "-re", "-f", "lavfi", "-i", picture, "-re", "-f", "lavfi", "-i", tone]
    words += [str(word) for word in (*encoder, *rate, *sound, *packets, url)]
    return machine.spawn(words, stderr=log)


def watch(machine: Machine, address: str, picture: Path, log: Path) -> Process:
    """Joins the group, decodes, and keeps the latest picture of each second."""
    url = f"udp://{GROUP}:{PORT}?localaddr={address}&buffer_size=4194304&fifo_size=200000&timeout=3000000"
    decode = ("-analyzeduration", "1000000", "-i", url, "-map", "0:v:0", "-vf", "fps=1", "-update", "1", "-y")
    return machine.spawn(["ffmpeg", *_QUIET, *decode, str(picture)], stderr=log)
