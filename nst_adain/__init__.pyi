from .errors import ImageError
from .functional import ChannelStats, adain, blend, channel_stats
from .images.io import load_image, save_image
from .models.architecture import Architecture
from .models.networks import Decoder, Encoder, StyleTransfer
from .models.pretrained import available_models, load_model
from .models.published import convert_published
from .rendering.contents import EncodedContent
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
    "load_model",
    "save_image",
]
