from .architecture import Architecture
from .contents import EncodedContent
from .errors import ImageError
from .functional import ChannelStats, adain, blend, channel_stats
from .images import load_image, save_image
from .models import Decoder, Encoder, StyleTransfer
from .pretrained import available_models
from .published import convert_published
from .stylizer import Stylizer

__version__: str

__all__ = [
    "Architecture",
    "ChannelStats",
    "Decoder",
    "EncodedContent",
    "Encoder",
    "ImageError",
    "StyleTransfer",
    "Stylizer",
    "adain",
    "available_models",
    "blend",
    "channel_stats",
    "convert_published",
    "load_image",
    "save_image",
]
