"""A service that enlarges pictures: POST one, get it back larger, in its own format.

pip install escsr starlette uvicorn
uvicorn app:app --host 127.0.0.1 --port 8000
curl --data-binary @photo.jpg "http://127.0.0.1:8000/upscale?scale=2" -o large.jpg
"""

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import escsr
from escsr.images import image_size

MOST_BYTES, MOST_PIXELS = 20 << 20, 4_000_000
up = escsr.Upscaler("default", memory="4GB")  # one session for all requests


def enlarge(picture: bytes, scale: float) -> bytes:
    """Enlarge a picture; its header tells whether it is too large before it is decoded."""
    height, width = image_size(picture)
    if height * width > MOST_PIXELS:
        raise MemoryError(f"{width}x{height} pixels; at most {MOST_PIXELS} are taken")
    return up(picture, scale=scale, notify=print)


async def upscale(request: Request) -> Response:
    """Answer one request; what is wrong with it is a 4xx with a sentence."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return Response(f"at most {MOST_BYTES} bytes are taken", 413)
    try:
        scale = float(request.query_params.get("scale", "2"))
        return Response(await run_in_threadpool(enlarge, body, scale))
    except MemoryError as error:
        return Response(str(error), 413)
    except (ValueError, TypeError) as error:
        return Response(str(error), 422)


app = Starlette(routes=[Route("/upscale", upscale, methods=["POST"])])
