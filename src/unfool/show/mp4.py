"""Films as MP4, which PyAV writes."""

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from ..errors import MissingExtra

try:
    import av
except ImportError:
    raise MissingExtra("PyAV", "video") from None


def encode(frames: Sequence[Image.Image], rate: int) -> bytes:
    """An MP4 file (H.264) of frames with even sides."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream: Any = file.add_stream("libx264", rate=rate)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18"}
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_image(frame)))
        file.mux(stream.encode())
    return buffer.getvalue()
